"""Functions that another process calls: what comes back, whatever becomes of either end."""

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading

import pytest

from nnexp import calls
from nnexp.companion import Companion, Settings
from nnexp.publisher.work import Publisher
from nnexp.runs import backlog, lease, questions
from nnexp.runs.directory import RunDirectory
from nnexp.runs.files import tell_once
from nnexp.runs.questions import Question
from nnexp.sweeps import desk
from nnexp.terminal import overheard, say
from nnexp.tracking.errors import StoreError
from nnexp.tracking.store import Store
from tests.tools import made_up
from tests.tools.waiting import HANGING, wait_for


def told(store, *arguments):
    say(f"to {arguments}")
    return store, os.getpid()


def fails(store):
    raise ValueError("no\nsuch thing")


def unspeakable(store):
    return threading.Lock()


def pid_of(store):
    return os.getpid()


@pytest.fixture
def line():
    ours, theirs = socket.socketpair()
    with theirs:
        stream = theirs.makefile("rwb")
        threading.Thread(target=calls.serve, args=(stream, "the store"), daemon=True).start()
        yield calls.Line(ours)


def test_a_function_gets_the_store_and_its_value_and_lines_come_back(line):
    answer = line.call(told, (1, "two"))
    assert answer.value == ("the store", os.getpid())
    assert (answer.said, answer.problem) == ([("to (1, 'two')", "")], None)


@pytest.mark.parametrize(("function", "problem"), [(fails, "no"), (unspeakable, "cannot pickle")])
def test_what_fails_is_told_in_a_line_and_the_line_goes_on(line, function, problem):
    answer = line.call(function, ())
    assert problem in answer.problem
    assert "\n" not in answer.problem
    assert line.call(told, ()).problem is None


def test_an_end_that_is_gone_is_an_error():
    ours, theirs = socket.socketpair()
    line = calls.Line(ours)
    theirs.close()
    with pytest.raises((EOFError, OSError)):
        line.call(told, ())


def test_an_answer_that_nobody_waited_for_is_given_to_nobody_else(line, tmp_path):
    hurry = threading.Event()

    def interrupted():  # as by Ctrl-C: the wait is over, the exchange goes on
        threading.Thread(target=line.call, args=(told, ("first",)), daemon=True).start()
        hurry.set()

    interrupted()
    hurry.wait()
    assert line.call(told, ("second",)).said == [("to ('second',)", "")]


def test_what_is_said_in_another_thread_is_not_overheard(capfd):
    with overheard() as lines:
        say("here")
        thread = threading.Thread(target=say, args=("elsewhere",))
        thread.start()
        thread.join()
        tell_once("damaged", "a file")
        tell_once("damaged", "a file")  # the other process knows what it has told
    say("after")
    assert lines == [("here", ""), *2 * [("damaged", "a file")]]
    assert capfd.readouterr().err.split() == ["elsewhere", "after"]


@pytest.fixture
def companion(tmp_path, empty_store):
    companion = Companion(tmp_path, empty_store(tmp_path / "mlflow.db"), "e", heartbeat=0.5)
    yield companion
    companion.close()


@pytest.mark.slow
def test_a_companion_calls_again_what_killed_it_and_at_last_it_is_called_here(companion, tmp_path):
    assert companion.call(pid_of) == companion.process.pid
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(companion.call(pid_or_pause, str(tmp_path / "asked"))))
    waiting.start()
    for n in (1, 2):  # each time another process is asked
        wait_for(lambda n=n: len(list(tmp_path.glob("asked-*"))) == n)
        os.kill(companion.process.pid, signal.SIGKILL)
    waiting.join(HANGING)
    assert answers == [companion.process.pid]


def pid_or_pause(store, path):
    """Waits in the first two processes that do it."""
    import glob

    n = len(glob.glob(f"{path}-*"))
    open(f"{path}-{os.getpid()}", "w").close()
    if n < 2:
        signal.pause()
    return os.getpid()


def test_where_no_companion_lives_a_function_is_called_here(companion, tmp_path, monkeypatch):
    monkeypatch.setattr("nnexp.companion.RESTARTS", 0)
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))  # without its library no Python starts
    assert companion.call(pid_of) == os.getpid()
    with pytest.raises(ValueError, match="no"):
        companion.call(fails)
    companion.process = None


@pytest.mark.slow
def test_the_run_of_a_worker_that_is_gone_is_closed_while_the_others_go_on(companion, tmp_path):
    store = Store(companion.settings.uri, "e")
    worker = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    there = json.dumps(json.loads(lease.owner()) | {"pid": worker.pid, "start": lease.process_start(worker.pid)})
    runs = []
    for name, owner in (("orphan", there), ("own", lease.owner())):
        directory = made_up.begin(tmp_path, name, store=store)
        record = directory.read_json("run.json") | {"owner": owner, "parent": lease.owner()}
        directory.write_json("run.json", record)
        made_up.train(directory, range(3)).close()
        runs.append(RunDirectory(directory.path))
    companion.ring()
    wait_for(lambda: all(store.find_uid(each.uid) for each in runs))
    assert [each.result for each in runs] == [None, None]
    worker.communicate()
    wait_for(lambda: not backlog.has(tmp_path, runs[0]))
    assert (runs[0].result.status, store.find_uid(runs[0].uid).status) == ("KILLED", "KILLED")
    assert runs[1].result is None
    made_up.end(runs[1], 2)


def test_what_a_worker_still_holds_when_its_trainer_is_gone_is_left_to_it(tmp_path, empty_store):
    store = Store(empty_store(tmp_path / "mlflow.db"), "e")
    trainer = json.dumps(json.loads(lease.owner()) | {"pid": 1, "start": "0"})  # gone; this process is its worker
    directory = made_up.begin(tmp_path, "slow", store=store)
    directory.write_json("run.json", directory.read_json("run.json") | {"parent": trainer})
    publisher = Publisher(Settings(trainer, str(tmp_path), store.uri, "e", 10.0))
    publisher.has_begun.set()
    publisher._leave()
    assert directory.result is None
    assert backlog.has(tmp_path, directory)


def test_a_drawing_that_ends_the_process_again_and_again_is_given_up(tmp_path):
    directory = made_up.whole(tmp_path, "run")
    publisher = Publisher(Settings(lease.owner(), str(tmp_path), None, "e", 10.0))
    questions.ask(directory, Question.DRAW)
    assert [questions.attempt(directory, Question.DRAW) for _ in range(3)] == [1, 2, 3]  # as three that were killed
    with pytest.raises(StoreError, match="has ended 3 times"):
        publisher._draw(directory)
    questions.answer(directory, Question.DRAW, problem="given up")
    assert questions.said(directory, Question.DRAW) == {"problem": "given up"}


def test_a_task_that_the_companion_cannot_import_is_known_as_such():
    assert desk.knows(None, "network")
    assert not desk.knows(None, "nowhere.train")


def test_a_trainer_that_is_gone_before_its_answer_ends_no_companion(tmp_path, empty_store):
    store = Store(empty_store(tmp_path / "mlflow.db"), "e")
    publisher = Publisher(Settings(lease.owner(), str(tmp_path), store.uri, "e", 10.0))
    publisher.is_ready.set()
    ours, theirs = socket.socketpair()
    calls_made = ours.makefile("wb")
    pickle.dump(pickle.dumps((pid_of, ())), calls_made)
    calls_made.flush()
    calls_made.close()
    ours.close()
    publisher.answer_calls(theirs)


def test_a_store_error_has_the_words_of_the_function(companion):
    with pytest.raises(StoreError, match=r"^no\b"):
        companion.call(fails)
