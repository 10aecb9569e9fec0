"""Which run is meant, and the runs that are not made again: one clear line each, and nothing is trained."""

import json
import shutil
import time

import pytest

from nnexp import execute
from nnexp.cli import main
from nnexp.rerun import sweep
from nnexp.rerun.source import DirectorySource
from nnexp.runs import lease
from nnexp.runs.directory import RunDirectory
from nnexp.runs.tags import UID
from nnexp.tracking.store import open_store
from tests.tools import made_up
from tests.tools.real_runs import copy_of, edit_json, make, publish, rerun

JOBS = [["experiment=smoke", f"optimizer.maxfun={n}", "optimizer=lbfgsb"] for n in (6, 7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cache, empty_store):
    """A working folder with two runs and a store that has the first."""
    path = tmp_path_factory.mktemp("refused")
    cache.mkdir(exist_ok=True)
    (path / "data").symlink_to(cache)
    first, _ = make(path, JOBS)
    publish(first, empty_store(path / "outputs/mlflow.db"))
    return path


@pytest.fixture
def store(folder):
    return open_store(f"sqlite:///{folder}/outputs/mlflow.db", "nnexp")


@pytest.fixture
def directory(folder):
    """The published run."""
    return next(path.parent for path in sorted(folder.glob("outputs/runs/*/published.json")))


@pytest.fixture
def refused(folder, monkeypatch, capsys):
    """`nnexp rerun`, which must say one line, train nothing and end with 2; returns the line."""
    monkeypatch.chdir(folder)

    def trains(task):
        raise AssertionError("something was trained")

    monkeypatch.setattr(execute, "execute", trains)

    def call(*words):
        status = main(["rerun", *map(str, words), "--json"])
        out, err = capsys.readouterr()
        assert (status, out) == (2, "")
        assert len(err.splitlines()) == 1
        return err

    return call


@pytest.mark.slow
@pytest.mark.parametrize("word", ["ffffffffffffffffffffffffffffffff", "0ddba11", "no/such/folder", "what?", "20200101"])
def test_unknown_word(refused, word):
    assert word in refused(word)


def test_unknown_id_where_there_is_no_store(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no such run" in refused("0ddba11")
    assert not (tmp_path / "outputs").exists()


def test_ambiguous_beginning_lists_what_it_could_be(refused, folder):
    uids = [json.loads(path.read_text())["uid"] for path in folder.glob("outputs/runs/*/run.json")]
    line = refused(uids[0][:8])
    assert "is ambiguous" in line
    assert any(uid in line for uid in uids)


def test_somebody_elses_run(refused, store):
    run_id = store.create("their run", time.time(), {})
    assert "was not made by nnexp" in refused(run_id)


def test_dry_run(refused, directory):
    assert "`dry_run` must be false in a rerun" in refused(directory, "dry_run=true")


@pytest.mark.parametrize("alive", [True, False])
def test_running_run(refused, directory, alive):
    running = copy_of(directory, f"running-{alive}")
    (running / "result.json").unlink()
    if alive:
        edit_json(running / "run.json", owner=lease.owner())
        assert "still running" in refused(running)
    else:
        for name in ("history.csv", "reports/history.csv"):
            (running / name).unlink()
        assert "interrupted before it had numbers to check" in refused(running, "--check")


def test_failed_run_has_no_numbers_to_check(refused, directory):
    failed = copy_of(directory, "failed")
    edit_json(failed / "result.json", status="FAILED", message="the cost is not finite")
    line = refused(failed, "--check")
    assert "failed (the cost is not finite)" in line
    assert "no numbers to check" in line


def test_key_that_there_no_longer_is(refused, directory):
    old = copy_of(directory, "older")
    path = old / "config" / "config.yaml"
    path.write_text(path.read_text().replace("model:\n", "model:\n  dropout: 0.5\n"))
    assert "`model.dropout` = 0.5, which is no longer a config key" in refused(old)


def test_config_that_was_edited_after_the_run(refused, directory):
    edited = copy_of(directory, "edited")
    path = edited / "config" / "config.yaml"
    path.write_text(path.read_text().replace("maxfun: 6", "maxfun: 8"))
    assert "says `optimizer.maxfun` = 8, the run was made with 6" in refused(edited)


@pytest.mark.parametrize("text", ["[1, 2]", "model: {", ""])
def test_damaged_config(refused, directory, text):
    damaged = copy_of(directory, f"damaged-{len(text)}")
    (damaged / "config" / "config.yaml").write_text(text)
    assert "config.yaml" in refused(damaged)


def test_weights_that_were_exchanged_are_no_proof(refused, folder, directory):
    [other] = [p.parent for p in folder.glob("outputs/runs/2*/run.json") if p.parent != directory][:1]
    damaged = copy_of(directory, "exchanged")
    shutil.copy(other / "weights.npz", damaged / "weights.npz")
    assert "weights.npz was changed after the run" in refused(damaged, "--check")


def test_history_that_was_edited_is_no_proof(refused, directory):
    damaged = copy_of(directory, "rewritten")
    path = damaged / "history.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    assert "history.csv was changed after the run" in refused(damaged, "--check")


def test_run_of_a_sweep_with_a_damaged_file_is_refused_and_holds_up_no_other(directory):
    damaged = copy_of(directory, "damaged-weights")
    (damaged / "weights.npz").write_bytes(b"PK")
    refused = sweep._one("a job", DirectorySource(RunDirectory(damaged)), [], True).refused
    assert refused.startswith(f"{damaged}/weights.npz is damaged: ")


def test_run_of_the_store_without_files(refused, store):
    tags = {UID: "elsewhere-1", "nnexp.directory": "/nowhere", "nnexp.run_key": "k"}
    run_id = store.create("cut off elsewhere", time.time(), tags)
    store.terminate(run_id, "KILLED")
    assert "neither on this machine nor in the store" in refused(run_id)


@pytest.mark.slow
def test_run_of_the_store_is_repeated_from_its_artifacts_alone(folder, directory, tmp_path):
    run_id = json.loads((directory / "result.json").read_text())["run_id"]
    aside = directory.rename(tmp_path / "aside")
    uri = f"tracking.uri=sqlite:///{folder}/outputs/mlflow.db"
    try:
        [(status, told, err)] = rerun(tmp_path, [[run_id[:12], "--check", uri]], tracking="mlflow")
        [(unknown, _, line)] = rerun(tmp_path, [[run_id, "--check", uri]])
    finally:
        aside.rename(directory)
    assert status == 0, err
    assert (told["verdict"], told["changed"]) == ("identical", [])
    assert told["original_run_id"] == run_id
    assert unknown == 2  # without a store there is no such run
    assert "no such run" in line


@pytest.mark.slow
def test_interrupted_run_is_compared_as_far_as_it_goes(folder, directory):
    killed = copy_of(directory, "killed")
    edit_json(killed / "result.json", status="KILLED", message="interrupted")
    path = killed / "history.csv"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if line[0] in "s012"))
    [(status, told, _)] = rerun(folder, [[killed, "--check"]])
    assert (status, told["verdict"], told["compared"]) == (0, "identical", "2 rows of the history")


@pytest.mark.slow
def test_failed_run_is_run_again_without_check(folder, directory):
    failed = copy_of(directory, "failed-once")
    edit_json(failed / "result.json", status="FAILED", message="no memory")
    [(status, told, _)] = rerun(folder, [[failed]])
    assert (status, told["verdict"], told["changed"]) == (0, None, [])


@pytest.mark.slow
def test_job_of_a_sweep_that_never_ran_leaves_the_verdict_open(folder, directory):
    record = json.loads((directory / "run.json").read_text())
    key = record["tags"]["nnexp.run_key"]
    plan = made_up.plan("feedfacecafebeef", [key, "0" * 32])
    path = folder / "outputs" / "sweeps" / "feedfacecafebeef"
    path.mkdir(parents=True)
    (path / "plan.json").write_text(json.dumps(plan.to_json()))
    [(status, told, _)] = rerun(folder, [["feedface", "--check"]])
    assert (status, told["verdict"]) == (3, None)
    assert [run["verdict"] for run in told["runs"]] == ["identical", None]
    assert told["runs"][1]["refused"] == "it was never run"
