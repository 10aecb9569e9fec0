"""A word means the same run or sweep to every command."""

import json

import pytest

from nnexp.cli import main
from nnexp.recovery import sync
from nnexp.runs.directory import RunDirectory
from nnexp.sweeps.publication import SweepPublication
from nnexp.tracking.store import Store
from tests.tools import made_up

pytestmark = pytest.mark.slow  # each takes seconds, alone or by its fixtures

SWEEP = "feedfacecafebeef"
RUNS = ("20260101-first", "20260102-second")
WORDS_FOR_A_RUN = {
    "directory": lambda d: str(d.path),
    "name of the directory": lambda d: d.path.name,
    "id in the store": lambda d: d.result.run_id,
    "beginning of the id in the store": lambda d: d.result.run_id[:10],
    "own id": lambda d: d.uid,
    "beginning of the own id": lambda d: d.uid[:-2],
}
WORDS_FOR_A_SWEEP = {
    "id": lambda folder, parent: SWEEP,
    "beginning of the id": lambda folder, parent: SWEEP[:4],
    "folder": lambda folder, parent: str(folder / "outputs" / "sweeps" / SWEEP),
    "id of the parent run": lambda folder, parent: parent,
    "beginning of the parent run's id": lambda folder, parent: parent[:10],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, empty_store):
    """A folder with a store: a sweep of two runs without weights, so that no command can do more than name them."""
    folder = tmp_path_factory.mktemp("lookup")
    root = folder / "outputs"
    store = Store(empty_store(root / "mlflow.db"), "nnexp")
    for name in RUNS:
        directory = made_up.whole(root, name, store=store, sweep=SWEEP)
        (directory.path / "weights.npz").unlink()
    plan = made_up.plan(SWEEP, [f"key of {name}" for name in RUNS], uri=store.uri, experiment="nnexp")
    sweep = root / "sweeps" / SWEEP
    sweep.mkdir(parents=True)
    (sweep / "plan.json").write_text(json.dumps(plan.to_json()))
    told = []
    assert sync(root, [SWEEP], default_uri=store.uri, tell=told.append, parent_of=SweepPublication) == (2, 0), told
    return folder


@pytest.fixture
def run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return RunDirectory(folder / "outputs" / "runs" / RUNS[0])


@pytest.fixture
def parent(folder, run):
    [parent] = Store(f"sqlite:///{folder}/outputs/mlflow.db", "nnexp").sweeps()
    return parent.run_id


@pytest.fixture
def command(capsys):
    """Exit status, JSON object or None, and standard error of a command."""

    def call(*words):
        status = main([*words, "--json"])
        out, err = capsys.readouterr()
        return status, json.loads(out) if out else None, err

    return call


@pytest.mark.parametrize("word", WORDS_FOR_A_RUN.values(), ids=WORDS_FOR_A_RUN)
def test_a_word_for_a_run_means_it_to_rerun_evaluate_and_sync(run, command, word):
    named = f"run {run.result.run_id} (a run)"
    for words in (["rerun", word(run), "--check"], ["evaluate", "--weights", word(run)]):
        status, _, err = command(*words)
        assert status == 2
        assert err.startswith(named)
        assert "weights.npz" in err
    assert command("sync", word(run))[:2] == (0, {"published": 1, "kept_back": 0})
    status, _, err = command("report", word(run))
    assert (status, named in err) == (2, True)


@pytest.mark.parametrize("word", WORDS_FOR_A_SWEEP.values(), ids=WORDS_FOR_A_SWEEP)
def test_a_word_for_a_sweep_means_it_to_rerun_evaluate_sync_and_report(folder, run, parent, command, word):
    word = word(folder, parent)
    status, told, _ = command("rerun", word, "--check")
    assert (status, told["original_run_id"], len(told["runs"])) == (3, parent, 2)
    assert command("sync", word)[:2] == (0, {"published": 2, "kept_back": 0})
    status, told, _ = command("report", word, "--directory", str(folder / "report"))
    assert (status, told["n_runs"]) == (0, 2)
    status, _, err = command("evaluate", "--weights", word)
    assert (status, f"sweep {SWEEP}; name one of its runs" in err) == (2, True)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("20260", "20260 is ambiguous: 2 ids begin with it: "),
        ("0ddba11", "0ddba11: there is no such run or sweep under "),
        ("fe", "fe: neither a run directory"),
    ],
)
def test_a_word_that_means_nothing_or_several_is_refused_in_the_same_words(run, command, word, said):
    for words in (["rerun", word], ["evaluate", "--weights", word], ["sync", word], ["report", word]):
        status, out, err = command(*words)
        assert (status, out) == (2, None)
        assert err.startswith(said)
