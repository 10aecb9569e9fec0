"""What is known of a sweep's jobs when the store is gone."""

import pytest

from nnexp.config import TrackingConfig
from nnexp.runs import backlog
from nnexp.sweeps.plan import Job
from nnexp.sweeps.session import Controls, Session
from nnexp.sweeps.status import Book, Standing
from tests.tools import made_up


def published(root, name, **settings):
    """A run that its store has whole."""
    directory = made_up.whole(root, name, sweep="s", **settings)
    backlog.leave(backlog.folder(root), directory)
    return directory


def test_without_the_store_the_directories_of_published_runs_stand_for_their_jobs(tmp_path):
    directory = published(tmp_path, "a")
    found = Book(None, str(tmp_path), "s").look(["key of a", "key of b"])
    assert list(found) == ["key of a"]
    standing = found["key of a"]
    assert (standing.state, standing.run_id, standing.sweep) == ("finished", directory.result.run_id, "s")
    result = directory.result
    found = {key: standing.metrics[key] for key in ("cost/train", "optimizer/n_fev", "fit_seconds", "f1/test")}
    assert found == {
        "cost/train": result["cost"],
        "optimizer/n_fev": result["n_fev"],
        "fit_seconds": 1.5,
        "f1/test": 0.5,
    }


@pytest.mark.parametrize(("status", "state"), [("FAILED", "failed"), ("KILLED", "lost")])
def test_without_the_store_a_run_that_did_not_finish_is_what_it_was(tmp_path, status, state):
    directory = made_up.begin(tmp_path, "a", sweep="s")
    made_up.end(directory, 2, status=status)
    [standing] = Book(None, str(tmp_path), "s").look(["key of a"]).values()
    assert (standing.state, standing.reason) == (state, "done")


def test_a_job_that_ran_when_the_store_was_lost_is_not_waited_for_in_vain(tmp_path):
    published(tmp_path, "a")
    tracking = TrackingConfig("mlflow", "http://127.0.0.1:9", "e", str(tmp_path), 0, 10.0, None, None)
    launched = []
    session = Session("s", "sweep", ["seed"], Controls(True, False, False, tracking, "", 1), None, launched.append)
    jobs = [Job(0, (), ("seed=0",), "key of a"), Job(1, (), ("seed=1",), "key of b")]
    session.work(jobs, {job.key: Standing("running", "r") for job in jobs})
    assert session.standings["key of a"].state == "finished"
    assert session.standings["key of b"].state == "failed"  # the launcher of this test trains nothing
    assert [[job[-1] for job in batch] for batch in launched] == [["tracking.run_name='seed=1'"]] * 2
