"""Closing what is left open by trainers that are gone, and by disks that take nothing more."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from nnexp.companion import Settings
from nnexp.errors import one_line
from nnexp.publisher.patience import SUSPICIOUS_SECONDS
from nnexp.recovery import TRAINER_KILLED, close_and_describe, recover, remove_leftovers
from nnexp.runs import backlog, lease, questions
from nnexp.runs.directory import RunDirectory
from nnexp.runs.files import RecordError
from nnexp.runs.history import has_history
from nnexp.runs.questions import Question
from nnexp.tasks import describe
from nnexp.tracking.publications import Publications

Publish = Callable[[RunDirectory], None]


class Closing:
    """Gives runs a true end that nobody else gives them any more.

    Parameters
    ----------
    publish
        Publishes a run to its end.
    at_work
        Paths of runs that are claimed or drawn this moment.
    """

    def __init__(
        self,
        settings: Settings,
        entries: backlog.Watch,
        store: Publications | None,
        publish: Publish,
        at_work: Sequence[Path],
    ) -> None:
        self.settings, self.entries, self.store, self._publish = settings, entries, store, publish
        self.failures: list[dict[str, str]] = []  # ends that the disk cannot hold
        self.failed: set[Path] = set()
        self._at_work = at_work
        self._orphans: set[Path] = set()  # runs of workers that are gone
        self._owners: dict[Path, str] = {}

    def close_failed(self) -> None:
        """Close runs as FAILED whose directories cannot be written to any more."""
        while self.failures:
            failure = self.failures.pop()
            directory = RunDirectory(failure["path"])
            self.failed.add(directory.path)
            if self.store is not None:
                attempt(self.store.fail, directory, failure["message"])

    # Workers.

    def has_workers(self) -> bool:
        """Whether a worker of the trainer is at work."""
        return any(is_there for _, is_there in self._workers_runs())

    def close_orphans(self) -> None:
        """Close what workers left that are gone, while others go on."""
        for directory, is_there in self._workers_runs():
            if not is_there and directory.path not in (*self._orphans, *self._at_work):
                self._orphans.add(directory.path)
                if attempt(self._close, directory) and backlog.has(self.settings.root, directory):
                    attempt(self._publish, directory)

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

    # The trainer.

    def close_left(self) -> None:
        """Close what the trainer left open, which is gone."""
        alive = {directory.path for directory, is_there in self._workers_runs() if is_there}
        for directory in self.entries.directories():  # what a worker still writes is published by `nnexp sync`
            if directory.path not in alive:
                attempt(self._close, directory)

    def publish_left(self, runs: Callable[[], Sequence[RunDirectory]]) -> None:
        """Publish what is left, and repair what other crashes left, where the store is there."""
        if self.store is None or self.store.store.silence < SUSPICIOUS_SECONDS or attempt(self.store.check):
            for directory in runs():
                attempt(self._publish, directory)
            attempt(self._repair)
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
        elif directory.path not in self.failed:
            close_and_describe(directory, TRAINER_KILLED, _tell)

    def _repair(self) -> None:
        if self.store is not None:
            self.store.let_go_of_deleted()
            recover(self.store.store, self.settings.root, _tell)


def attempt(work: Callable[..., object], *arguments: object) -> bool:
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
