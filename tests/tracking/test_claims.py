import json
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from nnexp.tracking import claims, liveness
from nnexp.tracking.publish import Publication
from nnexp.tracking.rundir import HISTORY, RunDirectory
from nnexp.tracking.store import CLAIM, OWNER, RUN_KEY, Store


@pytest.fixture
def store(tmp_path, empty_store):
    return Store(empty_store(tmp_path / "mlflow.db"), "claims")


def make_directory(folder, name, run_key="key"):
    directory = RunDirectory.create(folder / name, {
        "uid": name, "name": name, "started": time.time(), "owner": liveness.owner(), "heartbeat": 10.0,
        "tracking": {"sweep": None}, "params": {}, "identity": {"run_key": run_key},
        "tags": {RUN_KEY: run_key, "nnexp.directory": str(folder / name)},
    })  # fmt: skip
    return directory


def claim(store, folder, name, **options):
    return claims.claim(Publication(make_directory(folder, name), store), "key", **options)


def test_the_first_claim_is_mine_and_the_next_sees_it_held(store, tmp_path):
    first = claim(store, tmp_path, "a")
    second = claim(store, tmp_path, "b")
    assert first.verdict == "mine"
    assert (second.verdict, second.run_id) == ("held", first.run_id)
    assert [run.tags[CLAIM] for run in store.search()] == ["held"]


def test_a_finished_run_stands_for_the_job_unless_it_is_not_to_be_resumed(store, tmp_path):
    first = claim(store, tmp_path, "a")
    store.terminate(first.run_id, "FINISHED")
    assert claim(store, tmp_path, "b") == claims.Claim("finished", first.run_id)
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
    record = json.dumps({"machine": liveness.machine(), "pid": process.pid, "start": "1"})
    process.wait()
    return record


def test_the_run_of_a_process_that_is_gone_is_closed_with_what_it_had_and_the_reason(store, tmp_path):
    first = claim(store, tmp_path, "a")
    directory = RunDirectory(tmp_path / "a")
    directory.file(HISTORY).write_text("step,time,cost/train,optimizer/n_fev\n0,10.0,2.5,1\n1,11.0,2.0,3\n")
    store.tag(first.run_id, {OWNER: gone()})
    assert claim(store, tmp_path, "b").verdict == "mine"
    lost = store.get(first.run_id)
    assert lost.status == "KILLED"
    assert "is gone" in lost.tags["nnexp.status_message"]
    assert lost.metrics["cost/train"] == 2.0


def test_of_two_bids_the_smaller_id_wins(store, tmp_path):
    tags = {RUN_KEY: "key", CLAIM: "bid", OWNER: liveness.owner(), "nnexp.uid": "rival"}
    rival = store.create("rival", time.time(), tags)
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(claim(store, tmp_path, "a")))
    thread.start()
    thread.join(2)
    if thread.is_alive():  # the rival's id is larger: it has to go before the claim is settled
        mine = next(run for run in store.search() if run.run_id != rival)
        assert mine.run_id < rival
        assert mine.tags[CLAIM] == "bid"
        store.client.delete_run(rival)
        thread.join(10)
        assert verdicts == [claims.Claim("mine", mine.run_id)]
    else:
        assert verdicts == [claims.Claim("held", rival)]
        assert [run.run_id for run in store.search()] == [rival]


PROGRAM = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from tracking.test_claims import claim, make_directory
    from nnexp.tracking import claims
    from nnexp.tracking.publish import Publication
    from nnexp.tracking.store import Store
    store = Store({uri!r}, "claims")
    store.experiment_id
    me = sys.argv[1]
    print("ready", flush=True)
    while not Path({go!r}).exists():
        time.sleep(0.001)
    for job in range({jobs}):
        key = f"key{{job}}"
        verdict = claims.claim(Publication(make_directory(Path({folder!r}), f"{{me}}-{{job}}", key), store), key)
        print(job, verdict.verdict, flush=True)
"""


def test_of_many_processes_exactly_one_gets_each_job(store, tmp_path):
    jobs, processes = 8, 4
    _ = store.experiment_id
    program = textwrap.dedent(PROGRAM).format(
        tests=os.path.dirname(os.path.dirname(__file__)),
        uri=store.uri,
        go=str(tmp_path / "go"),
        jobs=jobs,
        folder=str(tmp_path / "runs"),
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, f"p{i}"], stdout=subprocess.PIPE, text=True)
        for i in range(processes)
    ]
    assert [process.stdout.readline() for process in started] == ["ready\n"] * processes
    (tmp_path / "go").touch()
    verdicts = [line.split() for process in started for line in process.communicate(timeout=120)[0].splitlines()]
    assert all(process.returncode == 0 for process in started)
    assert len(verdicts) == jobs * processes
    mine = [job for job, verdict in verdicts if verdict == "mine"]
    # A process that ends lets go of its jobs, so one that comes later may take one anew; never two at a time.
    assert set(mine) == {str(job) for job in range(jobs)}
    held = [run for run in store.search() if run.tags.get(CLAIM) == "held"]
    assert len(held) == len(mine)


def test_all_who_elect_get_the_same_run(store):
    def create(bid):
        tags = {"nnexp.uid": "sweep-1", CLAIM: bid, OWNER: liveness.owner()}
        return store.create("parent", time.time(), tags)

    assert len({claims.elect(store, "sweep-1", create) for _ in range(3)}) == 1
    assert len(store.search()) == 1
