"""Sweeps that want the same jobs at the same time, by the real command: each job is done once, and nobody fails."""

import json
from collections import Counter

import pytest

from nnexp.runs.directory import RunDirectory
from tests.tools.waiting import HANGING, wait_for

pytestmark = pytest.mark.slow

SMALL = ["-m", "data=digits", "model.hidden_size=5", "optimizer.maxfun=15"]
# Long enough for another command to start and to want the same job.
LONG = ["-m", "data=digits", "model.hidden_size=40", "optimizer=gd", "optimizer.maxfun=1500", "optimizer.maxiter=1500"]


def finished(folder):
    """How many finished runs each key has, by the run directories."""
    found = Counter()
    for path in folder.glob("outputs/runs/*/result.json"):
        if json.loads(path.read_text())["status"] == "FINISHED":
            found[json.loads(path.with_name("run.json").read_text())["identity"]["run_key"]] += 1
    return found


def training(nnexp):
    return [path for path in nnexp.directories() if RunDirectory(path).history()]


@pytest.mark.parametrize("how", ["finished", "killed"])
def test_a_job_that_another_sweep_trains_is_waited_for_and_done_where_that_one_dies(nnexp, how):
    job = [*LONG, "seed=0", "tracking=none"]
    first = nnexp.start(*job)
    wait_for(lambda: training(nnexp), first)
    second = nnexp.start(*job)
    wait_for(lambda: len(nnexp.directories()) > 1 or second.poll() is not None)  # it has begun, and then it waits
    if how == "killed":
        first.kill()
    outputs = [process.communicate(timeout=HANGING) for process in (first, second)]
    assert second.returncode == 0, outputs
    assert "1 of 1 jobs finished, 0 failed" in outputs[1][0]
    assert list(finished(nnexp.folder).values()) == [1]
    if how == "finished":
        assert first.returncode == 0, outputs
        assert len(nnexp.results()) == 1


@pytest.mark.parametrize("store", ["a database", "away", "none"])
def test_sweeps_that_share_jobs_train_none_twice_and_fail_none(with_store, store):
    nnexp = with_store
    settings = {"a database": [], "none": ["tracking=none"]}
    settings["away"] = ["tracking.uri=http://127.0.0.1:9", "tracking.patience=1"]
    grids = ["seed=0,1", "seed=0,1", "seed=1,2"]  # the last one is another sweep, which wants one of the jobs too
    done = nnexp.at_once(*([*SMALL, grid, *settings[store]] for grid in grids))
    expected = 4 if store == "away" else 0  # done, but not published
    assert {each.status for each in done} <= {0, expected}, done
    assert all("2 of 2 jobs finished, 0 failed" in each.out for each in done), done
    assert sorted(finished(nnexp.folder).values()) == [1, 1, 1]
    if store == "a database":
        states = Counter(run.status for run in nnexp.store().search())
        assert states == {"FINISHED": 5}  # three jobs and two parents
