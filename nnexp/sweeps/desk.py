"""What a sweep wants of its store: functions of the store, which the sweep's companion process calls.

So the process that runs a sweep imports no MLflow, and may train the jobs itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from math import inf
from pathlib import Path
from typing import Any

from nnexp import tasks
from nnexp.readers import ConfigError
from nnexp.recovery import draw, recover
from nnexp.runs.directory import RunDirectory
from nnexp.runs.records import Destination
from nnexp.sweeps.directory import record_of
from nnexp.sweeps.job_states import KnownRuns
from nnexp.sweeps.parent import Parent, Told
from nnexp.sweeps.status import JobState
from nnexp.terminal import say
from nnexp.timeline import span
from nnexp.tracking.store import Store

Call = Callable[..., Any]  # calls a function with the store and the arguments that it is given


def here(store: Store) -> Call:
    """Calls in this process."""
    return lambda function, *arguments: function(store, *arguments)


@span("planning")
def repair(store: Store, root: str, ended_of: str | None = None) -> list[str]:
    """Close and publish what crashes left; the names of the runs. Parameters as of :func:`nnexp.recovery.recover`."""
    return recover(store, root, say, ended_of)


def stillness(store: Store | None) -> float:
    """Seconds since publishing advanced last."""
    return inf if store is None else time.monotonic() - store.advanced_at


def check(store: Store | None) -> None:
    """See that the store can be read; it raises what is wrong where it cannot."""
    if store is not None:
        store.has_experiment()


@span("planning")
def states(
    store: Store,
    root: str,
    sweep: str,
    destination: Destination,
    keys: Collection[str],
    strict_before: float,
    how: dict[str, Any],
) -> dict[str, JobState]:
    """What is known of jobs; `how` are settings of :meth:`KnownRuns.refresh`."""
    return KnownRuns(store, root, sweep, destination, strict_before).refresh(keys, **how)


@span("drawing")
def draw_figures(_: Store | None, root: str, paths: Sequence[str], default_uri: str) -> None:
    """Draw and publish the figures of runs that were made without."""
    runs = [directory for path in paths if (directory := RunDirectory(path)).has_ended]
    draw(root, runs, default_uri, say)


def knows(_: Store, task: str) -> bool:
    """Whether a task can be imported: one of a script or a notebook can only there."""
    try:
        return bool(tasks.find(task))
    except ConfigError:
        return False


class ParentRun:
    """The parent run of a sweep, for the process that runs the sweep."""

    def __init__(self, call: Call, directory: RunDirectory) -> None:
        self._call, self._path = call, str(directory.path)

    def begin(self) -> bool:
        """Say that the sweep runs; whether it was begun before and did not come to its end."""
        return self._call(_begin, self._path)

    def say(self, told: Told) -> None:
        """Bring what is shown of the sweep up to date."""
        self._call(_do, self._path, "say", told)

    def beat(self) -> None:
        """Say that the sweep is alive."""
        self._call(_do, self._path, "beat")

    def attach(self, page: Path) -> None:
        """Keep a report's page where the UI shows it."""
        self._call(_do, self._path, "attach", page)

    def show(self, run_ids: Collection[str], ranked_by: str | None, colored: Sequence[str]) -> str:
        """Give the sweep its view, and runs their colours; what to open in a browser."""
        return self._call(_show, self._path, list(run_ids), ranked_by, list(colored))

    def end(self, status: str, message: str) -> str:
        """Close the sweep; the id of the parent run."""
        return self._call(_do, self._path, "end", status, message)


_parents: dict[tuple[str, str, str], Parent] = {}  # of the sweeps of the calling process


def _parent(store: Store, path: str, *, is_new: bool = False) -> Parent:
    key = (store.uri, store.experiment, path)
    if is_new or key not in _parents:
        directory = RunDirectory(path)
        _parents[key] = Parent(store, directory.plan, record_of(directory))
    return _parents[key]


@span("publishing")
def _begin(store: Store, path: str) -> bool:
    parent = _parent(store, path, is_new=True)
    parent.begin()
    return parent.was_broken_off


@span("publishing")
def _do(store: Store, path: str, what: str, *arguments: Any) -> Any:
    return getattr(_parent(store, path), what)(*arguments)


@span("publishing")
def _show(store: Store, path: str, run_ids: Collection[str], ranked_by: str | None, colored: Sequence[str]) -> str:
    parent = _parent(store, path)
    parent.show(run_ids, ranked_by)
    parent.color(colored)
    return parent.address
