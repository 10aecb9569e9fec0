"""Whoever of trainer and keeper is killed, and however: the run gets a true status and keeps what it had."""

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import closing
from types import SimpleNamespace

import pytest

from nnexp.execute import finish
from nnexp.runs import backlog
from nnexp.runs.directory import RunDirectory
from nnexp.runs.tags import STATUS_MESSAGE
from nnexp.tracking.keeper import BRIEFLY, Keeper, KeeperDiedError
from nnexp.tracking.store import Store, StoreError
from tests.conftest import Nnexp
from tests.tools import made_up
from tests.tools.flaky_proxy import HANG, FlakyProxy
from tests.tools.stored import assert_store_has_all_of, history, runs_of
from tests.tools.waiting import HANGING, wait_for

# A run of many iterations of some 30 ms.
LONG = ("experiment=smoke", "optimizer=gd", "model.hidden_size=[400,400]", "optimizer.maxiter=100000")
LONG += ("optimizer.maxfun=100000", "tracking.heartbeat=1")
ENDINGS = ("kill the trainer", "kill both", "SIGINT", "SIGTERM")


def children(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(word) for word in found.split()]


def end(process, how):
    """End a trainer; its keeper too where that is asked for."""
    if how == "kill both":
        for keeper in children(process.pid):
            os.kill(keeper, signal.SIGKILL)
    os.kill(process.pid, signal.SIGKILL if how.startswith("kill") else getattr(signal, how))


@pytest.fixture(scope="module")
def ended(tmp_path_factory, cache):
    """Runs that were ended in the middle, each in its own way: (exit status, directory, command, store)."""
    folder = tmp_path_factory.mktemp("ended")
    cache.mkdir(exist_ok=True)
    (folder / "data").symlink_to(cache)
    command = Nnexp(folder, cache)
    names = {how: how.replace(" ", "-") for how in ENDINGS}
    directories = {how: RunDirectory(folder / "outputs/runs" / name) for how, name in names.items()}
    processes = {}
    for how, name in names.items():
        _ = command.store(name).experiment_id
        where = (f"hydra.run.dir=outputs/runs/{name}", f"tracking.experiment={name}")  # so that none repairs another
        processes[how] = command.start(*LONG, *where)
    for how, process in processes.items():
        wait_for(lambda how=how: len(rows_in_store(command, directories[how])) > 3, process)
        end(process, how)
    for process in processes.values():
        process.communicate(timeout=HANGING)
    return {how: (processes[how].returncode, directories[how], command, command.store(names[how])) for how in ENDINGS}


def rows_in_store(command, directory):
    """The iterations of which the store has the cost, without MLflow: this looks often."""
    query = """SELECT DISTINCT m.step FROM metrics m JOIN tags t ON t.run_uuid = m.run_uuid
               WHERE t.key = 'nnexp.directory' AND t.value = ? AND m.key = 'cost/train'"""
    # Not `mode=ro`: the first to open a database with a write-ahead log must be able to write to it.
    with closing(sqlite3.connect(f"file:{command.folder}/outputs/mlflow.db?mode=rw", uri=True, timeout=20)) as database:
        return database.execute(query, (str(directory.path),)).fetchall()


def closed(store, directory, root):
    """The run in the store, once nobody works on it any more."""
    wait_for(lambda: directory.path not in [entry.path for entry in backlog.entries(root)])
    (run_id,) = runs_of(store, directory.uid)
    return store.get(run_id)


@pytest.mark.slow
def test_the_keeper_closes_the_run_of_a_killed_trainer_with_what_it_had(ended, tmp_path):
    _, directory, command, store = ended["kill the trainer"]
    run = closed(store, directory, command.folder / "outputs")
    assert run.status == "KILLED"
    assert run.tags[STATUS_MESSAGE] == "the training process was killed"
    assert_store_has_all_of(directory, store, tmp_path)
    assert len(directory.history()) > 3


@pytest.mark.slow
def test_sync_closes_a_run_whose_trainer_and_keeper_were_both_killed(ended, tmp_path):
    _, directory, command, store = ended["kill both"]
    assert directory.result is None
    done = command("sync", str(directory.path), "--json")
    assert done.json == {"published": 1, "kept_back": 0}
    assert directory.result.status == "KILLED"
    assert_store_has_all_of(directory, store, tmp_path)
    assert len(history(store, directory.result.run_id)["cost/train"]) == len(directory.history())


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
@pytest.mark.slow
def test_an_interrupted_run_is_killed_with_its_best_point_and_its_figures(ended, how, tmp_path):
    status, directory, command, store = ended[how]
    assert status == 130
    assert closed(store, directory, command.folder / "outputs").status == "KILLED"
    assert_store_has_all_of(directory, store, tmp_path)
    result, names = directory.result, {path.name for path in directory.artifacts()}
    assert result["cost"] == min(row["cost/train"] for row in directory.history())
    assert {"weights.npz", "hidden_layer.png", "cost_curves.png", "classification_report.txt"} <= names


@pytest.mark.slow
def test_a_killed_keeper_is_started_again_and_goes_on(tmp_path, empty_store):
    store = Store(empty_store(tmp_path / "mlflow.db"), "e")
    directory = made_up.begin(tmp_path, "run", store=store)
    keeper = Keeper(store.uri, "e", heartbeat=1.0)
    keeper.open(directory)
    writer = made_up.train(directory, range(3))
    (run_id,) = wait_for(lambda: runs_of(store, directory.uid))
    wait_for(lambda: len(history(store, run_id).get("cost/train", ())) == 3)
    first = keeper.start()._line.process
    os.kill(first.pid, signal.SIGKILL)
    for step in range(3, 6):
        writer.append(made_up.row(step))
    writer.close()
    wait_for(lambda: len(history(store, run_id)["cost/train"]) == 6)  # nobody has asked the keeper for anything
    second = keeper.start()._line.process
    assert second.pid != first.pid
    made_up.end(directory, 5)
    assert keeper.answer("finish", timeout=HANGING, path=str(directory.path))["complete"]
    keeper.close()
    assert_store_has_all_of(directory, store, tmp_path / "compared")


def test_a_run_whose_directory_is_deleted_ends_with_one_message_and_holds_up_no_other(tmp_path, empty_store):
    store = Store(empty_store(tmp_path / "mlflow.db"), "e")
    gone, good = made_up.begin(tmp_path, "gone", store=store), made_up.whole(tmp_path, "good", store=store)
    keeper = Keeper(store.uri, "e", heartbeat=0.1)
    process = keeper.start()._line.process
    keeper.open(gone)
    (run_id,) = wait_for(lambda: runs_of(store, "gone-uid"))
    shutil.rmtree(gone.path)
    time.sleep(0.3)  # some heartbeats
    with pytest.raises(StoreError, match="gone holds no run"):
        keeper.answer("finish", timeout=HANGING, path=str(gone.path))
    outcome = finish(gone, keeper, HANGING)
    assert (outcome.status, outcome.run_id) == ("FAILED", None)
    assert "was deleted" in outcome.message
    keeper.open(good)
    assert keeper.answer("finish", timeout=HANGING, path=str(good.path))["complete"]
    keeper.close()
    assert process.wait(HANGING) == 0
    assert store.get(run_id).status == "KILLED"
    assert "was deleted" in store.get(run_id).tags[STATUS_MESSAGE]
    assert not gone.path.exists()
    assert backlog.entries(tmp_path) == []


@pytest.mark.parametrize("uri", [None, "the store's"])
def test_a_keeper_that_was_given_nothing_to_do_ends_with_its_trainer(uri, tmp_path):
    keeper = Keeper(f"sqlite:///{tmp_path}/mlflow.db" if uri else None, "e")
    process = keeper.start()._line.process
    keeper.close()
    assert process.wait(HANGING) == 0


@pytest.mark.slow
def test_a_server_that_hangs_is_waited_for_once_and_not_for_figures(tmp_path):
    with FlakyProxy(upstream=0, faults=HANG) as proxy:
        keeper = Keeper(proxy.uri, "e")
        directories = [made_up.whole(tmp_path, f"run-{i}") for i in range(20)]
        keeper.open(directories[0])
        with pytest.raises(StoreError, match=r"did not answer within 3 s"):
            keeper.answer("claim", timeout=HANGING, path=str(directories[0].path), run_key="key", resume=True)
        asked = len(proxy.seen)
        for directory in directories:
            assert keeper.answer("draw", timeout=HANGING, path=str(directory.path))["described"]
            with pytest.raises(StoreError, match=r"did not answer within 3 s"):
                keeper.answer("claim", timeout=HANGING, path=str(directory.path), run_key="key", resume=True)
            with pytest.raises(StoreError, match=r"did not answer within 3 s"):
                keeper.answer("finish", timeout=HANGING, path=str(directory.path))
        assert len(proxy.seen) - asked < 20  # 40 questions: they are answered by what is known, not by the server
        keeper.close()


def test_waits_for_a_slow_store_do_not_add_up(monkeypatch):
    waits = []

    class Never(Future):
        def result(self, timeout=None):
            waits.append(timeout)
            raise FutureTimeout

    keeper = Keeper("http://127.0.0.1:9", "e")
    monkeypatch.setattr("nnexp.tracking.keeper.time", SimpleNamespace(monotonic=lambda: sum(waits)))
    monkeypatch.setattr(keeper, "ask", lambda operation, **arguments: Never())
    for _ in range(10):
        with pytest.raises(StoreError, match="did not answer"):
            keeper.answer("finish", timeout=20.0, path="")
    assert waits == [20.0] + 9 * [BRIEFLY]


def test_a_question_that_died_with_its_keeper_is_asked_again(monkeypatch):
    died, answered = Future(), Future()
    died.set_exception(KeeperDiedError("the publishing process ended: killed"))
    answered.set_result("yes")
    keeper, asked = Keeper(None, "e"), [died, answered, died, died]
    monkeypatch.setattr(keeper, "ask", lambda operation, **arguments: asked.pop(0))
    assert keeper.answer("draw", path="") == "yes"
    with pytest.raises(StoreError, match="ended: killed"):
        keeper.answer("draw", path="")
