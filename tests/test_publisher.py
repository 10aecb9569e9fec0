"""Whoever of trainer and companion is killed, and however: the run gets a true status and keeps what it had."""

import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing, suppress
from types import SimpleNamespace

import pytest

from nnexp.companion import BRIEFLY, Companion, Settings
from nnexp.config import TrackingConfig
from nnexp.execute import finish
from nnexp.publisher.work import Publisher
from nnexp.recording import ended as ended_by
from nnexp.runs import backlog, questions
from nnexp.runs.directory import RunDirectory
from nnexp.runs.questions import Question
from nnexp.runs.records import RunStatus
from nnexp.runs.tags import HEARTBEAT, STATUS_MESSAGE
from nnexp.tracking.errors import StoreError
from nnexp.tracking.store import Store
from tests.conftest import Nnexp
from tests.tools import made_up
from tests.tools.flaky_proxy import HANG, FlakyProxy
from tests.tools.stored import assert_store_has_all_of, history, runs_of
from tests.tools.waiting import HANGING, wait_for

pytestmark = pytest.mark.slow  # each takes seconds, alone or by its fixtures

# A run of many iterations of some 30 ms.
LONG = ("experiment=smoke", "optimizer=gd", "model.hidden_size=[400,400]", "optimizer.maxiter=100000")
LONG += ("optimizer.maxfun=100000", "tracking.heartbeat=1")
ENDINGS = ("kill the trainer", "kill both", "SIGINT", "SIGTERM")


def children(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(word) for word in found.split()]


def end(process, how):
    """End a trainer; its companion too where that is asked for."""
    if how == "kill both":
        for companion in children(process.pid):
            os.kill(companion, signal.SIGKILL)
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
def test_the_companion_closes_the_run_of_a_killed_trainer_with_what_it_had(ended, tmp_path):
    _, directory, command, store = ended["kill the trainer"]
    run = closed(store, directory, command.folder / "outputs")
    assert run.status == "KILLED"
    assert run.tags[STATUS_MESSAGE] == "the training process was killed"
    assert_store_has_all_of(directory, store, tmp_path)
    assert len(directory.history()) > 3


@pytest.mark.slow
def test_sync_closes_a_run_whose_trainer_and_companion_were_both_killed(ended, tmp_path):
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
    assert result.values["cost"] == min(row["cost/train"] for row in directory.history())
    assert {"weights.npz", "hidden_layer.png", "cost_curves.png", "classification_report.txt"} <= names


@pytest.fixture
def companion(tmp_path, empty_store):
    """A companion process for a store in a folder of its own, to whose runs it looks as to its trainer's."""
    companion = Companion(tmp_path, empty_store(tmp_path / "mlflow.db"), "e", heartbeat=0.5)
    yield companion
    companion.close()
    if companion.process is not None:
        assert companion.process.wait(HANGING) == 0


def undescribed(root, name, store):
    """A run that was cut off, of which there is nothing to draw but the table of its history."""
    directory = made_up.begin(root, name, store=store)
    made_up.train(directory, range(3)).close()
    directory.write_result(ended_by(directory, RunStatus.KILLED, "interrupted"))
    return directory


def store_of(companion):
    return Store(companion.settings.uri, "e")


@pytest.mark.slow
def test_a_killed_companion_is_started_again_and_goes_on(companion, tmp_path):
    store = store_of(companion)
    directory = made_up.begin(tmp_path, "run", store=store)
    companion.ring()
    writer = made_up.train(directory, range(3))
    (run_id,) = wait_for(lambda: runs_of(store, directory.uid))
    wait_for(lambda: len(history(store, run_id).get("cost/train", ())) == 3)
    first = companion.process
    os.kill(first.pid, signal.SIGKILL)
    for step in range(3, 6):
        made_up.log(writer, made_up.row(step))
    writer.close()
    wait_for(lambda: len(history(store, run_id)["cost/train"]) == 6)  # nobody has asked the companion for anything
    assert companion.process.pid != first.pid
    made_up.end(directory, 5)
    companion.ask(directory, Question.PUBLISH)
    companion.answer(directory, Question.PUBLISH, HANGING)
    assert not companion.has_something_of(directory)
    assert_store_has_all_of(directory, store, tmp_path / "compared")


@pytest.mark.slow
def test_questions_to_a_companion_that_is_killed_are_answered_by_the_next(companion, tmp_path):
    directory = undescribed(tmp_path, "run", store_of(companion))
    companion.ask(directory, Question.DRAW, Question.PUBLISH)
    first = companion.process
    os.kill(first.pid, signal.SIGKILL)
    companion.answer(directory, Question.DRAW, HANGING)
    companion.answer(directory, Question.PUBLISH, HANGING)
    assert companion.process.pid != first.pid
    assert directory.result.described
    assert not companion.has_something_of(directory)


def test_a_question_that_kills_every_companion_is_given_up_with_what_it_said(companion, tmp_path, monkeypatch):
    directory = made_up.whole(tmp_path, "run", store=store_of(companion))
    monkeypatch.setattr("nnexp.companion.RESTARTS", 0)
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))  # without its library no Python starts
    companion.ask(directory, Question.DRAW)
    with pytest.raises(StoreError, match="the publishing process ended: "):
        companion.answer(directory, Question.DRAW, HANGING)
    companion.process = None  # there is none that could end well


@pytest.mark.slow
def test_a_run_whose_directory_is_deleted_ends_with_one_message_and_holds_up_no_other(companion, tmp_path, monkeypatch):
    store = store_of(companion)
    monkeypatch.setattr("nnexp.execute.companion_of", lambda tracking: companion)
    tracking = TrackingConfig("mlflow", store.uri, "e", str(tmp_path), 10.0, 0.5, None, None)
    gone = made_up.begin(tmp_path, "gone", store=store)
    companion.ring()
    (run_id,) = wait_for(lambda: runs_of(store, "gone-uid"))
    shutil.rmtree(gone.path)
    outcome = finish(gone, tracking)
    assert (outcome.status, outcome.run_id) == ("FAILED", None)
    assert "was deleted" in outcome.message
    good = made_up.whole(tmp_path, "good", store=store)
    assert finish(good, tracking).published
    wait_for(lambda: store.get(run_id).status == "KILLED")
    assert "was deleted" in store.get(run_id).tags[STATUS_MESSAGE]
    assert not gone.path.exists()
    assert backlog.entries(tmp_path) == []


@pytest.mark.parametrize("uri", [None, "the store's"])
def test_a_companion_that_was_given_nothing_to_do_ends_with_its_trainer(uri, tmp_path):
    companion = Companion(tmp_path, f"sqlite:///{tmp_path}/mlflow.db" if uri else None, "e")
    process = companion.start().process
    companion.close()
    assert process.wait(HANGING) == 0


@pytest.mark.slow
def test_a_server_that_hangs_is_waited_for_once_and_not_for_figures(tmp_path):
    with FlakyProxy(upstream=0, faults=HANG) as proxy:
        companion = Companion(tmp_path, proxy.uri, "e")
        store = SimpleNamespace(uri=proxy.uri, experiment="e")
        directories = [undescribed(tmp_path, f"run-{i}", store) for i in range(20)]

        def is_refused(directory, question):
            companion.ask(directory, question)
            with pytest.raises(StoreError, match=r"did not answer within 3 s"):
                companion.answer(directory, question, HANGING)

        is_refused(directories[0], Question.CLAIM)
        asked = len(proxy.seen)
        for directory in directories:
            companion.ask(directory, Question.DRAW)
            companion.answer(directory, Question.DRAW, HANGING)
            assert directory.result.described
            is_refused(directory, Question.CLAIM)
            questions.forget(directory)
            is_refused(directory, Question.PUBLISH)
        assert len(proxy.seen) - asked < 20  # 40 questions: they are answered by what is known, not by the server
        companion.close()


def test_the_heartbeat_waits_for_no_upload(tmp_path, empty_store):
    store = Store(empty_store(tmp_path / "mlflow.db"), "e")
    directory = made_up.begin(tmp_path, "run", store=store)
    publisher = Publisher(Settings(directory.record.owner, str(tmp_path), store.uri, "e", heartbeat=0.01))
    publisher.store.advance(directory, to_the_end=False)  # and then the thread that publishes is stuck
    threading.Thread(target=publisher.beat, daemon=True).start()
    on_disk, in_store = backlog.last_beat(tmp_path, directory), store.find_uid(directory.uid).tags[HEARTBEAT]
    wait_for(lambda: backlog.last_beat(tmp_path, directory) > on_disk)
    wait_for(lambda: float(store.find_uid(directory.uid).tags[HEARTBEAT]) > float(in_store))
    publisher.is_over.set()


def test_waits_for_a_slow_store_do_not_add_up(tmp_path, monkeypatch):
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.append(now.pop() + seconds))
    monkeypatch.setattr("nnexp.companion.time", clock)
    directory = made_up.whole(tmp_path, "run")
    companion, waits = Companion(tmp_path, "http://127.0.0.1:9", "e"), []
    for _ in range(10):
        began = clock.monotonic()
        questions.ask(directory, Question.PUBLISH)
        with pytest.raises(StoreError, match="did not answer"):
            companion.answer(directory, Question.PUBLISH, 20.0)
        waits.append(round(clock.monotonic() - began))
    assert waits == [20] + 9 * [round(BRIEFLY)]


def test_an_answer_comes_once_and_to_nobody_who_has_withdrawn(tmp_path):
    directory = made_up.begin(tmp_path, "run")
    questions.ask(directory, Question.CLAIM)
    questions.answer(directory, Question.CLAIM, verdict="mine")
    questions.answer(directory, Question.CLAIM, verdict="held")
    assert not questions.is_asked(directory, Question.CLAIM)
    assert questions.is_open(directory, Question.CLAIM)
    assert questions.said(directory, Question.CLAIM) == {"verdict": "mine"}
    questions.ask(directory, Question.CLAIM)  # once more
    questions.withdraw(directory, Question.CLAIM)
    questions.answer(directory, Question.CLAIM, verdict="held")
    assert not questions.is_open(directory, Question.CLAIM)
    assert questions.said(directory, Question.CLAIM) == {}


@pytest.mark.slow
def test_a_sweep_whose_companion_is_killed_at_each_job_is_published_whole(with_store):
    sweep = with_store.start("-m", "experiment=smoke", "data=digits", "seed=range(4)")
    seen = 0
    while sweep.poll() is None:
        time.sleep(0.05)
        if len(with_store.directories()) > seen:
            seen = len(with_store.directories())
            for pid in children(sweep.pid):
                with suppress(ProcessLookupError):  # it may have ended by itself
                    os.kill(pid, signal.SIGKILL)
    out, err = sweep.communicate(timeout=HANGING)
    assert sweep.returncode == 0, err
    assert "4 of 4 jobs finished" in out
    found = [run for run in with_store.store().search() if run.tags.get("nnexp.kind") is None]
    assert [run.status for run in found] == 4 * ["FINISHED"]
    assert backlog.entries(with_store.folder / "outputs") == []
    assert seen == 4


def test_a_sweep_whose_companions_never_live_publishes_its_runs_itself(with_store):
    words = ("experiment=smoke", "data=digits", "seed=range(2)", "tracking.patience=1")
    sweep = with_store.start("-m", *words)
    killed = 0
    while sweep.poll() is None:
        time.sleep(0.05)
        for pid in children(sweep.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    out, err = sweep.communicate(timeout=HANGING)
    assert sweep.returncode == 0, err
    assert "2 of 2 jobs finished" in out
    found = [run for run in with_store.store().search() if run.tags.get("nnexp.kind") is None]
    assert [run.status for run in found] == 2 * ["FINISHED"]
    assert backlog.entries(with_store.folder / "outputs") == []
    assert killed > 3
