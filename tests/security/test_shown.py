"""What is shown of runs is text: in a report's page, in LaTeX, in notes and on a terminal."""

import csv
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest
from mlflow.entities import Metric, Param, RunTag

import nnexp
from nnexp import tasks
from nnexp.comparison.sections import slug
from nnexp.report.table import write
from nnexp.runs.directory import to_json
from nnexp.runs.records import RunResult, RunStatus
from nnexp.runs.tags import KIND, SWEEP, UID
from nnexp.terminal import StatusLine, say, table, tell, visible
from nnexp.tracking.notes import plain, run_note, sweep_note
from tests.tools import made_up

pytestmark = pytest.mark.slow  # by the run that they have in common

HTML = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'--><svg/onload=alert(3)>{{7*7}}{% raw %}"
TEX = r"\input{/etc/passwd}\write18{touch canary}^^5cinput{x}%$\immediate\openout}"
MARKDOWN = "[click](javascript:alert(1)) ![x](http://attacker/x.png) <b onclick=x> `a` | b |"
ESCAPES = "\x1b]0;title\x07\x1b[2J\x1b[31mred\rFINISHED\x9b1m\u202egnp.exe\x08\x7f"
FORMULA = "=cmd|' /C calc'!A0"
SWEPT = "0123456789abcdef"
HOSTILE = (HTML, TEX, MARKDOWN, ESCAPES, "$x^{2", FORMULA, "x" * 6000)


@pytest.fixture
def stored(victim, empty_store):
    """A store with runs that a report compares, whose names, tags and params are hostile."""
    store, run_id, _ = victim.store(empty_store)
    run, client = store.get(run_id), store.client
    made = store.create(HTML + ESCAPES, run.start, {UID: "sweep", KIND: "sweep", SWEEP: SWEPT})
    client.log_text(made, hostile_plan(), "plan.json")
    client.set_terminated(made)
    for i, text in enumerate(HOSTILE):
        tags = {**run.tags, UID: f"u{i}", "nnexp.run_key": f"{text[:4000]}{i}", SWEEP: SWEPT}
        tags |= {f"nnexp.{key}": text for key in ("status_message", "data_digest", "numpy", "scipy", "directory")}
        tags.pop("mlflow.runName")
        new = store.create(text, run.start, tags)
        params = {**run.params, "model.activation": text, "data.name": text, "model.l2": str(i)}
        metrics = [Metric(key, value, 1, 1) for key, value in run.metrics.items()]
        client.log_batch(new, metrics, [Param(*each) for each in params.items()], [RunTag("x", text)])
        client.set_terminated(new, "FINISHED" if i else "FAILED")
    return victim


def hostile_plan():
    """The plan of a sweep, hostile as far as it is text."""
    plan = made_up.plan(SWEPT, (ESCAPES, MARKDOWN), swept_keys=(HTML, TEX))
    return to_json(replace(plan, name=HTML + ESCAPES, command=f"nnexp {HTML} {TEX} {ESCAPES}").to_json())


class Elements(HTMLParser):
    """Sees that a page has no element and no attribute that runs or fetches something."""

    def __init__(self):
        super().__init__()
        self.tags, self.bad = set(), []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        for name, value in attributes:
            fetches = name in ("src", "href", "xlink:href", "action", "data", "srcset")
            if name.startswith("on") or (fetches and not (value or "").startswith(("#", "data:image/png"))):
                self.bad.append((tag, name, value))


def computed(cell):
    """Whether a spreadsheet would compute what a cell holds."""
    try:
        return not math.isfinite(float(cell))
    except ValueError:
        return cell[:1] in tuple("=+-@\t\r\n")


@pytest.mark.parametrize("selection", [[], ["--experiment", "nnexp"]])
def test_a_report_of_hostile_runs_is_text(stored, selection):
    status, out, err = stored("report", *selection, "--latex")
    assert status == 0, err
    assert not set(out + err) & set("\x1b\x07\x9b\u202e\r\x08")
    [page] = stored.folder.glob("outputs/reports/*/report.html")
    elements = Elements()
    elements.feed(page.read_text())
    assert elements.bad == []
    assert not elements.tags & {"script", "img", "iframe", "object", "b", "a", "link", "base", "form"}
    assert "alert(1)" in page.read_text()
    written = [path.read_bytes().decode() for path in (page, page.with_name("runs.csv"))]
    for text in written:
        assert not set(text) & set("\x1b\x07\x9b\u202e\r\x08\x7f")
        assert "\\x1b]0;title" in text
    latex = "".join(path.read_text() for path in page.parent.rglob("*.tex"))
    assert "passwd" in latex
    assert not re.search(r"\\(write|immediate|openout)|\\input\{(?!tables/|methods\})|\^\^", latex)
    assert not list(stored.folder.glob("**/canary"))
    with (page.parent / "runs.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert not [cell for row in [header, *rows] for cell in row if computed(cell)]
    formula = next(row for row in rows if FORMULA in row[header.index("name")])
    assert formula[header.index("name")] == f"'{FORMULA}"


def test_a_table_of_runs_does_not_command_the_terminal(tmp_path):
    write(pd.DataFrame({ESCAPES: ["a\tb\nc", f"x{ESCAPES}", "-1"], "n": [1, 2, 3]}), tmp_path)
    shown = r"\x1b]0;title\x07\x1b[2J\x1b[31mred" + "\n" + r"FINISHED\x9b1m\u202egnp.exe\x08\x7f"
    with (tmp_path / "runs.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [[shown, "n"], ["a\tb\nc", "1"], [f"x{shown}", "2"], ["-1", "3"]]
    assert pd.read_parquet(tmp_path / "runs.parquet")[ESCAPES].tolist()[1] == f"x{ESCAPES}"


FORMULAS = ["=1+1", "@SUM(A1)", "\t=1+1", "\r=1+1", "x\r=1+1", "-1+cmd|' /C calc'!A0", "+A1", "-", "＝1+1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_in_a_table_is_text(text, tmp_path):
    write(pd.DataFrame({"name": [text, "-1.5e-3"], text: [-1, 2]}), tmp_path)
    shown = text.replace("\r", "\n")
    shown = shown if shown.startswith("x") else f"'{shown}"
    with (tmp_path / "runs.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["name", shown], [shown, "-1"], ["-1.5e-3", "2"]]
    assert b"\r" not in (tmp_path / "runs.csv").read_bytes()
    assert pd.read_parquet(tmp_path / "runs.parquet")["name"].tolist() == [text, "-1.5e-3"]


def test_the_list_of_sweeps_does_not_command_the_terminal(stored):
    status, out, err = stored("sweeps")
    assert (status, len(out.splitlines())) == (0, 2), err
    assert "\x1b" not in out
    assert "alert(1)" in out


def test_what_is_told_of_a_hostile_run_does_not_command_the_terminal(victim):
    victim.set_json("run.json", name=f"name {ESCAPES}")
    victim.set_json("result.json", message=f"message {ESCAPES}\nFINISHED", status="FAILED")
    for words in (["rerun", "a", "--check"], ["evaluate", "--weights", "a"], ["evaluate", "--weights", ESCAPES]):
        _, out, err = victim(*words, "tracking=none")
        assert not set(out + err) & set("\x1b\x07\x9b\u202e\r\x08"), (out, err)
        assert "\\x1b" in out + err
    result = nnexp.load_run("a", "tracking=none")
    assert not set(repr(result)) & set("\x1b\x07\n")
    assert "<script" not in result._repr_html_()


def test_a_notebook_shows_a_hostile_run_as_text(victim):
    victim.set_json("run.json", name=HTML)
    victim.set_json("result.json", message=HTML)
    elements = Elements()
    elements.feed(nnexp.load_run("a", "tracking=none")._repr_html_())
    assert (elements.bad, elements.tags & {"script", "svg"}) == ([], set())


def test_text_on_a_terminal_is_visible(capsys):
    assert visible("λ = 1, 日本, naïve, 👩‍💻\n\ttab") == "λ = 1, 日本, naïve, 👩‍💻\n\ttab"
    assert visible("a\x1b[2Jb\rc\u202ed\x9be") == r"a\x1b[2Jb\rc\u202ed\x9be"
    assert visible("a\nb", kept="") == r"a\nb"
    tell(ESCAPES)
    say(ESCAPES)
    tell(table([("status", f"{ESCAPES}\nrun  forged")]))
    line = StatusLine()
    line.show([ESCAPES])
    out, err = capsys.readouterr()
    assert not set(out + err) & set("\x1b\x07\x9b\u202e\r\x08")
    assert len(out.splitlines()) == 2


def test_a_long_name_is_a_files_name_all_the_same():
    names = ["x" * 6000, "x" * 5999 + "y", "é" * 100]
    assert all(len(slug(name).encode()) < 100 for name in names)
    assert len({slug(name) for name in names}) == 3
    assert slug("model.l2=0.5") == "model_l2_0_5"


SHOWN = tasks.find(tasks.NETWORK).presentation


def assert_is_text(note):
    """No link, picture or element but those of nnexp itself."""
    assert not re.search(r"(?<!\\)!?\[click|(?<!\\)!\[x|<", note), note
    assert not re.search(r"\]\((javascript|http)", re.sub(r"\\\]", "", note)), note


def test_notes_show_hostile_texts_as_they_are(victim):
    record = nnexp.load_run("a", "tracking=none")._source._record
    params = {**record.params, "data.name": MARKDOWN, "optimizer.method": MARKDOWN}
    record = replace(record, params=params, overrides=(MARKDOWN,), tags={**record.tags, "nnexp.rerun_of": MARKDOWN})
    tags = {"nnexp.changed": MARKDOWN, "nnexp.check": MARKDOWN}
    for status in (RunStatus.FAILED, RunStatus.KILLED):
        note = run_note(SHOWN, record, RunResult("a", status, MARKDOWN, 1.0, tags=tags), "abc")
        assert_is_text(re.sub(r"`[^`\n]*`", "", note.replace("\\`", "")))
    plan = replace(made_up.plan("s", swept_keys=("x",)), name=MARKDOWN, command=MARKDOWN)
    best = [type("Best", (), {"shown": "90 %", "name": MARKDOWN, "runs": (("", "r1"),)})]
    note = sweep_note(plan, {}, best, "by accuracy", [MARKDOWN], {"table": "#/t"}, "#/", [MARKDOWN])
    assert_is_text(re.sub(r"`[^`\n]*`", "", note.replace("\\`", "")))
    assert plain("model.hidden_size=[5|6]") == r"model.hidden_size=\[5\|6\]"
