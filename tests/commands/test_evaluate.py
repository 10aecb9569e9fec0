"""`nnexp evaluate --weights`: a run is judged by what it recorded, and what it was trained on is said."""

import json
import shutil

import pytest

from nnexp.cli import main
from tests.tools.real_runs import make, publish, write_mat

pytestmark = pytest.mark.slow  # each takes seconds, alone or by its fixtures

OWN = ["data=mat", "data.path=own.mat", "model.hidden_size=5", "optimizer.maxfun=12"]
JOBS = [
    ["experiment=smoke", "seed=5", "model.l2=3", "training.dtype=float32"],
    OWN,
    [*OWN, "data.test_size=0"],
]


@pytest.fixture(scope="module")
def made(tmp_path_factory, cache):
    """A working folder and its three runs: of another seed than the default, on own data, with nothing held out."""
    path = tmp_path_factory.mktemp("evaluate")
    cache.mkdir(exist_ok=True)
    (path / "data").symlink_to(cache)
    write_mat(path / "own.mat")
    return path, make(path, JOBS)


@pytest.fixture
def folder(made):
    return made[0]


@pytest.fixture
def runs(made, monkeypatch):
    monkeypatch.chdir(made[0])
    return made[1]


@pytest.fixture
def evaluate(runs, capsys):
    """The JSON object of the command."""

    def call(word, *overrides):
        status = main(["evaluate", "--weights", str(word), *overrides, "--json"])
        out, err = capsys.readouterr()
        assert (status, err) == (0, "")
        return json.loads(out)

    return call


def result_of(run):
    return json.loads((run / "result.json").read_text())


def test_a_run_is_judged_on_the_part_that_it_held_out_by_its_own_config(runs, evaluate):
    for run in runs[:2]:
        told, result = evaluate(run), result_of(run)
        assert (told["part"], told["trained_on"]) == ("test", 0)
        assert (told["accuracy"], told["loss"]) == (result["accuracy/test"], pytest.approx(result["loss/test"]))
        assert told["train"]["cost"] == result["cost"]  # to the bit
        assert (told["train"]["loss"], told["train"]["accuracy"]) == (result["loss"], result["accuracy/train"])


def test_a_run_is_named_as_for_rerun(runs, evaluate, folder, monkeypatch):
    run = runs[0]
    uid = json.loads((run / "run.json").read_text())["uid"]
    expected = evaluate(run)
    for word in (run / "weights.npz", run.name, uid, uid[:20], run.relative_to(folder)):
        assert evaluate(word) == expected


def test_overrides_come_on_top_and_samples_that_were_trained_on_are_counted(runs, evaluate):
    run = runs[0]
    other_split = evaluate(run, "seed=0")
    assert 0 < other_split["trained_on"] < other_split["n_samples"] == 359
    assert other_split["train"]["cost"] == result_of(run)["cost"]
    without = evaluate(run, "model.l2=0")
    assert without["cost"] == without["loss"] == pytest.approx(evaluate(run)["loss"])
    assert evaluate(run, "data.test_size=0")["trained_on"] == evaluate(run)["train"]["n_samples"]


def test_a_run_that_held_nothing_out_says_that_it_was_trained_on_the_samples(runs, evaluate, capsys):
    told = evaluate(runs[2])
    assert (told["part"], told["trained_on"], told["n_samples"], told["train"]) == ("whole", 90, 90, None)
    assert told["cost"] == result_of(runs[2])["cost"]
    assert main(["evaluate", "--weights", str(runs[2])]) == 0
    assert "whole part, 90 samples: it was trained on these samples" in capsys.readouterr().out


def test_a_person_is_told_which_part_and_how_many_samples_beside_the_training_part(runs, capsys):
    assert main(["evaluate", "--weights", str(runs[0])]) == 0
    out = capsys.readouterr().out
    assert "test part, 359 samples: it was trained on none of these samples" in out
    assert f"{result_of(runs[0])['cost']:.12f}" in out
    assert main(["evaluate", "--weights", str(runs[0]), "seed=0"]) == 0
    assert "of these samples" in capsys.readouterr().out


def test_weights_that_belong_to_no_run_are_judged_by_the_config(runs, evaluate, tmp_path):
    shutil.copy(runs[0] / "weights.npz", tmp_path / "plain.npz")
    told = evaluate(tmp_path / "plain.npz", "experiment=smoke")
    assert set(told) == {"cost", "loss", "accuracy", "n_samples", "part"}
    assert told["accuracy"] == evaluate(runs[0], "seed=0")["accuracy"]


@pytest.mark.slow
def test_a_run_that_only_the_store_has_is_judged_by_its_recorded_config(runs, evaluate, folder, empty_store):
    run_id = publish(runs[0], empty_store(folder / "outputs/mlflow.db"))
    expected = evaluate(runs[0])
    runs[0].rename(folder / "elsewhere")
    try:
        assert evaluate(run_id[:12]) == expected
    finally:
        (folder / "elsewhere").rename(runs[0])


def test_changed_data_are_refused_unless_they_are_asked_for(runs, evaluate, folder, capsys):
    shutil.copy(folder / "own.mat", folder / "kept.mat")
    write_mat(folder / "own.mat", shift=0.5)
    try:
        for overrides in ([], ["data.scale=minmax"], ["data.test_size=0"]):  # which ask for no other data
            assert main(["evaluate", "--weights", str(runs[1]), *overrides]) == 2
            assert "have changed since it was trained" in capsys.readouterr().err
        told = evaluate(runs[1], "data.path=own.mat")
        assert (told["trained_on"], told["train"]) == (None, None)
    finally:
        (folder / "kept.mat").replace(folder / "own.mat")


@pytest.mark.parametrize("override", ["model.hidden_size=3", "model.activation=tanh", "data=ex4"])
def test_overrides_that_ask_for_another_network_are_refused(runs, capsys, override):
    assert main(["evaluate", "--weights", str(runs[0]), override]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)


@pytest.mark.parametrize("word", ["no/such.npz", "ffffffff", "outputs"])
def test_what_names_nothing_is_refused_and_makes_no_store(tmp_path, monkeypatch, capsys, word):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    assert main(["evaluate", "--weights", word]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not list(tmp_path.rglob("*.db"))


def test_the_data_file_of_a_moved_project_is_found_beside_it(runs, folder, tmp_path, monkeypatch, capsys):
    moved = tmp_path / "moved"
    (moved / "outputs/runs").mkdir(parents=True)
    shutil.copytree(runs[1], moved / "outputs/runs" / runs[1].name)
    (folder / "own.mat").rename(moved / "own.mat")
    monkeypatch.chdir(tmp_path)
    try:
        assert main(["evaluate", "--weights", str(moved / "outputs/runs" / runs[1].name), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["train"]["cost"] == result_of(runs[1])["cost"]
    finally:
        (moved / "own.mat").rename(folder / "own.mat")
