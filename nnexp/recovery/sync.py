"""Publishing what was kept back: into the stores that runs were made for, or as copies into another."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from nnexp.errors import UsageError, one_line
from nnexp.lookup import Lookup
from nnexp.recovery import selection
from nnexp.recovery.closing import StillTrainingError, Tell, close_and_describe, close_lost, complete
from nnexp.recovery.reasons import Reasons, listed
from nnexp.recovery.selection import PATIENCE, Stores
from nnexp.runs import backlog, lease
from nnexp.runs.directory import RunDirectory, peek
from nnexp.runs.places import is_made_for, store_of
from nnexp.runs.records import Destination, RunStatus
from nnexp.tracking.errors import RefusedError, StoreError
from nnexp.tracking.publication import Publication, reopen
from nnexp.tracking.store import Store

POLL_SECONDS = 0.2
ATTEMPTS = 3  # at a run whose store answers, but not always


class SweepParent(Protocol):
    """The parent run of a sweep that its own process could not make or close."""

    name: str

    @property
    def has_plan(self) -> bool:
        """Whether the plan is on this machine."""
        ...

    @property
    def is_private(self) -> bool:
        """Whether the sweep was made with ``tracking=none``."""
        ...

    def is_of(self, run: RunDirectory) -> bool:
        """Whether a run is of this sweep."""
        ...

    def ensure(self) -> None:
        """Make it where it is missing."""

    def close(self) -> str | None:
        """Give it a true status; how the sweep stands, if that is another status than it had."""
        ...


MakeParent = Callable[[str | Path, str, Stores], SweepParent]


def sync(
    root: str | Path,
    names: Sequence[str] = (),
    *,
    default_uri: str,
    tell: Tell,
    to: str | None = None,
    parent_of: MakeParent | None = None,
    lookup: Lookup | None = None,
    with_figures: bool = False,
    tell_closed: Tell = lambda line: None,
) -> tuple[int, int]:
    """Publish the named runs, or all of the backlog of `root`, with the sweeps that they belong to.

    Parameters
    ----------
    root
        The output directory.
    names
        Run directories (a path, or a name under ``runs/``), ids of runs, or ids of sweeps.
    default_uri
        The store of today's config.
    tell
        Gets a line for each reason why runs are kept back.
    to
        Another store, into which the named runs, or all of `root`, are copied.
    parent_of
        Gives the parent run of a sweep by the output directory, the sweep's id and the stores.
    lookup
        Says what the names mean; default: what is on this machine does.
    with_figures
        Whether to draw the figures of those runs that were made without.
    tell_closed
        Gets a line for each sweep whose parent run has got another status.

    Returns
    -------
    published, kept_back : int
        How many runs the store has whole now, and how many not, with the sweeps of which only the parent run is not.

    Raises
    ------
    UsageError
        If a name is neither a run of this machine nor a sweep, or all that are named were made with ``tracking=none``.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(int(2 * PATIENCE)))
    stores = Stores(default_uri, to)
    directories, sweeps = selection.chosen(lookup or Lookup(root), root, names, is_copy=to is not None)
    reasons = Reasons()
    try:
        if with_figures:
            for directory in directories:
                _attempt(lambda directory=directory: ask_for_figures(directory), reasons, directory.path.name)
        directories, private = selection.split_private(directories)
        if private:
            _leave_private(root, private, tell, only=bool(names) and not directories and not with_figures)
        if parent_of is None:
            parents = []
        else:
            sweeps |= {sweep for directory in directories if (sweep := selection.sweep_of(directory))}
            if not names and to is None:
                sweeps |= {directory.path.name for directory in backlog.sweeps(root)}
            parents = [parent_of(root, sweep, stores) for sweep in sorted(sweeps)]
            parents = [parent for parent in parents if parent.has_plan and not parent.is_private]
        for parent in parents:  # before the runs, which name it
            _attempt(parent.ensure, reasons, parent.name)
        published, kept = 0, []
        for directory in _decided(root, directories, tell):
            name = directory.path.name
            if _attempt(lambda directory=directory: _publish(root, directory, stores, tell), reasons, name):
                published += 1
            else:
                kept.append(directory)
        for parent in parents:
            if not any(parent.is_of(directory) for directory in kept):
                message = _attempt(parent.close, reasons, parent.name)
                if message is not None:
                    tell_closed(f"{parent.name} closed: {message}")
    finally:
        reasons.tell(tell)
    alone = [parent for parent in parents if not any(parent.is_of(directory) for directory in kept)]
    return published, len(kept) + sum(parent.name in reasons for parent in alone)


def recover(store: Store, root: str | Path, tell: Tell = lambda line: None, ended_of: str | None = None) -> list[str]:
    """Close the lost runs of the store's experiment, and publish what the backlog of `root` has for this store.

    What is wrong with one run is told and holds up no other.

    Parameters
    ----------
    ended_of
        A sweep whose ended runs are published though their processes are there: none of these does it any more.

    Returns
    -------
    list of str
        The names of the runs that were closed or published.

    Raises
    ------
    StoreError
        If the store does not answer, or refuses it to this user.
    """
    recovered, reasons = list[str](), Reasons()

    def attempt(work: Callable[[], Any], name: object) -> Any:
        try:
            return work()
        except RefusedError:  # as it would any other
            raise
        except Exception as error:  # any of MLflow's, or of a damaged directory
            store.ping()  # one that is silent now would cost its patience at each run
            if not isinstance(error, StoreError):
                reasons.add(str(name), one_line(error))
            return None

    for run in store.search(f"attributes.status = '{RunStatus.RUNNING}'"):
        closed = attempt(lambda run=run: close_lost(store, run, root), run.name)
        if closed is not None and closed.status != RunStatus.RUNNING:
            recovered.append(run.name)
    for directory in backlog.entries(root):
        name = attempt(
            lambda directory=directory: _publish_abandoned(root, directory, store, tell, ended_of), directory.path
        )
        if name is not None:
            recovered.append(name)
    reasons.tell(tell)
    return recovered


def ask_for_figures(directory: RunDirectory) -> bool:
    """Have the figures of an ended run that was made without drawn and published; say whether there is something to do.

    It is then a run whose end is not described and not published yet, which whoever finds it sees to.
    """
    record, result = directory.record, directory.result
    if record.draws or result is None or (result.draws_later and result.described):
        return False
    directory.amend_result(draws_later=True, described=False)
    reopen(directory)
    return True


def draw(root: str | Path, directories: Iterable[RunDirectory], default_uri: str, tell: Tell) -> None:
    """Draw and publish the figures of those of the runs that were made without; `default_uri` as in :func:`sync`."""
    stores, reasons = Stores(default_uri), Reasons()
    for directory in directories:
        _attempt(lambda directory=directory: _draw(root, directory, stores, tell), reasons, directory.path.name)
    reasons.tell(tell)


def _draw(root: str | Path, directory: RunDirectory, stores: Stores, tell: Tell) -> None:
    if not ask_for_figures(directory):
        return
    close_and_describe(directory, None, tell)  # of a sweep that is this process's own
    if not directory.record.is_private:
        _publish(root, directory, stores, tell)
        return
    complete(root, directory, tell)
    backlog.leave(root, directory)


def _publish(root: str | Path, directory: RunDirectory, stores: Stores, tell: Tell) -> bool:
    """Bring one run whole into its store; one whose process is gone is closed first."""
    complete(root, directory, tell)
    uri, experiment = store_of(directory), directory.record.tracking.experiment
    if not (stores.is_known(uri) or backlog.has(root, directory) or directory.record.is_own):
        raise UsageError(
            f"it was made for {uri}, which is not the store of today's config, by somebody else; "
            f"`--to {uri}` publishes it there"
        )
    publication = Publication(directory, stores.of(uri, experiment), is_copy=stores.is_copy(uri))
    is_whole = publication.advance()
    if publication.superseded_by is not None:
        tell(f"{directory.path.name}: superseded by run {publication.superseded_by}, which has finished the same job")
    return is_whole


def _publish_abandoned(
    root: str | Path, directory: RunDirectory, store: Store, tell: Tell, ended_of: str | None
) -> str | None:
    """Publish a run that was made for this store and whose process is gone; its name if it is whole."""
    record = directory.record
    is_left = ended_of is not None and record.sweep == ended_of and directory.has_ended
    is_made_for_this = is_made_for(directory, record, Destination(store.uri, store.experiment))
    if not is_made_for_this or not (is_left or backlog.lost_reason(root, directory, record)):
        return None
    complete(root, directory, tell)
    return record.name if Publication(directory, store).advance() else None


def _leave_private(root: str | Path, private: Sequence[RunDirectory], tell: Tell, *, only: bool) -> None:
    """Take the runs made with `tracking=none` out of the backlog, and say so; no store ever gets them.

    Raises
    ------
    UsageError
        If they are the `only` ones that were named.
    """
    line = f"made with tracking=none, so never published: {listed([each.path.name for each in private])}"
    if only:
        raise UsageError(line)
    tell(line)
    for directory in private:
        try:
            complete(root, directory, tell)
            backlog.leave(root, directory)
        except (StillTrainingError, OSError, ValueError, KeyError):
            continue  # it still trains, or its directory is damaged


def _decided(root: str | Path, directories: Iterable[RunDirectory], tell: Tell) -> Iterator[RunDirectory]:
    """The same directories; last of all those held on other machines, once it is known whether somebody is there."""
    beats: dict[RunDirectory, float | None] = {}
    for directory in directories:
        if _may_be_alive_elsewhere(root, directory):
            beats[directory] = backlog.last_beat(root, directory)
        else:
            yield directory
    if beats:
        tell(f"waiting for heartbeats from other machines: {len(beats)} runs")
    while beats:
        time.sleep(POLL_SECONDS)
        for directory, beat in list(beats.items()):
            if backlog.last_beat(root, directory) != beat or not _may_be_alive_elsewhere(root, directory):
                del beats[directory]
                yield directory


def _may_be_alive_elsewhere(root: str | Path, directory: RunDirectory) -> bool:
    found = peek(directory)
    if found is None:
        return False  # damaged, which is told where it is published
    record, result = found
    is_here = lease.is_of_this_machine(record.owner)
    return not is_here and result is None and backlog.lost_reason(root, directory, record) is None


def _attempt(work: Callable[[], Any], reasons: Reasons, name: str) -> Any:
    """What comes of it; None, and a reason, where it cannot be done."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return work()
        except (StoreError, StillTrainingError, OSError, ValueError) as error:
            reasons.add(name, one_line(error))
            return None
        except Exception as error:  # MLflow's, of a server that answers some requests and not others
            if attempt == ATTEMPTS:
                reasons.add(name, one_line(error))
    return None
