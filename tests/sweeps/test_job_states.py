"""What is known of jobs by what they said when they returned."""

import json
import time

import pytest

from nnexp.execute import Outcome
from nnexp.runs import lease
from nnexp.runs.records import Destination, RunRecord, RunResult, RunStatus
from nnexp.sweeps.job_states import JobStates
from nnexp.sweeps.jobs import Job
from nnexp.sweeps.status import JobState, State

JOB = Job(0, ("seed=0",), ("seed=0",), "key")


def outcome(owner, *, published=False):
    record = RunRecord(
        uid="uid", name="seed=0", started=time.time(), owner=owner, heartbeat=1.0, tracking=Destination("uri", "e"),
        identity={"run_key": "key"}, backlog="",
    )  # fmt: skip
    result = RunResult("uid", RunStatus.FINISHED, "converged", time.time())
    return Outcome("/elsewhere/run", result, published=published, problem="error 401", record=record)


@pytest.fixture
def states(tmp_path):
    return JobStates(str(tmp_path))


def test_a_run_that_another_machine_could_not_publish_is_finished_and_kept_there_until_the_store_has_it(states):
    states.take([JOB], [outcome(json.dumps({"machine": "node-1/boot/1", "pid": 1, "start": "1"}))])
    states.learn({}, complete=True)
    assert states.of(JOB) is State.FINISHED
    assert not states.is_missing(JOB, {JOB.key})
    assert states.unpublished == {"key": ("node-1", "error 401")}
    states.learn({"key": JobState("key", State.FINISHED, "stored")})
    assert states.unpublished == {}
    assert states.known["key"].run_id == "stored"


def test_a_run_of_this_machine_is_not_kept_elsewhere(states):
    states.take([JOB], [outcome(lease.owner())])
    assert states.unpublished == {}


def test_a_job_of_which_nothing_came_back_is_missing_once_more_and_then_given_up(states):
    states.take([JOB], [None])
    assert [states.is_missing(JOB, {JOB.key}) for _ in range(2)] == [True, False]
    assert states.of(JOB) is State.FAILED
