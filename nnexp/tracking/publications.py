"""The publications of one trainer's runs in one store, which may fall silent, or not take one of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from nnexp.errors import one_line
from nnexp.runs.arbitration import Claim
from nnexp.runs.directory import RECORD, RunDirectory
from nnexp.runs.records import RunStatus
from nnexp.tracking.errors import RefusedError, StoreError
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import Store
from nnexp.tracking.store_arbiter import Close

SHORTEST_PAUSE, LONGEST_PAUSE = 2.0, 30.0  # seconds to leave a silent store alone, and a run that it does not take

T = TypeVar("T")


class Publications:
    """How far each run has got in the store, and what is known of the store's being there.

    Parameters
    ----------
    tell
        Gets the reason when the store is found silent, so that nobody waits for it.
    renew
        Is called with each answer of a server while something is published: who waits may wait longer.
    """

    def __init__(self, store: Store, tell: Callable[[str], None], renew: Callable[[], None] = lambda: None) -> None:
        self.store = store
        self._renew, self._n_at_work = renew, 0
        store.on_answer = self._on_answer
        self.problem: str | None = None  # why the store is left alone, until it has done something again
        self._tell = tell
        self._retry_at, self._pause = 0.0, SHORTEST_PAUSE
        self._of: dict[Path, Publication] = {}
        self._refused: dict[Path, tuple[int, float]] = {}  # failures in a row, and when to try again

    @property
    def is_left_alone(self) -> bool:
        """Whether the store is not even tried now."""
        return self.problem is not None and time.monotonic() < self._retry_at

    def check(self) -> None:
        """Ask the store for a sign of life.

        Raises
        ------
        StoreError
            If it gives none; then it is left alone for a while, longer each time.
        """
        try:
            self.store.ping()
        except StoreError as error:
            if self.problem is None:
                self._pause = SHORTEST_PAUSE
            self.problem = one_line(error)
            self._retry_at = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            self._tell(self.problem)
            raise

    def _on_answer(self) -> None:
        """Whatever is answered meanwhile counts: a request that hangs beside it fails by itself in the end."""
        if self._n_at_work:
            self.store.advanced_at = time.monotonic()
            self._renew()

    def attempt(self, work: Callable[[], T]) -> T:
        """Do something with the store; where it fails, find out whether the store is there.

        What came to nothing was no advance: nobody waits for a run that the store answers, but never takes.
        """
        self._n_at_work += 1
        before = self.store.advanced_at
        try:
            result = work()
        except RefusedError:  # by a server that is there
            self.store.advanced_at = before
            raise
        except Exception as error:
            self.store.advanced_at = before
            try:
                self.check()
            except StoreError as silence:
                raise silence from error
            raise
        finally:
            self._n_at_work -= 1
        self.problem = None
        return result

    def claim(self, directory: RunDirectory, close: Close) -> Claim:
        """Try to get the job of a run; what is known of a run that this process made itself saves asking for it."""
        publication = Publication(directory, self.store)
        claim = self.attempt(lambda: publication.claim(close))
        if claim.is_mine:
            self._of[directory.path] = publication
        return claim

    def is_refused(self, directory: RunDirectory) -> bool:
        """Whether the store, which was there, has not taken the run, and is not to be asked for it again so soon."""
        return time.monotonic() < self._refused.get(directory.path, (0, 0.0))[1]

    def advance(self, directory: RunDirectory, *, to_the_end: bool = True) -> None:
        """Publish what is new of a run."""
        path = directory.path
        publication = self._of[path] = self._of.get(path) or Publication(directory, self.store)
        try:
            is_whole = self.attempt(lambda: publication.advance(to_the_end=to_the_end))
        except Exception:
            n_failures, _ = self._refused.get(path, (0, 0.0))
            pause = min(SHORTEST_PAUSE * 2**n_failures, LONGEST_PAUSE)
            self._refused[path] = n_failures + 1, time.monotonic() + pause
            raise
        self._refused.pop(path, None)
        if is_whole:
            self._of.pop(path, None)

    def beat(self, directory: RunDirectory) -> None:
        """Say of a run in the store that it is alive."""
        publication = self._of.get(directory.path)
        if publication is not None and publication.run_id and not self.problem:
            with suppress(Exception):  # what is wrong with the store shows when something is published
                self.store.beat(publication.run_id)

    def let_go_of_deleted(self) -> None:
        """Nothing more is to be published of a run whose directory was deleted; its run in the store is closed."""
        for path, publication in list(self._of.items()):
            if not (path / RECORD).exists():
                del self._of[path]
                with suppress(Exception):  # the store is away; who finds the run there closes it as lost
                    publication.close_vanished(f"its directory {path} was deleted before it was published")

    def fail(self, directory: RunDirectory, message: str) -> None:
        """Close a run as FAILED whose directory cannot be written to any more."""
        publication = self._of.pop(directory.path, None) or Publication(directory, self.store)
        run_id = self.attempt(lambda: publication.ensure_run(directory.record))
        self.attempt(lambda: self.store.terminate(run_id, RunStatus.FAILED, message=message))
