"""A sweep does not wait for itself: what came back, and what could not be kept, is not running."""

from dataclasses import replace

import pytest

from nnexp.config import TrackingConfig
from nnexp.execute import Outcome
from nnexp.runs.arbitration import Claim
from nnexp.runs.questions import Question
from nnexp.runs.records import RunResult, RunStatus
from nnexp.sweeps import deferred
from nnexp.sweeps.jobs import Job
from nnexp.sweeps.session import Controls, Session
from tests.tools import made_up


def fail():
    raise OSError("no space left on device")


@pytest.mark.parametrize("fault", ["its end", "its mark", "its directory"])
def test_ends_that_fail_hold_up_nobody_and_are_told_once_each(fault, tmp_path, capsys):
    directory = made_up.whole(tmp_path, "a", sweep="s")
    ended = []
    if fault == "its mark":
        (directory.path / Question.PUBLISH).mkdir()
    if fault == "its directory":
        directory.path.joinpath("run.json").unlink()
    for _ in range(2 * deferred.MOST + 1):
        deferred.put_off(directory, fail if fault == "its end" else lambda: ended.append(1))
    deferred.wait_for(str(tmp_path), "s")
    assert len(ended) == (0 if fault == "its end" else 2 * deferred.MOST + 1)
    assert capsys.readouterr().err.count("\n") <= 2 * deferred.MOST + 1


@pytest.mark.parametrize("status", ["FINISHED", "FAILED"])
def test_a_run_that_came_back_without_its_end_is_not_waited_for(status, tmp_path):
    tracking = TrackingConfig("none", "", "e", str(tmp_path), 0, 10.0, None, None)
    launched = []

    def launch(jobs):
        launched.extend(jobs)
        directory = made_up.begin(tmp_path, f"a{len(launched)}", sweep="s")  # this process, which is alive, holds it
        directory.write_json("run.json", replace(directory.record, identity={"run_key": "key"}).to_json())
        result = RunResult("r", RunStatus(status), "no inode is free", 0.0)
        return [Outcome(str(directory.path), result if status == "FINISHED" else None, reason="no inode is free")]

    session = Session("s", "sweep", ["seed"], Controls(True, False, False, tracking, "", 1), None, launch)
    session.work([Job(0, (), ("seed=0",), "key")], {})
    standing = session.states["key"]
    assert standing.state == "failed"
    assert standing.reason == ("no inode is free" if status == "FAILED" else "its process died at every attempt")
    assert len(launched) == (1 if status == "FAILED" else 2)


@pytest.mark.slow
def test_a_job_that_another_process_does_is_no_failure_however_often_it_is_left(tmp_path):
    tracking = TrackingConfig("none", "", "e", str(tmp_path), 0, 10.0, None, None)
    launched = []

    def launch(jobs):
        launched.extend(jobs)
        if len(launched) < 4:
            return [Outcome("", claim=Claim("held", ""))]
        return [Outcome("", claim=Claim("finished", "r"))]

    session = Session("s", "sweep", ["seed"], Controls(True, False, False, tracking, "", 1), None, launch)
    session.work([Job(0, (), ("seed=0",), "key")], {})
    assert (session.states["key"].state, session.states["key"].run_id) == ("finished", "r")
