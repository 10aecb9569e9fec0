"""The companion process of a trainer: it describes and publishes the runs of that, and answers for the store.

    python -m nnexp.publisher DESCRIPTOR [standby]

Its standard input is a pipe that closes with the trainer, and begins with a line of settings; `standby` says that they
come later, and MLflow is imported meanwhile. DESCRIPTOR is of the connection by which calls are answered.

It finds on the disk what there is to do: the runs of its trainer are in the backlog, and their directories say more.

    .claim is asked                     claim the job in the store             (thread "claim")
    no result                           publish the history as it grows        (thread "publish")
    .draw is asked                      describe the run: reports, figures     (thread "draw")
    a result, described                 publish it to its end, and take it out of the backlog ("publish")

Each step can be repeated, so a companion that is killed is just started again. It has a thread for each, so that no
claim and no curve waits for a figure, and one for the heartbeat. When the trainer is gone, what it left open is closed
with a true status.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnexp import calls
from nnexp.companion import DEATHS_PER_QUESTION, Settings
from nnexp.errors import one_line
from nnexp.garbage import collect_seldom
from nnexp.recovery import TRAINER_KILLED, close_and_describe, close_lost, recover, remove_leftovers
from nnexp.runs import backlog, lease, questions
from nnexp.runs.directory import RunDirectory
from nnexp.runs.files import RecordError
from nnexp.runs.history import HISTORY, has_history
from nnexp.runs.questions import Question
from nnexp.runs.records import RunRecord
from nnexp.runs.temporary import remove_own_folder, use_own_folder
from nnexp.standby import STANDBY
from nnexp.tasks import describe, prepare_to_describe
from nnexp.timeline import end as note_end
from nnexp.timeline import span
from nnexp.tracking import models
from nnexp.tracking.publication import LIVE_AFTER
from nnexp.tracking.publications import Publications
from nnexp.tracking.store import Store, StoreError, import_mlflow
from nnexp.tracking.system_metrics import SystemMetrics, are_wanted

TABLE_GROWS = 1.5  # times as long as when its table was made last a history is, where a new one is made
LOOK_SECONDS = 2.0  # between two looks at what is new, where the trainer does not ring
SUSPICIOUS_SECONDS = 2.0  # of waiting for a silent store, after which it is asked whether it is there at all
RENEW_SECONDS = 0.5  # between two signs to those who wait that publishing advances
WORKERS_SECONDS = 20.0  # that workers have to end when the trainer is gone
LINGER_SECONDS = 120.0  # to go on publishing when the trainer is gone
TRAINER_LOOK_SECONDS = 5.0  # between looks at the trainer: a process that it has forked may keep the pipe open
TURN_SECONDS = 0.0005  # that a thread which computes holds up the others: a claim must not wait for drawing
OF_THE_STORE = (Question.CLAIM, Question.PUBLISH)


class Publisher:
    """What is done for the runs of one trainer."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = None
        if settings.uri is not None:
            self.store = Publications(Store(settings.uri, settings.experiment), self._refuse, self._renew)
        self.entries = backlog.Watch(settings.root, self._is_mine)
        self.bells = {question: threading.Event() for question in Question}
        self.is_ready = threading.Event()  # MLflow is imported
        self.has_runs = threading.Event()  # a run of the trainer is there, whoever gets its job
        self.has_begun = threading.Event()  # a run of the trainer is to be published, or it has ended
        self.is_over = threading.Event()  # the trainer is gone
        self.failures: list[dict[str, str]] = []  # ends that the disk cannot hold
        self._failed: set[Path] = set()
        self._orphans: set[Path] = set()  # runs of workers that are gone
        self._at_work: list[Path] = []  # runs that are claimed or drawn this moment
        self._owners: dict[Path, str] = {}
        self._looked: dict[Path, float] = {}  # when a run that trains was looked at last
        self._renewed = 0.0  # when those who wait were told last that publishing advances
        self._tabled: dict[Path, int] = {}  # how long its history was when its table was made

    def _is_mine(self, record: RunRecord) -> bool:
        tracking, mine = record.tracking, self.settings
        return (record.publisher, tracking.uri, tracking.experiment) == (mine.owner, mine.uri, mine.experiment)

    def runs(self) -> list[RunDirectory]:
        """The runs of the trainer in the backlog, without those of which it is still open who has the job.

        Who leaves a job to another run takes its entry away first and its question last; so it is looked in this order.
        """
        directories = [d for d in self.entries.directories() if not questions.is_open(d, Question.CLAIM)]
        return [d for d in directories if backlog.has(self.settings.root, d) and d.path not in self._failed]

    def ring(self) -> None:
        """Have every thread look at the disk."""
        for bell in self.bells.values():
            bell.set()

    # Answering.

    def serve(self, question: Question, work: Callable[[RunDirectory], dict[str, Any]]) -> None:
        """Answer the questions of one kind, one after the other, until the trainer is gone and none is left."""
        is_over = False
        while not is_over:
            is_over = self.is_over.is_set()
            self.bells[question].clear()
            for directory in self.entries.directories():
                if questions.is_asked(directory, question):
                    self._at_work.append(directory.path)
                    try:
                        said = work(directory)
                    except Exception as error:
                        said = {"problem": one_line(error)}
                    finally:
                        self._at_work.remove(directory.path)
                    questions.answer(directory, question, **said)
                    self.bells[Question.PUBLISH].set()
            if not is_over:
                self.bells[question].wait(LOOK_SECONDS)

    def answer_claims(self) -> None:
        """Get the jobs of runs that may be training already."""
        self.is_ready.wait()
        self.serve(Question.CLAIM, self._claim)

    @span("claiming")
    def _claim(self, directory: RunDirectory) -> dict[str, Any]:
        if self.store is None or self.is_over.is_set():
            raise StoreError("there is no store to ask, or nobody who asks")
        if self.store.problem is not None:
            raise StoreError(self.store.problem)
        claim = self.store.claim(directory, close_lost)
        return {} if claim.is_mine else {"verdict": claim.verdict, "run_id": claim.run_id}

    def answer_calls(self, connection: socket.socket) -> None:
        """Do with the store what the trainer wants of it, which has no MLflow."""
        self.is_ready.wait()
        if self.store is not None:
            with suppress(OSError):  # of an answer that nobody is there to read, which closing would write again
                with connection, connection.makefile("rwb") as stream:
                    calls.serve(stream, self.store.store)

    def draw(self) -> None:
        """Describe ended runs, whatever the store does."""
        self.has_runs.wait()
        for directory in self.entries.directories()[:1]:  # while the trainer is training
            if not self.is_over.is_set():
                with span("drawing"), suppress(Exception):  # which is told where the run is described
                    prepare_to_describe(directory)
                    if self.store is not None:
                        models.prepare()
        self.serve(Question.DRAW, self._draw)

    def _draw(self, directory: RunDirectory) -> dict[str, Any]:
        try:
            if questions.attempt(directory, Question.DRAW) > DEATHS_PER_QUESTION:
                raise StoreError(f"the publishing process has ended {DEATHS_PER_QUESTION} times in the middle of it")
            with span("drawing"):
                describe(directory)
        except Exception as error:
            if self.store is None:  # then the run leaves the backlog, with all answers that nobody has read yet
                directory.amend_result(not_described=one_line(error))
            raise
        return {}

    def _refuse(self, problem: str) -> None:
        """Let nobody wait for a store that is silent; what there is to publish stays in the backlog."""
        for directory in self.entries.directories():
            for question in OF_THE_STORE:
                questions.answer(directory, question, problem=problem)

    def _renew(self) -> None:
        """Tell all who wait for the store that publishing advances, be it for another run."""
        now = time.monotonic()
        if now - self._renewed > RENEW_SECONDS:
            self._renewed = now
            for directory in self.entries.directories():
                for question in OF_THE_STORE:
                    questions.renew(directory, question)

    def suspect(self) -> None:
        """While somebody waits for a tracking server that says nothing, ask whether it is there."""
        self.is_ready.wait()
        since: dict[tuple[Path, Question], float] = {}
        while self.store is not None and self.store.store.is_server:
            time.sleep(SUSPICIOUS_SECONDS / 2)
            now, directories = time.monotonic(), self.entries.directories()
            asked = [(d.path, q) for d in directories for q in OF_THE_STORE if questions.is_asked(d, q)]
            since = {key: since.get(key, now) for key in asked}
            waited = min(now - min(since.values(), default=now), self.store.store.silence)
            if self.store.problem is None and waited > SUSPICIOUS_SECONDS:
                with suppress(StoreError):
                    self.store.check()

    # Publishing.

    def publish(self, others: Sequence[threading.Thread]) -> None:
        """Keep the store up to date until the trainer is gone; then bring to an end what it left."""
        if self.store is not None:
            import_mlflow()
        self.is_ready.set()
        bell = self.bells[Question.PUBLISH]
        while not self.is_over.is_set():
            bell.clear()
            self._look()
            bell.wait(LOOK_SECONDS)
        for thread in others:
            thread.join()
        self._leave()

    def _look(self) -> None:
        """Bring the store up to date, each run by itself: what is wrong with one of them holds up no other."""
        runs = self.runs()
        if runs:
            self.has_begun.set()
        if self.entries.directories():
            self.has_runs.set()
        self._close_failed()
        self._close_orphans()
        if self.store is not None:
            self.store.let_go_of_deleted()
        runs = [directory for directory in runs if self._is_due(directory)]
        for directory in runs:
            with suppress(OSError, ValueError):
                self._write_table(directory)
        for directory in runs:
            if self.store is not None and self.store.problem is not None and self.store.is_left_alone:
                self._refuse(self.store.problem)
                return
            self._look_at(directory)

    def _is_due(self, directory: RunDirectory) -> bool:
        """Whether there may be something to publish: of a run that trains not at every ring for another."""
        if directory.has_ended:
            self._looked.pop(directory.path, None)
            self._tabled.pop(directory.path, None)
            return True
        now = time.monotonic()
        if now - self._looked.get(directory.path, -LOOK_SECONDS) < 0.9 * LOOK_SECONDS:
            return False
        self._looked[directory.path] = now
        return True

    def _write_table(self, directory: RunDirectory) -> None:
        """Make the table of a run that trains, anew as its history grows: of long ones it would take ever longer.

        The trainer makes it at the end of the run, and who closes the run of a trainer that was killed.
        """
        if directory.has_ended or time.time() - directory.record.started < LIVE_AFTER:
            return
        length = (directory.path / HISTORY).stat().st_size
        if length >= TABLE_GROWS * self._tabled.get(directory.path, 1):
            self._tabled[directory.path] = length
            directory.write_history_table()

    def _look_at(self, directory: RunDirectory) -> None:
        is_asked = questions.is_asked(directory, Question.PUBLISH)
        if self.store is not None and self.store.is_refused(directory) and not is_asked:
            return
        said, is_last = {}, is_asked and not questions.is_asked(directory, Question.DRAW)
        try:
            result = directory.result
            is_drawn = result is not None and bool(result.described or result.not_described)
            self._advance(directory, to_the_end=is_last or is_drawn)
        except Exception as error:
            said["problem"] = one_line(error)
        if is_last:
            questions.answer(directory, Question.PUBLISH, **said)

    @span("publishing")
    def _advance(self, directory: RunDirectory, *, to_the_end: bool = True) -> None:
        """Publish what is new of a run; one that no store is to get leaves the backlog when it is drawn."""
        if self.store is not None:
            self.store.advance(directory, to_the_end=to_the_end)
        elif to_the_end:
            backlog.leave(self.settings.root, directory)

    def beat(self) -> None:
        """Say now and then that the runs are alive, also while something large is on its way into the store."""
        while not self.is_over.wait(self.settings.heartbeat):
            for directory in self.entries.directories():
                backlog.beat(directory)
                if self.store is not None:
                    self.store.beat(directory)

    def measure(self) -> None:
        """Measure the load of the machine for the runs that train, where the user asked for it."""
        if self.store is not None and are_wanted():
            self.is_ready.wait()
            _attempt(lambda: SystemMetrics().serve(self.runs, self.is_over.wait))

    def _close_failed(self) -> None:
        """Close runs as FAILED whose directories cannot be written to any more."""
        while self.failures:
            failure = self.failures.pop()
            directory = RunDirectory(failure["path"])
            self._failed.add(directory.path)
            if self.store is not None:
                _attempt(self.store.fail, directory, failure["message"])

    def take(self, line: bytes) -> None:
        """Look at the disk, as a trainer wants by an empty line; another tells of a run that the disk cannot hold."""
        if line.strip():
            self.failures.append(json.loads(line))
        self.ring()

    def hear(self, bell: str) -> None:
        """Take what workers write into a named pipe."""
        with open(os.open(bell, os.O_RDWR), "rb", buffering=0) as pipe:  # open for writing too, so it does not end
            while line := pipe.readline():
                self.take(line)

    # The end.

    def _workers_runs(self) -> list[tuple[RunDirectory, bool]]:
        """The runs of the trainer's workers, and whether their worker is there."""
        found = [(directory, self._owner_of(directory)) for directory in self.entries.directories()]
        there = {owner: lease.gone_reason(owner) is None for _, owner in found if owner != self.settings.owner}
        return [(directory, there[owner]) for directory, owner in found if owner in there]

    def _owner_of(self, directory: RunDirectory) -> str:
        """Who holds a run; the trainer where that cannot be read any more."""
        if directory.path not in self._owners:
            with suppress(OSError, RecordError):
                self._owners[directory.path] = directory.record.owner
        return self._owners.get(directory.path, self.settings.owner)

    def has_workers(self) -> bool:
        """Whether a worker of the trainer is at work."""
        return any(is_there for _, is_there in self._workers_runs())

    def _close_orphans(self) -> None:
        """Close what workers left that are gone, while others go on."""
        for directory, is_there in self._workers_runs():
            if not is_there and directory.path not in (*self._orphans, *self._at_work):
                self._orphans.add(directory.path)
                if _attempt(self._close, directory) and backlog.has(self.settings.root, directory):
                    _attempt(self._advance, directory)

    def _leave(self) -> None:
        """The trainer is gone: close what it left open, publish what is left, repair what other crashes left."""
        self._close_failed()
        left = self.entries.directories()
        if not left and not self.has_begun.is_set():
            return
        alive = {directory.path for directory, is_there in self._workers_runs() if is_there}
        for directory in left:  # what a worker that does not end still writes is published by `nnexp sync`
            if directory.path not in alive:
                _attempt(self._close, directory)
        if self.store is None or self.store.store.silence < SUSPICIOUS_SECONDS or _attempt(self.store.check):
            for directory in self.runs():
                _attempt(self._advance, directory)
            _attempt(self._repair)
        remove_leftovers(self.settings.root)

    def _close(self, directory: RunDirectory) -> None:
        """Close a run in the middle of which its trainer was killed; one that has not begun leaves nothing."""
        if questions.is_open(directory, Question.CLAIM):
            if not (directory.has_ended or has_history(directory.path)):
                backlog.leave(self.settings.root, directory)
                shutil.rmtree(directory.path)
                return
            questions.forget(directory)  # nobody waits for the answer, and what was trained is kept
        if directory.has_ended:
            describe(directory)  # where that fails, `nnexp sync` tries it again
        elif directory.path not in self._failed:
            close_and_describe(directory, TRAINER_KILLED, _tell)

    def _repair(self) -> None:
        if self.store is not None:
            self.store.let_go_of_deleted()
            recover(self.store.store, self.settings.root, _tell)


def _attempt(work: Callable[..., object], *arguments: object) -> bool:
    """Whether it could be done."""
    try:
        work(*arguments)
        return True
    except Exception as error:
        _tell(one_line(error))
        return False


def _tell(line: str) -> None:
    """The last line is told by the trainer, if it is there when this process dies."""
    print(line, file=sys.stderr)


def main() -> None:
    """Serve a trainer until it closes the pipe or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends when the trainer does, and has runs to close then
    sys.setswitchinterval(TURN_SECONDS)
    collect_seldom()
    use_own_folder()
    if STANDBY in sys.argv:
        _thread(import_mlflow)
    line = sys.stdin.buffer.readline()
    if not line:  # there is nothing to publish
        remove_own_folder()
        os._exit(0)
    settings = Settings(**json.loads(line))
    publisher = Publisher(settings)
    others = [_thread(publisher.draw), _thread(publisher.answer_claims)]
    publishing = _thread(lambda: publisher.publish(others))
    _thread(lambda: publisher.answer_calls(socket.socket(fileno=int(sys.argv[1]))))
    _thread(publisher.suspect)
    _thread(publisher.beat)
    _thread(publisher.measure)

    def end() -> None:
        """Let it finish, but not for ever: what is cut off is published by `nnexp sync`."""
        if not publisher.has_begun.is_set() and not publisher.entries.directories():
            remove_own_folder()  # the trainer was refused, and MLflow may be imported still
            os._exit(0)
        until = time.monotonic() + WORKERS_SECONDS
        while publisher.has_workers() and time.monotonic() < until:  # they end with the trainer, and close their runs
            time.sleep(0.1)
        publisher.is_over.set()
        publisher.has_runs.set()
        publisher.has_begun.set()
        publisher.ring()
        publishing.join(LINGER_SECONDS)
        if settings.bell is not None:
            Path(settings.bell).unlink(missing_ok=True)
        sys.stderr.flush()
        remove_own_folder()
        note_end()
        os._exit(0)

    def watch_trainer() -> None:
        while lease.gone_reason(settings.owner) is None:
            time.sleep(TRAINER_LOOK_SECONDS)
        end()

    _thread(watch_trainer)
    if settings.bell is not None and os.path.exists(settings.bell):
        _thread(lambda: publisher.hear(str(settings.bell)))
    for line in sys.stdin.buffer:
        publisher.take(line)
    end()


def _thread(work: Callable[[], object]) -> threading.Thread:
    """A thread that ends the process where it cannot go on, so that nobody waits for it: the trainer starts another."""

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            print(one_line(error), file=sys.stderr, flush=True)
            remove_own_folder()
            os._exit(1)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    return thread


if __name__ == "__main__":
    main()
