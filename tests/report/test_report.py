"""Whole reports, made from runs by hand."""

import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from nnexp.comparison.spec import References
from nnexp.errors import UsageError
from nnexp.report.files import RunFiles
from nnexp.report.make import write_report
from nnexp.report.selection import Found
from tests.report.runs import grid, grouped, stored_run, trained_run
from tests.tools import made_up

pytestmark = pytest.mark.slow  # each takes seconds, alone or by its fixtures


class NoClient:
    """A store that knows nothing: all files lie on this machine."""

    def get_metric_history(self, run_id, key):
        return []


class NoStore:
    client = NoClient()


def report(runs, folder, plan=None, formats=("png",), margin=None):
    return write_report(Found(runs, "a test", "test", plan), RunFiles(NoStore()), folder, formats, margin)


def names(result):
    return {path.stem for path in result.files if path.parent.name == "figures"}


@pytest.fixture
def l2_runs(tmp_path):
    def accuracy(model__l2, seed):
        return 0.9 - 0.02 * model__l2 + 0.01 * seed

    return grid(tmp_path / "runs", accuracy=accuracy, model__l2=(0.0, 1.0, 10.0), seed=(0, 1, 2))


class Tags(HTMLParser):
    """The tags and ids of a page, and whether each is closed."""

    VOID = ("meta", "br", "path", "use", "image", "rect")

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.ids = [], [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def assert_stands_alone(page):
    """Nothing is fetched, all tags are closed, all ids are unique and all that is referred to is there."""
    page = re.sub(r"data:image/png;base64,[\w+/=\s]+", "data:", page)
    assert not re.search(r"https?:|//[a-z]|@import|\burl\((?!#)", page)
    for link in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert link.startswith(("#", "data:"))
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert not {"script", "link", "iframe", "object"} & set(tags.seen)
    assert len(tags.ids) == len(set(tags.ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', page)) <= set(tags.ids)


def test_a_sweep_of_lambda_has_its_figures_and_tables_and_its_page_stands_alone(l2_runs, tmp_path):
    result = report(l2_runs, tmp_path / "out", formats=("png", "svg"))
    assert names(result) == {"curves", "over-model_l2", "classes", "confusion", "hidden_layers"}
    assert all(path.stat().st_size > 0 for path in result.files)
    assert result.n_runs == 9
    assert result.sentences[0] == "9 runs, all finished."
    page = result.path.read_text()
    assert_stands_alone(page)
    assert page.count("<figure>") == 5
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    text, binary = pd.read_csv(tmp_path / "out" / "runs.csv"), pd.read_parquet(tmp_path / "out" / "runs.parquet")
    assert list(text.columns) == list(binary.columns)
    for key in ("model.l2", "accuracy/test", "run_id"):
        assert text[key].tolist() == binary[key].tolist()

    report(l2_runs[:1], tmp_path / "out")  # made again of fewer runs, it leaves no figure of the first
    assert {path.name for path in (tmp_path / "out" / "figures").iterdir()} == {"curves.png"}


def test_methods_over_two_problems_get_a_map_and_profiles(tmp_path):
    runs = []
    for size in (4, 8):
        for method, rate in (("TNC", 0.6), ("CG", 0.3)):
            runs.append(trained_run(tmp_path, len(runs), optimizer__method=method, rate=rate, model__hidden_size=size))
    result = report(runs, tmp_path / "out", formats=())
    assert result.path.read_text().count("Performance profiles".lower()) > 0
    assert "Mean test accuracy over method and hidden units; the best is framed." in result.path.read_text()
    text = " ".join(result.sentences)
    assert "fastest in evaluations is TNC on 2; solved within their budgets: TNC 2 and CG 0." in text
    assert "TNC · 4 units has the lowest training cost whether all get 11 iterations, 23 evaluations or" in text


def test_references_that_cannot_be_made_are_told_and_the_report_goes_on(tmp_path, capfd):
    runs = [trained_run(tmp_path, 2 * seed + i, optimizer__method=method, rate=rate, seed=seed)
            for seed in range(2) for i, (method, rate) in enumerate((("TNC", 0.6), ("CG", 0.3)))]  # fmt: skip
    wanted = References(tmp_path / "references", 10)
    result = write_report(Found(runs, "", ""), RunFiles(NoStore()), tmp_path / "out", (), references=wanted)
    assert "No reference run could be made, so fL is the lowest cost that any of these" in " ".join(result.sentences)
    assert "no reference for a problem on digits: no run on it has a config/config.yaml" in capfd.readouterr().err


def test_sixty_runs_of_three_keys_stay_small(tmp_path):
    def accuracy(model__l2, model__hidden_size, **_):
        return 0.8 + 0.01 * model__hidden_size - 0.01 * model__l2

    swept = {
        "model__l2": (0.0, 1.0, 3.0),
        "model__hidden_size": (4, 8),
        "model__init_scale": (0.1, 0.2),
        "seed": range(5),
    }
    runs = grid(tmp_path, accuracy=accuracy, **swept)
    result = report(runs, tmp_path / "out")
    assert result.n_runs == 60
    assert "parallel" in names(result)
    assert "map" not in names(result)
    assert result.path.stat().st_size < 2e6


def test_a_search_without_a_grid_is_scattered(tmp_path):
    metrics = {"accuracy/test": 0.8}
    runs = [
        stored_run(tmp_path, i, metrics=metrics, model__l2=0.37 * i**3, model__init_scale=0.1 + 0.01 * i)
        for i in range(8)
    ]
    assert names(report(runs, tmp_path / "out")) == {"scatter"}


def test_one_run_shows_its_curves_and_nothing_to_compare(tmp_path):
    result = report([trained_run(tmp_path, 0)], tmp_path / "out")
    assert names(result) == {"curves"}
    assert "there is nothing to compare it with" in " ".join(result.sentences)


def test_failed_runs_alone_give_a_sentence_and_a_table(tmp_path):
    runs = [stored_run(tmp_path, i, status="FAILED", message="NonFiniteCostError: <at 3>") for i in range(2)]
    runs.append(stored_run(tmp_path, 2, status="RUNNING", model__activation="<b>"))
    result = report(runs, tmp_path / "out")
    assert result.sentences == (
        "No run has finished, so there is nothing to compare; the table lists the 3 runs.",
        "2 runs failed: NonFiniteCostError: <at 3> (2 times).",
        "1 run is still running.",
    )
    assert not names(result)
    assert "NonFiniteCostError: &lt;at 3&gt;" in result.path.read_text()
    assert "<b>" not in result.path.read_text()
    assert_stands_alone(result.path.read_text())
    assert pd.read_csv(tmp_path / "out" / "runs.csv")["status"].tolist() == ["FAILED", "FAILED", "RUNNING"]


def test_different_data_sets_are_not_compared(tmp_path):
    metrics = {"accuracy/test": 0.9, "loss/test": 0.3}
    runs = [stored_run(tmp_path, i, metrics=metrics, digest="d1", model__l2=float(i)) for i in range(3)]
    runs += [
        stored_run(tmp_path, 3 + i, metrics=metrics, digest="d2", data__name="ex4", model__l2=float(i))
        for i in range(2)
    ]
    result = report(runs, tmp_path / "out", formats=("svg",))
    assert (
        "The runs are of 2 data sets: digits (3 runs) and ex4 (2 runs). "
        "Their figures do not compare, so each data set has its own part below."
    ) in result.sentences
    assert names(result) == {"digits-over-model_l2"}
    page = result.path.read_text()
    assert "<h2>Data set digits</h2>" in page
    assert "<h2>Data set ex4</h2>" in page


def test_the_command_of_a_sweep_is_shown_as_text(tmp_path):
    result = report(
        [stored_run(tmp_path, 0, status="FAILED")],
        tmp_path / "out",
        made_up.plan("abc", command="nnexp -m seed=0,1 <x>"),
    )
    assert "nnexp -m seed=0,1 &lt;x&gt;" in result.path.read_text()


def test_a_report_over_mixed_runs_names_settings_by_letters_and_compares_no_training_loss(tmp_path):
    swept = {"model__l2": (0.0, 1.0), "model__init_scale": (0.1, 0.2), "training__dtype": ("float64", "float32")}
    runs = grid(tmp_path, accuracy=lambda model__l2, **_: 0.9 - 0.1 * model__l2, **swept, seed=(0, 1))
    whole = trained_run(tmp_path, 90, model__l2=5.0, model__init_scale=0.1, training__dtype="float64")
    for key in ("accuracy/test", "loss/test"):
        del whole.metrics[key]
    history = pd.read_csv(tmp_path / whole.run_id / "reports/history.csv")
    history.drop(columns=["accuracy/test", "loss/test"]).to_csv(
        tmp_path / whole.run_id / "reports/history.csv", index=False
    )
    result = report([*runs, whole], tmp_path / "out", formats=("svg",))
    page = result.path.read_text()
    assert "<caption><span>The settings: all that differs between them.</span></caption>" in page
    assert re.search(r"<tr class=\"best\"><td class=\"text\">A</td>", page)
    assert "lowest training loss" not in page
    assert "test loss" in " ".join(result.sentences)  # of the runs that have one
    assert "0 of 0" not in page
    assert "8 of 9 settings are shown" in page  # in the picture of the hidden layers
    for figure in (tmp_path / "out/figures").glob("*.svg"):
        assert " · " not in figure.read_text(), figure.name


def test_ticks_of_many_lambdas_are_round_and_apart(tmp_path):
    from nnexp.comparison import maps, responses

    lambdas = [0.0101 * 1.23**i for i in range(40)]
    runs = [stored_run(tmp_path, i, metrics={"accuracy/test": 0.8}, model__l2=l2) for i, l2 in enumerate(lambdas)]
    (group,) = grouped(runs)
    for draw in (maps.scatter, lambda g: responses.response_curve(g, "model.l2")):
        figure = draw(group)
        figure.canvas.draw()
        axes = figure.axes[0]
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0.1", "1", "10"]
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_a_difference_of_confusion_matrices_writes_no_signed_zero():
    from nnexp.tasks.network.report.classes import ClassFigures, confusions

    def figures(counts):
        return ClassFigures("x", ("a", "b"), {}, np.array(counts))

    figure = confusions(figures([[995, 5], [0, 1000]]), figures([[1000, 0], [20, 980]]))
    written = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert "+2" in written
    assert not {"+0", "−0", "-0", "0"} & written


def test_a_margin_in_percentage_points_is_refused_before_anything_is_written(l2_runs, tmp_path):
    with pytest.raises(UsageError, match=r"`report.margin` must be < 1 for test accuracy, which is a share, got 5"):
        report(l2_runs, tmp_path / "out", margin=5.0)
    assert not (tmp_path / "out").exists()
