"""Whether a store is there: one that is found silent is left alone for a while, longer each time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from nnexp.errors import one_line
from nnexp.tracking.store import Store, StoreError

SHORTEST_PAUSE, LONGEST_PAUSE = 2.0, 30.0  # seconds to leave a silent store alone

T = TypeVar("T")


class Reachability:
    """What this process knows of a store's being there.

    Parameters
    ----------
    tell
        Gets the reason when the store is found silent, so that nobody waits for it.
    """

    def __init__(self, store: Store, tell: Callable[[str], None]) -> None:
        self.store, self.problem = store, None
        self.problem: str | None = None  # why the store is left alone, until it has done something again
        self._tell = tell
        self._retry_at, self._pause = 0.0, SHORTEST_PAUSE

    @property
    def is_left_alone(self) -> bool:
        """Whether the store is not even tried now."""
        return self.problem is not None and time.monotonic() < self._retry_at

    def check(self) -> None:
        """Ask the store for a sign of life.

        Raises
        ------
        StoreError
            If it gives none; then it is left alone for a while.
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

    def attempt(self, work: Callable[[], T]) -> T:
        """Do something with the store; where it fails, find out whether the store is there."""
        try:
            result = work()
        except Exception as error:
            try:
                self.check()
            except StoreError as silence:
                raise silence from error
            raise
        self.problem = None
        return result
