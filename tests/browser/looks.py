"""What a person can see on the pages of the MLflow UI.

A look opens a page and says which things are there; a thing is there when the page shows the very values, pictures or
texts that were logged. `NEEDS` names the things of each look, each with what must have been logged for it.
"""

import html
import json
import re
import time

from .stores import folder_of

SECONDS = 240  # until a page is there, on a very busy machine; each thing that is lacking costs as much
SETTLED = 0.5  # so long what is seen must stay the same

FINAL = {"final train metrics": "accuracy/train", "final test metrics": "accuracy/test"}
VALUES = {
    "params": {"params"},
    "final train metrics": {"train metrics"},
    "final test metrics": {"test metrics"},
}
TRAIN, TEST = ("cost/train", "loss/train", "accuracy/train"), ("loss/test", "accuracy/test")
COMPARED = {
    "reports": "classification_report.txt",
    "confusion matrices": "confusion_matrix.png",
    "hidden layers": "hidden_layer.png",
}
NEEDS = {
    "table": {"children under their parent": {"parent"}, **VALUES},
    "ranking": {"best first": {"test metrics"}, "params": {"params"}},
    "charts": {
        **{key: {"train metrics"} for key in TRAIN},
        **{key: {"test metrics"} for key in TEST},
        "train beside test": {"train metrics", "test metrics"},
        "hidden layer over iterations": {"images"},
    },
    "compared": {
        **VALUES,
        "reports": {"texts"},
        "confusion matrices": {"pictures"},
        "hidden layers": {"pictures"},
    },
    "per_class": {"f1 of each run": {"per class"}},
    "report": {"report": {"report"}},
    "run": {
        **VALUES,
        "note": {"note"},
        "dataset": {"dataset"},
        "model": {"model"},
        "final metrics of the model": {"model"},
    },
}


def there(look, lacks):
    """What is to be seen where all has been logged but what is lacking."""
    return {thing for thing, needs in NEEDS[look].items() if not needs & lacks}


def go(page, address, anchor):
    """Open an address as if it were pasted into a new tab, and wait for something that is always there."""
    page.set_default_timeout(1000 * SECONDS)
    page.goto("about:blank")
    page.goto(address)
    page.locator(anchor).first.wait_for()


def settle(see, expected):
    """Look until what is expected is seen, and then whether it stays so; return what is seen in the end."""
    deadline = time.monotonic() + SECONDS
    while see() != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(SETTLED)
    return see()


def values(runs, shown):
    """Which of `VALUES` are there, where `shown(run, kind, key)` gives the text of a value."""
    seen = set()
    if all(is_close(shown(run, "params", "model.l2"), float(run.info.run_name.removeprefix("l2="))) for run in runs):
        seen.add("params")
    for thing, key in FINAL.items():
        if all(is_close(shown(run, "metrics", key), run.data.metrics.get(key)) for run in runs):
            seen.add(thing)
    return seen


def is_close(text, value):
    """Whether a text is a number, perhaps cut short."""
    try:
        return value is not None and abs(float(text) - value) <= 1e-3 * abs(value) + 1e-12
    except (TypeError, ValueError):
        return False


def table(page, experiment, base, expected, address=None):
    """All runs: children under their parent, in the columns of the saved view."""
    parent, runs = experiment.parent, experiment.runs
    go(page, address or experiment.runs_page(base), f"[row-id='{parent.info.run_id}'] a")
    settle(lambda: len(names(page)) > 0, True)
    closed = names(page)
    expander = page.locator(f"[row-id='{parent.info.run_id}'] button").first
    if expander.count():
        expander.click()

    def see():
        children = {run.info.run_name for run in runs}
        nested = closed == names(page)[:1] == [parent.info.run_name] and set(names(page)[1:]) == children
        return values(runs, cells(page)) | ({"children under their parent"} if nested else set())

    return settle(see, expected)


def ranking(page, experiment, base, expected):
    """A sweep's own view: its runs alone, best first."""
    runs = experiment.runs
    go(page, experiment.runs_page(base, sweep=experiment.sweep), ".ag-row a")
    best = sorted(runs, key=lambda run: -run.data.metrics.get("accuracy/test", 0))

    def see():
        ranked = names(page) == [run.info.run_name for run in best] and "accuracy/test" in best[0].data.metrics
        return values(runs, cells(page)) & {"params"} | ({"best first"} if ranked else set())

    return settle(see, expected)


def names(page):
    """The names of the table's rows from the top."""
    found = page.locator(".ag-row [col-id*='Run Name']").evaluate_all(
        "cells => cells.map(c => [+c.closest('.ag-row').getAttribute('row-index'), c.querySelector('a')?.innerText])"
    )
    return [name for _, name in sorted(map(tuple, found)) if name]


def cells(page):
    """The text of a run's cell in the table."""
    found = page.locator(".ag-row [col-id]").evaluate_all(
        "cells => cells.map(c => [c.closest('.ag-row').getAttribute('row-id') + c.getAttribute('col-id'), c.innerText])"
    )
    by_place = dict(found)
    return lambda run, kind, key: by_place.get(f"{run.info.run_id}{kind}.`{key}`")


def charts(page, experiment, base, expected):
    """The chart page: each curve of each run as it was logged, train beside test."""
    go(page, experiment.runs_page(base, sweep=experiment.sweep, mode="CHART"), "text=hidden layer over iterations")
    logged = {
        key: {run.info.run_id: [m.value for m in experiment.history(run, key)] for run in experiment.runs}
        for key in TRAIN + TEST
    }

    def see():
        plots = page.locator(".js-plotly-plot").evaluate_all(
            """plots => plots.map(p => [p.getBoundingClientRect().top, (p.data || []).filter(
                line => line.metricHistory?.length).map(line => [line.metricHistory[0].key, line.uuid, line.y])])"""
        )
        tops = {}
        for top, lines in plots:
            drawn = {run_id: y for _, run_id, y in lines}
            tops |= {key: top for key in {key for key, _, _ in lines} if logged.get(key) == drawn}
        beside = "accuracy/test" in tops and tops.get("accuracy/train") == tops["accuracy/test"]
        return set(tops) | ({"train beside test"} if beside else set())

    seen = settle(see, expected - {"hidden layer over iterations"})
    return seen | ({"hidden layer over iterations"} if has_series(page, experiment.runs) else set())


def has_series(page, runs):
    """Whether the slider of the hidden layer's card steps through the iterations, with a picture of each run."""
    logged = {run.info.run_id: iterations(run) for run in runs}
    steps = sorted(set().union(*logged.values()))
    if not steps:
        return bool(settle(lambda: page.locator("img[src*='hidden_layer']").count(), 0))
    assert len(steps) > 2, "the sweep has no series of pictures"
    slider = page.locator("[role=slider]").first
    slider.focus()
    for step in steps:
        here = {run_id for run_id, own in logged.items() if step in own}
        shown = settle(lambda step=step: pictures_at(page, step), here)
        if shown != here or slider.get_attribute("aria-valuenow") != str(step):
            return False
        slider.press("ArrowRight")
    return True


def iterations(run):
    """The iterations of which a run has pictures."""
    return {int(path.name.split("+")[2]) for path in (folder_of(run) / "images").glob("hidden_layer+step+*.png")}


def pictures_at(page, step):
    """The runs whose pictures of an iteration are shown."""
    shown = page.locator("img[src*='images%2Fhidden_layer']").evaluate_all(
        "images => images.filter(i => i.complete && i.naturalWidth > 16).map(i => i.getAttribute('src'))"
    )
    return {source.split("run_uuid=")[1] for source in shown if f"step%2B{step}%2B" in source}


def compared(page, experiment, base, expected):
    """The compare page: params, metrics, reports and pictures of three runs side by side."""
    runs = experiment.runs
    go(page, experiment.compare_page(base), "[data-testid=artifact-tree-node]")
    place = {run.info.run_id: i for i, run in enumerate(runs)}

    def see():
        by_key = {row[0]: row[1:] for row in rows_of(page) if len(row) == 1 + len(runs)}
        return values(runs, lambda run, _, key: by_key[key][place[run.info.run_id]] if key in by_key else None)

    seen = settle(see, expected & set(VALUES))
    return seen | {thing for thing, name in COMPARED.items() if is_side_by_side(page, runs, name)}


def rows_of(page):
    """The rows of the compare page: those of the params' table, and of the metrics' grid, whose cells have no rows."""
    rows = page.locator("tr").evaluate_all("rows => rows.map(r => [...r.children].map(c => c.innerText.trim()))")
    cells = page.locator(".ReactVirtualized__Grid__innerScrollContainer > div").evaluate_all(
        "all => all.map(c => [c.getBoundingClientRect().top, c.getBoundingClientRect().left, c.innerText.trim()])"
    )
    by_top = {}
    for top, _, text in sorted(map(tuple, cells)):
        by_top.setdefault(top, []).append(text)
    return [*rows, *by_top.values()]


def is_side_by_side(page, runs, name):
    """Whether the compare page offers a file and shows that of each run, one beside the other."""
    node = page.locator("[data-testid=artifact-tree-node]", has_text=name)
    if not node.count():
        return False
    node.first.dispatch_event("click")
    shown = page.locator(".mlflow-ShowArtifactPage pre" if name.endswith(".txt") else "img[src^=blob]")
    texts = [(folder_of(run) / name).read_text().split() for run in runs] if name.endswith(".txt") else None

    def see():
        places = shown.evaluate_all(
            "all => all.map(e => [e.getBoundingClientRect(), e.naturalWidth || e.innerText.length]).filter("
            "([place, size]) => size > 100 && place.width > 100).map(([place, _]) => [place.left, place.top])"
        )
        beside = len({left for left, _ in places}) == len(runs) and len({top for _, top in places}) == 1
        return beside and (texts is None or [text.split() for text in shown.all_inner_texts()] == texts)

    return settle(see, True)


def per_class(page, experiment, base, expected):
    """The per-class table: the f1 of a class in a column of each run."""
    runs = experiment.runs
    go(page, experiment.runs_page(base, sweep=experiment.sweep, mode="ARTIFACT"), ".ag-row a")
    files = [folder_of(run) / "per_class.json" for run in runs]
    logged = [json.loads(file.read_text())["data"][0][1] for file in files if file.exists()]

    def see():
        columns = [page.locator(f"[role=gridcell][col-id='{run.info.run_id}']") for run in runs]
        shown = [column.first.inner_text() for column in columns if column.count()]
        headers = " ".join(page.locator("[role=columnheader]").all_inner_texts())
        is_shown = len(logged) == len(shown) > 0 and all(map(is_close, shown, logged))
        return {"f1 of each run"} if is_shown and "f1-score" in headers else set()

    return settle(see, expected)


def report(page, experiment, base, expected):
    """The report of the sweep, shown inline among the files of its parent."""
    go(page, experiment.page(base, experiment.parent, "/artifacts/report.html"), "text=plan.json")
    heading = html.unescape(re.search("<h1[^>]*>(.*?)</h1>", experiment.report_text)[1])

    def see():
        frames = [frame.content_frame() for frame in page.locator("iframe").element_handles()]
        shown = [frame.evaluate("document.querySelector('h1')?.innerText") for frame in frames if frame]
        return {"report"} if heading in shown else set()

    return settle(see, expected)


def run(page, experiment, base, expected):
    """A run's page: note, params, metrics, data set and model; and the model's own page."""
    looked = experiment.runs[1]
    go(page, experiment.page(base, looked), "text=About this run")
    note = page.locator("[data-testid=note-editor-preview-content]")
    link = page.locator("a[href*='/models/m-']")

    def see():
        shown = table_of(page)
        seen = values([looked], lambda run, _, key: shown.get(key))
        text = note.inner_text() if note.count() else ""
        if (
            "nnexp rerun" in text
            and looked.info.run_name.replace("l2=", "λ = ") in text
            and note.locator("strong").count()
        ):
            seen.add("note")
        if page.locator("text=/^digits \\([0-9a-f]{32}\\)/").count():
            seen.add("dataset")
        return seen | ({"model"} if link.count() else set())

    seen = settle(see, expected - {"final metrics of the model"})
    if "model" in seen:
        go(page, f"{base}/{link.first.get_attribute('href')}", "text=About this logged model")
        final = {key: value for key, value in looked.data.metrics.items() if key.startswith(("accuracy/", "f1/"))}
        if settle(lambda: all(is_close(table_of(page, 3).get(key), final[key]) for key in final), True):
            seen.add("final metrics of the model")
    return seen


def table_of(page, column=1):
    """A column of a page's tables by the first one."""
    rows = page.locator("[role=row]").evaluate_all("rows => rows.map(r => [...r.children].map(c => c.innerText))")
    return {row[0]: row[column] for row in rows if len(row) > column}
