"""A sweep on the disk: its record, its result, and what `nnexp sync` makes of a sweep whose process is gone."""

import json
from dataclasses import replace

import pytest

from nnexp.recovery import sync
from nnexp.runs import backlog
from nnexp.runs.directory import RunDirectory, run_directories
from nnexp.runs.records import RunStatus
from nnexp.runs.tags import KIND, PARENT, STATUS_MESSAGE
from nnexp.sweeps import directory
from nnexp.sweeps.publication import SweepPublication
from nnexp.tasks.network.task import Network
from nnexp.tracking.publication import sweep_uid
from nnexp.tracking.store import Store
from tests.tools import made_up


@pytest.fixture
def store(tmp_path, empty_store):
    return Store(empty_store(tmp_path / "mlflow.db"), "e")


def begin(root, store, keys=("a", "b")):
    plan = made_up.plan("s", [f"key of {key}" for key in keys], uri=store.uri if store else None)
    return directory.begin(plan, Network(), str(root), 10.0)


def test_a_sweep_that_runs_has_a_record_and_an_entry_in_the_backlog_until_its_store_has_all_of_it(tmp_path, store):
    sweep = begin(tmp_path, store)
    record = sweep.record
    assert (record.kind, record.uid, record.task, record.tags[KIND]) == ("sweep", sweep_uid("s"), "network", "sweep")
    assert (sweep.result, directory.is_own(sweep)) == (None, True)
    assert [each.path for each in backlog.sweeps(tmp_path)] == [sweep.path]
    assert backlog.entries(tmp_path) == run_directories(tmp_path) == []  # it is no run
    directory.finish(sweep, sweep.uid, RunStatus.FAILED, "1 of 2 jobs finished, 1 failed", 5.0, is_whole=False)
    assert (sweep.result.status, sweep.result.ended) == ("FAILED", 5.0)
    assert backlog.sweeps(tmp_path)
    assert begin(tmp_path, store).result is None  # the next start
    directory.finish(sweep, sweep.uid, RunStatus.FINISHED, "2 of 2 jobs finished, 0 failed", 9.0, is_whole=True)
    assert not backlog.sweeps(tmp_path)


def test_a_sweep_that_no_store_is_to_have_is_not_in_the_backlog(tmp_path):
    assert begin(tmp_path, None).record.is_private
    assert not backlog.sweeps(tmp_path)


def test_sync_closes_the_sweep_of_a_process_that_is_gone_and_is_done_with_it(tmp_path, store):
    sweep = begin(tmp_path, store)
    gone = json.dumps(json.loads(sweep.record.owner) | {"start": "another"})
    sweep.write_json("run.json", replace(sweep.record, owner=gone).to_json())
    child = made_up.whole(tmp_path, "a", store=store, sweep="s")
    assert sync(tmp_path, default_uri=store.uri, tell=print, parent_of=SweepPublication) == (1, 0)
    parent = store.find_uid(sweep_uid("s"))
    message = "interrupted: 1 of 2 jobs finished, 0 failed"
    assert (parent.status, parent.tags[STATUS_MESSAGE], parent.end) == ("KILLED", message, child.result.ended)
    assert store.get(child.result.run_id).tags[PARENT] == parent.run_id
    result = RunDirectory(sweep.path).result
    assert (result.status, result.message, result.run_id) == ("KILLED", message, parent.run_id)
    assert not backlog.sweeps(tmp_path)
