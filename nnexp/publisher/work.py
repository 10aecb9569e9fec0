"""What a companion does for the runs of one trainer: it answers, publishes, and says that they are alive."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnexp import calls
from nnexp.companion import DEATHS_PER_QUESTION, Settings
from nnexp.errors import one_line
from nnexp.publisher.closing import Closing, attempt
from nnexp.publisher.patience import Waiters
from nnexp.recovery import close_lost
from nnexp.runs import backlog, questions
from nnexp.runs.directory import RunDirectory
from nnexp.runs.history import HISTORY
from nnexp.runs.questions import Question
from nnexp.runs.records import RunRecord
from nnexp.tasks import describe, prepare_to_describe
from nnexp.timeline import span
from nnexp.tracking import models
from nnexp.tracking.errors import StoreError
from nnexp.tracking.mlflow_import import import_mlflow
from nnexp.tracking.publication import LIVE_AFTER
from nnexp.tracking.publications import Publications
from nnexp.tracking.store import Store
from nnexp.tracking.system_metrics import SystemMetrics, are_wanted

TABLE_GROWS = 1.5  # times as long as when its table was made last a history is, where a new one is made
LOOK_SECONDS = 2.0  # between two looks at what is new, where the trainer does not ring


class Publisher:
    """What is done for the runs of one trainer."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.entries = backlog.Watch(settings.root, self._is_mine)
        self.waiters = Waiters(self.entries)
        self.store = None
        if settings.uri is not None:
            store = Store(settings.uri, settings.experiment)
            self.store = Publications(store, self.waiters.refuse, self.waiters.renew)
        self.bells = {question: threading.Event() for question in Question}
        self.is_ready = threading.Event()  # MLflow is imported
        self.has_runs = threading.Event()  # a run of the trainer is there, whoever gets its job
        self.has_begun = threading.Event()  # a run of the trainer is to be published, or it has ended
        self.is_over = threading.Event()  # the trainer is gone
        self._at_work: list[Path] = []  # runs that are claimed or drawn this moment
        self.closing = Closing(settings, self.entries, self.store, self._advance, self._at_work)
        self._looked: dict[Path, float] = {}  # when a run that trains was looked at last
        self._tabled: dict[Path, int] = {}  # how long its history was when its table was made

    def _is_mine(self, record: RunRecord) -> bool:
        tracking, mine = record.tracking, self.settings
        return (record.publisher, tracking.uri, tracking.experiment) == (mine.owner, mine.uri, mine.experiment)

    def runs(self) -> list[RunDirectory]:
        """The runs of the trainer in the backlog, without those of which it is still open who has the job.

        Who leaves a job to another run takes its entry away first and its question last; so it is looked in this order.
        """
        directories = [d for d in self.entries.directories() if not questions.is_open(d, Question.CLAIM)]
        return [d for d in directories if backlog.has(self.settings.root, d) and d.path not in self.closing.failed]

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

    def suspect(self) -> None:
        """Find out when the store falls silent while somebody waits for it."""
        self.is_ready.wait()
        if self.store is not None:
            self.waiters.watch(self.store)

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
        self.closing.close_failed()
        self.closing.close_orphans()
        if self.store is not None:
            self.store.let_go_of_deleted()
        runs = [directory for directory in runs if self._is_due(directory)]
        for directory in runs:
            with suppress(OSError, ValueError):
                self._write_table(directory)
        for directory in runs:
            if self.store is not None and self.store.problem is not None and self.store.is_left_alone:
                self.waiters.refuse(self.store.problem)
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
            attempt(lambda: SystemMetrics().serve(self.runs, self.is_over.wait))

    def take(self, line: bytes) -> None:
        """Look at the disk, as a trainer wants by an empty line; another tells of a run that the disk cannot hold."""
        if line.strip():
            self.closing.failures.append(json.loads(line))
        self.ring()

    def hear(self, bell: str) -> None:
        """Take what workers write into a named pipe."""
        with open(os.open(bell, os.O_RDWR), "rb", buffering=0) as pipe:  # open for writing too, so it does not end
            while line := pipe.readline():
                self.take(line)

    def _leave(self) -> None:
        """The trainer is gone: close what it left open, publish what is left, repair what other crashes left."""
        self.closing.close_failed()
        if self.entries.directories() or self.has_begun.is_set():
            self.closing.close_left()
            self.closing.publish_left(self.runs)
