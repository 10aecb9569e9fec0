"""A sweep's link to its store, which may break: from then on the sweep goes on with its run directories."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from math import inf
from pathlib import Path
from typing import Any

from nnexp.errors import one_line
from nnexp.paths import sqlite_path
from nnexp.recovery import remove_leftovers
from nnexp.runs import backlog, disk_arbiter
from nnexp.runs.directory import RunDirectory, peek
from nnexp.runs.records import Destination
from nnexp.runs.tags import RUN_KEY
from nnexp.sweeps import desk, messages
from nnexp.sweeps.desk import Call, ParentRun
from nnexp.sweeps.job_states import KnownRuns
from nnexp.sweeps.status import JobState
from nnexp.terminal import say
from nnexp.timeline import span
from nnexp.tracking import database
from nnexp.tracking.server import is_refusal, publishes
from nnexp.tracking.store import Store


class StoreLink:
    """What a sweep asks of its store and tells it, through whoever calls functions of the store.

    Attributes
    ----------
    parent
        The sweep's parent run, once it is there.
    was_broken_off
        Whether the sweep was begun before and did not come to its end.
    problem
        Why the store cannot be used, or does not take the runs.

    Parameters
    ----------
    store, call
        None for a sweep without a store; `call` None: functions are called in this process.
    root, sweep, destination
        The output directory, the sweep's id, and the store and experiment that it is for.
    since, strict_before
        Runs that ended before the first stand for no job, and those of other arithmetic not if before the second.
    """

    def __init__(
        self,
        store: Store | None,
        call: Call | None,
        root: str,
        sweep: str,
        destination: Destination,
        *,
        since: float = 0.0,
        strict_before: float = 0.0,
    ) -> None:
        self.store, self.root, self.sweep, self.destination = store, root, sweep, destination
        self._call = call or (desk.here(store) if store is not None else None)
        self._since, self._strict_before = since, strict_before
        self.parent: ParentRun | None = None
        self.was_broken_off = False
        self.problem: str | None = None
        self._has_been = self._call is not None
        self._breaking = threading.Lock()
        self._opening: threading.Thread | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is a store, and nothing has shown that it cannot be reached."""
        return self._call is not None

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function returns for the store, which is None where none is there."""
        call = self._call
        return function(None, *arguments) if call is None else call(function, *arguments)

    def lacks(self, keys: Collection[str]) -> bool:
        """Whether neither this machine nor the store knows a job, as far as that can be seen without MLflow."""
        path = None if self.store is None or self._call is None else sqlite_path(self.store.uri)
        if path is None or any(disk_arbiter.knows(self.root, key) for key in keys):
            return False
        keys = set(keys)
        if any(found and found[0].run_key in keys for found in map(peek, backlog.entries(self.root))):
            return False
        return database.lacks(path, RUN_KEY, keys)

    @span("store")
    def recover(self) -> None:
        """Close and publish what crashes left in the store and in the output directory, of whatever run or sweep."""
        if self.is_there:
            try:
                messages.tell_recovered(self.call(desk.repair, self.root))
            except Exception as error:
                self.break_off(error)
        remove_leftovers(self.root)

    @span("store")
    def open(self, directory: RunDirectory, task: str) -> None:
        """Make the parent run of the sweep in a directory."""
        call, store = self._call, self.store
        if call is None:
            return
        try:
            if store is not None and not call(desk.knows, task):
                call = desk.here(store)  # what the task says of its metrics is known here only
            parent = ParentRun(call, directory)
            self.was_broken_off = parent.begin()
        except Exception as error:
            self.break_off(error)
            return
        with self._breaking:
            if self._call is not None:
                self._call, self.parent = call, parent

    def open_later(self, directory: RunDirectory, task: str, then: Callable[[], None] = lambda: None) -> None:
        """Recover, open and do what there is `then` while the first jobs train; :meth:`wait` for it."""

        def work() -> None:
            try:
                self.recover()
            except OSError as error:  # a leftover that cannot be removed
                say(one_line(error))
            self.open(directory, task)
            then()

        self._opening = threading.Thread(target=work, name="nnexp-opening", daemon=True)
        self._opening.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is open, or known to be broken; whether it is."""
        if self._opening is None:
            return True
        self._opening.join(seconds)
        return not self._opening.is_alive()

    @span("store")
    def refresh(self, keys: Sequence[str], *, repair: bool = True, elsewhere: bool = True) -> dict[str, JobState]:
        """The states of jobs now. A store that cannot be reached is told once and done without."""
        try:
            return self.read(keys, repair=repair, elsewhere=elsewhere)
        except Exception as error:
            self.break_off(error)
            return self.read(keys)

    def read(
        self, keys: Sequence[str], *, repair: bool = True, elsewhere: bool = True, after: float | None = None
    ) -> dict[str, JobState]:
        """The states of jobs by the store, where there is one, and the disk (see :meth:`KnownRuns.refresh`)."""
        how = {"since": self._since, "repair": repair, "elsewhere": elsewhere, "after": after}
        if (call := self._call) is None:
            known = KnownRuns(None, self.root, self.sweep, self.destination, self._strict_before)
            return known.refresh(keys, **how)
        return call(desk.states, self.root, self.sweep, self.destination, keys, self._strict_before, how)

    def make_report(self, make: Callable[..., Any], folder: Path, margin: float | None) -> tuple[Path, tuple[str, ...]]:
        """The report of the sweep, in a folder and at the parent run: its page, and what it says of the best."""
        path, choice = self.call(make, self.sweep, folder, margin)
        if self.parent is not None:
            self.parent.attach(path)
        return path, choice

    def is_to_blame(self, error: Exception) -> bool:
        """Whether something came to nothing because the store refuses it, or cannot be read at all."""
        if is_refusal(one_line(error)):
            return True
        try:
            self.call(desk.check)
            return False
        except Exception:
            return True

    def break_off(self, error: Exception) -> None:
        """Go on without the store, which cannot be reached.

        Raises
        ------
        Exception
            The error, for a sweep that never had one.
        """
        if not self._has_been:
            raise error
        with self._breaking:  # while it is being opened, two may find out
            if self._call is not None:
                self.problem = one_line(error)
                later = publishes(self.problem, "them later")
                say(f"{self.problem}. The sweep goes on with its run directories; {later}.")
            self.store = self._call = self.parent = None


def kept_back(link: StoreLink, count: Callable[[], int], patience: float) -> int:
    """How many ended runs the store does not have whole, once nothing was published for `patience` seconds."""
    still_since = time.monotonic()
    while kept := count():
        if time.monotonic() - still_since > (patience if link.is_there else 0):
            stillness = _stillness(link)
            if stillness > patience:
                break
            still_since = time.monotonic() - stillness
        time.sleep(0.2)
    if kept and link.is_there:
        try:  # their companions were killed too often, or the store was away until now
            link.call(desk.repair, link.root, link.sweep)
        except Exception as error:
            link.problem = one_line(error)
            say(link.problem)
        kept = count()
    return kept


def _stillness(link: StoreLink) -> float:
    """Seconds since publishing advanced last."""
    try:
        return link.call(desk.stillness)
    except Exception:  # who publishes is gone, or says nothing
        return inf
