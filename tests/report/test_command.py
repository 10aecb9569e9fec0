"""`nnexp report` on a real store."""

import json
import re

import matplotlib
import pytest

from nnexp.cli import main
from nnexp.commands.report import report as command
from nnexp.errors import UsageError
from nnexp.report import Selection, make_report
from nnexp.report.files import RunFiles
from nnexp.report.selection import find
from nnexp.tracking.store import Store
from tests.report.runs import BASE
from tests.tools import made_up


@pytest.fixture(scope="module")
def folder(tmp_path_factory, empty_store):
    """A folder with a store: two sweeps and a single run; the newer sweep's second job was done by the single run."""
    folder = tmp_path_factory.mktemp("report")
    store = Store(empty_store(folder / "outputs/mlflow.db"), "nnexp")
    add_run(store, 0, "key-elsewhere", seed=1)
    add_sweep(store, "aaab1", ["x", "y"], start=1)
    for number, key in enumerate(("x", "y")):
        add_run(store, 1 + number, key, {"nnexp.sweep": "aaab1"}, model__l2=float(number))
    add_sweep(store, "aaac2", ["z", "key-elsewhere", "to come"], start=5)
    add_run(store, 6, "z", {"nnexp.sweep": "aaac2"})
    return folder


def add_sweep(store, sweep, keys, start):
    run_id = store.create(f"sweep {sweep}", start, {"nnexp.kind": "sweep", "nnexp.sweep": sweep})
    store.client.log_text(run_id, json.dumps(made_up.plan(sweep, keys).to_json()), "plan.json")


def add_run(store, start, key, tags=None, **params):
    from mlflow.entities import Metric, Param

    values = BASE | {name.replace("__", "."): str(value) for name, value in params.items()}
    run_id = store.create(f"run {start}", start, {"nnexp.run_key": key, "nnexp.data_digest": "d"} | (tags or {}))
    metrics = [
        Metric(name, value / (1 + step), 1000 * start + 250 * step, step)
        for step in range(3)
        for name, value in (("cost/train", 3.0), ("accuracy/test", 0.9), ("loss/test", 3.0), ("optimizer/n_fev", 1.0))
    ]
    store.client.log_batch(run_id, metrics=metrics, params=[Param(*item) for item in values.items()])
    store.terminate(run_id, "FINISHED", start + 1)


@pytest.fixture
def store(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return Store("sqlite:///outputs/mlflow.db", "nnexp")


def names(found):
    return [run.name for run in found.runs]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"evaluations": 5}, "--reference is missing"),
        ({"reference": True, "evaluations": 0}, "`--evaluations` must be >= 1, got 0"),
    ],
)
def test_evaluations_are_those_of_reference_runs_and_at_least_one(store, asked, told):
    with pytest.raises(UsageError, match=told):
        command([], **asked)


def test_the_newest_sweep_is_the_default_and_runs_elsewhere_stand_for_its_jobs(store):
    found = find(store, Selection("sweep"))
    assert found.name == "aaac2"
    assert names(found) == ["run 6", "run 0"]
    assert found.plan.command == "nnexp -m seed=0,1"


@pytest.mark.parametrize("value", ["aaab1", "aaab"])
def test_a_sweep_is_named_by_its_id_or_the_beginning_of_it(store, value):
    assert names(find(store, Selection("sweep", value))) == ["run 1", "run 2"]


def test_an_experiment_is_all_its_runs_without_the_sweeps_own(store):
    assert len(find(store, Selection("experiment")).runs) == 4


def test_a_filter_takes_what_matches(store):
    assert names(find(store, Selection("filter", "params.`model.l2` = '0.0'"))) == ["run 1"]


@pytest.mark.parametrize(
    ("selection", "experiment", "message"),
    [
        (Selection("sweep", "aaa"), "nnexp", "aaa is ambiguous: 2 ids begin with it"),
        (Selection("sweep", "nosuch"), "nnexp", "nosuch: there is no such run or sweep"),
        (Selection("filter", "params.`seed` = '77'"), "nnexp", "No run of the experiment 'nnexp' matches"),
        (Selection("filter", "nonsense ="), "nnexp", "The filter 'nonsense =' cannot be read"),
        (Selection("experiment"), "typo", "There is no experiment 'typo'"),
    ],
)
def test_nothing_found_is_one_sentence(store, selection, experiment, message):
    asked = Store(store.uri, experiment)
    with pytest.raises(UsageError, match=message) as raised:
        find(asked, selection)
    assert "\n" not in str(raised.value)
    assert store.client.get_experiment_by_name("typo") is None


def test_a_history_without_its_file_comes_from_the_metrics(store):
    (run,) = find(store, Selection("filter", "params.`model.l2` = '0.0'")).runs
    history = RunFiles(store).histories([run])[run.run_id]
    assert history["step"].tolist() == [0, 1, 2]
    assert history["cost/train"].tolist() == [3, 1.5, 1]
    assert history["seconds"].tolist() == [0, 0.25, 0.5]


def test_files_come_from_the_store_where_this_machine_does_not_have_them(store, monkeypatch):
    monkeypatch.setattr(RunFiles, "_folder", lambda self, run: None)
    (parent,) = store.search("tags.`nnexp.sweep` = 'aaab1' and tags.`nnexp.kind` = 'sweep'")
    files = RunFiles(store)
    assert json.loads(files.read(parent, "plan.json") or "")["sweep"] == "aaab1"
    assert files.read(parent, "weights.npz") is None
    assert files.histories([parent]) == {}


@pytest.mark.slow
def test_make_report_writes_into_the_folder_and_only_reads_the_store(store, tmp_path):
    before = [run.tags for run in store.search()]
    result = make_report(store, Selection("sweep", "aaac2"), tmp_path / "out", formats=("pdf",))
    assert result.path == tmp_path / "out" / "report.html"
    assert result.n_runs == 2
    assert (tmp_path / "out" / "figures" / "curves.pdf").exists()
    assert result.latex is None
    assert not (tmp_path / "out" / "latex").exists()
    assert "1 job of the plan has no run yet." in result.sentences
    assert [run.tags for run in store.search()] == before


@pytest.mark.slow
def test_the_command_prints_where_the_page_and_its_latex_are(store, folder, capsys):
    assert main(["report", "--json", "--latex", "aaab1"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["n_runs"] == 2
    assert (folder / "outputs/reports/aaab1/latex/report.tex").samefile(printed["latex"])
    assert (folder / "outputs/reports/aaab1/report.html").samefile(printed["path"])


@pytest.mark.parametrize(
    "words",
    [
        ["nosuch"],
        ["--filter", "params.seed = '77'"],
        ["--experiment", "typo"],
        ["aaab1", "--filter", "params.seed = '0'"],
        ["tracking.uri=sqlite:///nowhere.db"],
        ["figures.format=bmp"],
    ],
)
def test_what_is_not_there_is_told_in_one_line_with_status_2(store, capsys, words):
    assert main(["report", *words]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1


@pytest.mark.slow
def test_the_users_own_style_changes_no_picture_of_a_report(folder, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(folder)
    words = ["report", "aaab1", "--json", "--directory"]
    assert main([*words, str(tmp_path / "plain")]) == 0
    with matplotlib.rc_context({"text.usetex": True, "figure.facecolor": "black", "axes.grid": True}):
        assert main([*words, str(tmp_path / "users")]) == 0
    drawn = [re.findall("<svg.*?</svg>", (tmp_path / name / "report.html").read_text(), re.DOTALL)
             for name in ("plain", "users")]  # fmt: skip
    assert drawn[0] == drawn[1] != []
