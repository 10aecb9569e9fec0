import json
import subprocess
import sys
import textwrap
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from nnexp import recovery
from nnexp.recovery import sync
from nnexp.runs import lease
from nnexp.runs.arbitration import Claim, ClaimState, Verdict
from nnexp.runs.directory import RunDirectory
from nnexp.runs.records import Destination, RunRecord, RunStatus
from nnexp.runs.tags import CLAIM, DIRECTORY, HEARTBEAT, OWNER, RUN_KEY, STATUS_MESSAGE, UID
from nnexp.sweeps.job_states import KnownRuns
from nnexp.tracking import store_arbiter
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import WITHDRAWN, Store
from tests.conftest import ROOT
from tests.tools import made_up, warm
from tests.tools.real_runs import edit_json
from tests.tools.waiting import HANGING, wait_for


@pytest.fixture
def store(tmp_path, empty_store):
    return Store(empty_store(tmp_path / "mlflow.db"), "claims")


def make_directory(folder, name, run_key="key", resume=True):
    return RunDirectory.create(folder / name, RunRecord(
        uid=name, name=name, started=time.time(), owner=lease.owner(), heartbeat=10.0,
        tracking=Destination(None, "claims", resume=resume), identity={"run_key": run_key},
        tags={RUN_KEY: run_key, DIRECTORY: str(folder / name)},
    ))  # fmt: skip


def claim(store, folder, name, **options):
    return claim_for(Publication(make_directory(folder, name, **options), store))


def claim_for(publication):
    return publication.claim(recovery.close_lost)


def test_the_first_claim_is_mine_and_the_next_sees_it_held(store, tmp_path):
    first = claim(store, tmp_path, "a")
    second = claim(store, tmp_path, "b")
    assert first.verdict == "mine"
    assert (second.verdict, second.run_id) == ("held", first.run_id)
    assert [run.tags[CLAIM] for run in store.search()] == ["held"]


def test_a_finished_run_stands_for_the_job_unless_it_is_not_to_be_resumed(store, tmp_path):
    first = claim(store, tmp_path, "a")
    store.terminate(first.run_id, "FINISHED")
    assert claim(store, tmp_path, "b") == Claim(Verdict.FINISHED, first.run_id)
    assert claim(store, tmp_path, "c", resume=False).verdict == "mine"


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_a_failed_or_killed_run_is_done_anew_in_a_fresh_run(store, tmp_path, status):
    first = claim(store, tmp_path, "a")
    store.terminate(first.run_id, status)
    second = claim(store, tmp_path, "b")
    assert second.verdict == "mine"
    assert second.run_id != first.run_id


def gone():
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    record = json.dumps({"machine": lease.machine(), "pid": process.pid, "start": "1"})
    process.wait()
    return record


@pytest.mark.parametrize("was_closed", [False, True])
def test_a_parent_run_whose_maker_was_killed_before_it_decided_is_made_once(store, was_closed):
    def create(owner):
        return lambda bid: store.create("sweep", time.time(), {UID: "sweep-killed", CLAIM: bid, OWNER: owner})

    left = create(gone())(ClaimState.BID)
    if was_closed:
        store.terminate(left, "KILLED")
    made = store_arbiter.obtain(store, "sweep-killed", create(lease.owner()))
    assert [run.run_id for run in store.tagged(UID, "sweep-killed")] == [made]
    assert made != left


def test_the_run_of_a_process_that_is_gone_is_closed_with_what_it_had_and_the_reason(store, tmp_path):
    first = claim(store, tmp_path, "a")
    directory = RunDirectory(tmp_path / "a")
    made_up.train(directory, range(2)).close()
    owner = gone()
    store.tag(first.run_id, {OWNER: owner})
    edit_json(directory.path / "run.json", owner=owner)
    assert claim(store, tmp_path, "b").verdict == "mine"
    lost = store.get(first.run_id)
    assert lost.status == "KILLED"
    assert "is gone" in lost.tags["nnexp.status_message"]
    assert lost.metrics["cost/train"] == 0.5


def test_of_two_bids_the_smaller_id_wins(store, tmp_path):
    tags = {RUN_KEY: "key", CLAIM: "bid", OWNER: lease.owner(), "nnexp.uid": "rival"}
    rival = store.create("rival", time.time(), tags)
    with ThreadPoolExecutor(1) as pool:
        claiming = pool.submit(claim, store, tmp_path, "a")
        bids = wait_for(lambda: claiming.done() or [run for run in store.search() if run.run_id != rival])
        if bids is not True and bids[0].run_id < rival:  # then the rival has to go before the claim is settled
            [mine] = bids
            assert mine.tags[CLAIM] == "bid"
            store.client.delete_run(rival)
            assert claiming.result(HANGING) == Claim(Verdict.MINE, mine.run_id)
        else:
            assert claiming.result(HANGING) == Claim(Verdict.HELD, rival)
            assert [run.run_id for run in store.search()] == [rival]


PROGRAM = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {root!r})
    from tests.tracking.test_claims import claim_for, make_directory
    from nnexp.tracking import store_arbiter
    from nnexp.tracking.publication import Publication
    from nnexp.tracking.store import Store
    store = Store({uri!r}, "claims")
    store.experiment_id
    me = sys.argv[1]
    print("ready", flush=True)
    while not Path({go!r}).exists():
        time.sleep(0.001)
    for job in range({jobs}):
        key = f"key{{job}}"
        verdict = claim_for(Publication(make_directory(Path({folder!r}), f"{{me}}-{{job}}", key), store))
        print(job, verdict.verdict, flush=True)
"""


@pytest.mark.slow
def test_of_many_processes_exactly_one_gets_each_job(store, tmp_path):
    jobs, processes = 8, 4
    _ = store.experiment_id
    program = textwrap.dedent(PROGRAM).format(
        root=str(ROOT),
        uri=store.uri,
        go=str(tmp_path / "go"),
        jobs=jobs,
        folder=str(tmp_path / "runs"),
    )
    started = [
        warm.popen([sys.executable, "-c", program, f"p{i}"], stdout=subprocess.PIPE, text=True)
        for i in range(processes)
    ]
    assert [process.stdout.readline() for process in started] == ["ready\n"] * processes
    (tmp_path / "go").touch()
    verdicts = [line.split() for process in started for line in process.communicate(timeout=HANGING)[0].splitlines()]
    assert all(process.returncode == 0 for process in started)
    assert len(verdicts) == jobs * processes
    mine = [job for job, verdict in verdicts if verdict == "mine"]
    # A process that ends lets go of its jobs, so one that comes later may take one anew; never two at a time.
    assert set(mine) == {str(job) for job in range(jobs)}
    held = [run for run in store.search() if run.tags.get(CLAIM) == "held"]
    assert len(held) == len(mine)


def test_all_who_elect_get_the_same_run(store):
    def create(bid):
        tags = {"nnexp.uid": "sweep-1", CLAIM: bid, OWNER: lease.owner()}
        return store.create("parent", time.time(), tags)

    assert len({store_arbiter.obtain(store, "sweep-1", create) for _ in range(3)}) == 1
    assert len(store.search()) == 1


def test_nobody_waits_for_a_bid_that_was_withdrawn_by_who_may_not_delete_it(store, monkeypatch):
    def create(bid):
        tags = {UID: "sweep-1", CLAIM: bid, OWNER: lease.owner()}
        return store.create("parent", time.time(), tags)

    monkeypatch.setattr(store_arbiter, "CLAIM_SECONDS", 1.0)
    withdrawn = create(ClaimState.BID)
    store.terminate(withdrawn, "KILLED", message=WITHDRAWN)
    assert store_arbiter.obtain(store, "sweep-1", create) != withdrawn


def job(folder, name, store):
    """A trained run of a sweep's job, the same for all names."""
    directory = made_up.whole(folder, name, store=store, sweep="s")
    record = directory.record
    tags = {**record.tags, RUN_KEY: "key"}
    directory.write_json("run.json", replace(record, identity={"run_key": "key"}, tags=tags).to_json())
    return directory


def status(store, publication):
    return store.get(publication.run_id).status


def test_a_host_that_was_stopped_and_taken_over_ends_as_superseded_with_its_numbers(store, tmp_path, monkeypatch):
    stopped, other = job(tmp_path, "stopped", store), job(tmp_path, "other", store)
    first, second = Publication(stopped, store), Publication(other, store)
    assert claim_for(first).verdict == "mine"
    far = json.dumps(json.loads(lease.owner()) | {"machine": "elsewhere"})
    ahead = {
        OWNER: far,
        HEARTBEAT: str(time.time() + 300),
        "nnexp.directory": "/elsewhere",
    }  # its clock says nothing of when that was
    store.tag(first.run_id, ahead)
    now = [0.0]
    monkeypatch.setattr(lease.observer, "_clock", lambda: now[0])
    assert claim_for(second) == Claim(Verdict.HELD, first.run_id)
    now[0] = 61.0
    assert claim_for(second).verdict == "mine"
    assert status(store, first) == "KILLED"
    numbers = stopped.result
    assert second.advance()
    assert first.advance()  # it goes on
    assert [status(store, each) for each in (first, second)] == ["KILLED", "FINISHED"]
    message = f"superseded by run {second.run_id}"
    assert store.get(first.run_id).tags[STATUS_MESSAGE] == message
    tags = {**numbers.tags, STATUS_MESSAGE: message}
    ended = {"status": RunStatus.KILLED, "message": message, "run_id": first.run_id, "tags": tags}
    assert stopped.result == replace(numbers, **ended, superseded_by=second.run_id)


def test_what_another_finished_in_the_meantime_is_superseded_by_sync_too(store, tmp_path):
    first, second = job(tmp_path, "first", store), job(tmp_path, "second", store)
    told = []
    assert sync(tmp_path, default_uri=store.uri, tell=told.append) == (2, 0)
    assert [line.partition(" by run ")[0] for line in told] == ["second: superseded"]
    states = Counter(run.status for run in store.search())
    assert states == {"FINISHED": 1, "KILLED": 1}
    assert {first.result.status, second.result.status} == {"FINISHED", "KILLED"}
    standing = KnownRuns(store, str(tmp_path), "s", Destination(store.uri, store.experiment)).refresh(["key"])["key"]
    assert standing.state == "finished"


def test_a_run_that_was_given_up_while_it_ended_is_made_anew_and_ends_as_it_should(store, tmp_path):
    publication = Publication(job(tmp_path, "a", store), store)
    given_up = publication.ensure_run(publication.directory.record)
    publication.advance(to_the_end=False)
    store.delete(given_up)  # as another does that wants to end, and takes this one for dead
    with pytest.raises(Exception, match="active"):
        publication.advance()
    assert publication.advance()
    [run] = store.search()
    assert (run.status, run.run_id != given_up) == ("FINISHED", True)


def test_repetitions_that_were_asked_for_are_all_finished(store, tmp_path):
    publications = [Publication(job(tmp_path, name, store), store) for name in "ab"]
    for publication in publications:
        record = publication.directory.record
        record = replace(record, tracking=replace(record.tracking, resume=False))
        publication.directory.write_json("run.json", record.to_json())
        publication.advance()
    assert [run.status for run in store.search()] == ["FINISHED", "FINISHED"]
