"""What an older version left, on another machine and killed in the middle, goes on in this one: `tests/frozen`.

All goes through the command line. The code digest of this version may differ from that of the frozen runs, and so the
keys of equal jobs; the BLAS kernel too.
"""

import csv
import json
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ARCHIVES = sorted((Path(__file__).parent / "frozen").glob("*.tar.xz"))
SWEEP_OF_SEEDS = ("experiment=smoke", "model.hidden_size=3", "optimizer=gd", "optimizer.maxiter=400")
SWEEP_OF_SEEDS += ("optimizer.maxfun=400", "seed=range(4)", "tracking.heartbeat=0.2")
COUNTS = ("planned", "finished", "failed")
MOVED = "was moved or copied from"


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda path: path.name)
def unpacked(request, tmp_path_factory):
    """What the archive holds."""
    folder = tmp_path_factory.mktemp("frozen")
    with tarfile.open(request.param) as archive:
        archive.extractall(folder, filter="data")
    return folder / "outputs"


@pytest.fixture
def frozen(unpacked, nnexp):
    """The command in a folder with a copy of the frozen output directory."""
    shutil.copytree(unpacked, nnexp.folder / "outputs")
    return nnexp


def read(path):
    return json.loads(path.read_text())


def run_directory(command, name):
    return command.folder / "outputs/runs" / name


def sweeps(command):
    """The counts of each sweep, in the order in which they began."""
    done = command("sweeps", "--json")
    assert done.status == 0, done.err
    return done.json


def stored(command, name):
    """The runs of the store that were made in a directory."""
    return [run for run in command.store().search() if run.tags.get("nnexp.directory", "").endswith(f"/runs/{name}")]


def runs_by_id(command):
    return {run.run_id: run for run in command.store().search()}


def test_sync_publishes_what_was_kept_back_and_closes_what_was_killed(frozen):
    before = {run.run_id for run in frozen.store().search()}
    history = (run_directory(frozen, "killed") / "reports/history.csv").read_text()
    assert "optimizer/n_fev" in history.splitlines()[0]
    assert not stored(frozen, "unpublished")
    done = frozen("sync", "--json")
    # Its own run, the killed one, and three of the sweep; the server of another one is dead.
    assert (done.status, done.json) == (4, {"published": 5, "kept_back": 1}), done.err
    assert "http://127.0.0.1:9" in done.err

    runs = runs_by_id(frozen)
    assert before <= set(runs)
    assert not [run for run in runs.values() if run.status == "RUNNING" and "nnexp.directory" in run.tags]
    [published], [closed] = stored(frozen, "unpublished"), stored(frozen, "killed")
    assert (published.status, closed.status) == ("FINISHED", "KILLED")
    result = read(run_directory(frozen, "unpublished") / "result.json")
    assert published.metrics["cost/train"] == result["cost"]
    assert published.tags["nnexp.theta_digest"] == result["theta_digest"]
    client, rows = frozen.store().client, list(csv.DictReader(history.splitlines()))
    costs = {metric.step: metric.value for metric in client.get_metric_history(closed.run_id, "cost/train")}
    assert costs == {int(row["step"]): float(row["cost/train"]) for row in rows}
    assert read(run_directory(frozen, "killed") / "result.json")["status"] == "KILLED"
    assert [tuple(sweep[key] for key in (*COUNTS, "lost", "running")) for sweep in sweeps(frozen)] == [
        (2, 2, 0, 0, 0), (2, 1, 1, 0, 0), (4, 2, 0, 1, 0),
    ]  # fmt: skip

    copied = frozen("sync", "of-a-dead-server", "--to", f"sqlite:///{frozen.folder}/outputs/mlflow.db", "--json")
    assert (copied.status, copied.json) == (0, {"published": 1, "kept_back": 0}), copied.err
    assert [run.status for run in stored(frozen, "of-a-dead-server")] == ["FINISHED"]


def test_a_finished_run_is_run_again_and_compared_and_its_weights_are_judged(frozen):
    result = read(run_directory(frozen, "finished") / "result.json")
    judged = frozen("evaluate", "--weights", result["run_id"], "--json")
    assert judged.status == 0, judged.err
    assert judged.json["train"]["cost"] == pytest.approx(result["cost"], rel=1e-12)
    assert judged.json["accuracy"] == result["accuracy/test"]

    done = frozen("rerun", result["run_id"], "--check", "--json")
    assert done.status in (0, 3), done.err
    assert done.json["original_run_id"] == result["run_id"]
    assert done.json["verdict"] in ("identical", "equal within rounding", "different")
    assert (done.json["verdict"] == "identical") == (done.status == 0)
    assert done.json["changed"] or done.json["verdict"] == "identical"
    assert MOVED in judged.err + done.err
    rerun = runs_by_id(frozen)[done.json["run_id"]]
    assert (rerun.status, rerun.tags["nnexp.rerun_of"]) == ("FINISHED", result["run_id"])


def test_a_half_done_sweep_is_reported_as_it_is_and_finished_by_its_command_and_no_run_is_lost(frozen):
    *whole, half = sweeps(frozen)
    assert [tuple(sweep[key] for key in COUNTS) for sweep in whole] == [(2, 2, 0), (2, 1, 1)]
    assert half["planned"] == 4
    old = runs_by_id(frozen)
    digests = {
        name: result["theta_digest"]
        for name, result in frozen.results().items()
        if read(run_directory(frozen, name) / "run.json")["tracking"]["sweep"] == half["sweep"]
    }
    assert len(digests) == 2
    reported = frozen("report", half["sweep"], "--json")
    assert reported.status == 0, reported.err
    assert reported.json["n_runs"] == 3
    assert Path(reported.json["path"]).is_file()

    done = frozen("-m", *SWEEP_OF_SEEDS)
    assert done.status == 0, done.err
    assert "4 of 4 jobs finished" in done.out
    runs = runs_by_id(frozen)
    assert set(old) <= set(runs)
    assert all(runs[i].status == "FINISHED" for i, run in old.items() if run.status == "FINISHED")
    assert not [run for run in runs.values() if run.status == "RUNNING"]
    for name, digest in digests.items():  # finished before the sweep was killed, published since
        [run] = stored(frozen, name)
        assert (run.status, run.tags["nnexp.theta_digest"]) == ("FINISHED", digest)
    *_, now = sweeps(frozen)
    assert (now["planned"], now["finished"], now["lost"], now["running"]) == (4, 4, 0, 0)
    children = [run for run in runs.values() if run.status == "FINISHED" and "mlflow.parentRunId" in run.tags]
    keys = Counter(run.tags["nnexp.run_key"] for run in children)
    assert set(keys.values()) == {1}  # none was done twice
    assert len([run for run in children if run.tags["nnexp.sweep"] == now["sweep"]]) == 4

    everything = frozen("report", "--experiment", "nnexp", "--json")
    assert everything.status == 0, everything.err
    assert everything.json["n_runs"] >= len(old) - len([*whole, half])  # a sweep's own run is none of them
