"""Publishing afterwards: from run directories into the store that they were meant for, or copied into another."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nnexp.credentials import extract_password
from nnexp.errors import UsageError, one_line
from nnexp.runs import backlog, lease
from nnexp.runs.directory import PLAN_FILE, RECORD, RUNS, SWEEPS, RunDirectory, run_directories
from nnexp.runs.places import store_of
from nnexp.tracking import claims
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import Store, StoreError, absolute_uri

PATIENCE = 30.0  # seconds in which a tracking server has to answer here, where nobody trains
LOOK_SECONDS = 0.2
ATTEMPTS = 3  # at a run whose store answers, but not always
SHOWN = 5
SHORTEST = 3  # characters of the beginning of an id

Tell = Callable[[str], None]


class StillTrainingError(RuntimeError):
    """The run has not ended and its process is there."""


def sync(
    root: str | Path, names: Sequence[str] = (), *, default_uri: str, tell: Tell, to: str | None = None
) -> tuple[int, int]:
    """Publish the named runs, or all that the ledger of `root` holds, with the sweeps that they belong to.

    Parameters
    ----------
    root
        The output directory.
    names
        Run directories (a path, or a name under ``runs/``), ids of runs, or ids of sweeps.
    default_uri
        The store of today's config.
    tell
        Gets a line for each run that is kept back.
    to
        Another store, into which the named runs, or all of `root`, are copied.

    Returns
    -------
    published, kept_back : int
        How many runs the store has whole now, and how many not.

    Raises
    ------
    UsageError
        If a name is neither a run nor a sweep, or all that are named were made with ``tracking=none``.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(int(2 * PATIENCE)))
    stores = Stores(default_uri, to)
    directories, sweeps = _chosen(root, names, is_copy=to is not None)
    directories = _without_private(root, directories, names, tell)
    parents = _parents(root, directories, sweeps, stores, everything=not names and to is None)
    for parent in parents:
        _attempt(parent.ensure, tell, parent.name)
    published, kept = 0, []
    for directory in _decided(root, directories, tell):
        whole = _attempt(lambda directory=directory: publish(root, directory, stores, tell), tell, directory.path.name)
        published += bool(whole)
        if not whole:
            kept.append(directory)
    for parent in parents:
        if not any(parent.is_of(directory) for directory in kept):
            _attempt(parent.close, tell, parent.name)
    return published, len(kept)


def _decided(root: str | Path, directories: Iterable[RunDirectory], tell: Tell) -> Iterator[RunDirectory]:
    """The same directories; last of all those held on other machines, once it is known whether somebody is there."""
    signs = {}
    for directory in directories:
        if _may_be_alive_elsewhere(root, directory):
            signs[directory] = backlog.last_beat(root, directory)
        else:
            yield directory
    if signs:
        tell(f"waiting for a sign of life of what is held on other machines: {len(signs)} runs")
    while signs:
        time.sleep(LOOK_SECONDS)
        for directory, sign in list(signs.items()):
            if backlog.last_beat(root, directory) != sign or not _may_be_alive_elsewhere(root, directory):
                del signs[directory]
                yield directory


def _may_be_alive_elsewhere(root: str | Path, directory: RunDirectory) -> bool:
    try:
        record = directory.record
        is_here = lease.is_of_this_machine(record.owner)
        return not is_here and directory.result is None and backlog.lost_reason(root, directory, record) is None
    except (OSError, ValueError, KeyError):
        return False  # damaged, which is told where it is published


def _attempt(work: Callable[[], Any], tell: Tell, name: str) -> Any:
    """What comes of it; None, and a line that says why, where it cannot be done."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return work()
        except (StoreError, StillTrainingError, OSError, ValueError) as error:
            tell(f"{name}: {one_line(error)}")
            return None
        except Exception as error:
            if attempt == ATTEMPTS:
                tell(f"{name}: {one_line(error)}")
    return None


class Stores:
    """The stores of a sync, each opened once; one that is found silent is not asked again."""

    def __init__(self, default_uri: str, to: str | None) -> None:
        self._default, self._to = default_uri, extract_password(to, "the URI of the copies") if to else None
        self._known: dict[tuple[str, str], Store] = {}
        self._silent: dict[str, str] = {}

    def of(self, uri: str | None, experiment: str) -> Store:
        """The store for what was made for `uri`.

        Raises
        ------
        StoreError
            Where it does not answer.
        """
        key = (absolute_uri(self._to or uri or self._default), experiment)
        store = self._known.setdefault(key, Store(*key, patience=PATIENCE))
        if key[0] in self._silent:
            raise StoreError(self._silent[key[0]])
        try:
            store.ping()
        except StoreError as error:
            self._silent[key[0]] = str(error)
            raise
        return store

    def is_copy(self, uri: str | None) -> bool:
        """Whether what was made for `uri` goes into another store here."""
        return self._to is not None and absolute_uri(self._to) != absolute_uri(uri or self._default)


def _chosen(root: str | Path, names: Sequence[str], *, is_copy: bool) -> tuple[list[RunDirectory], set[str]]:
    """The directories that are meant, and the sweeps that are named."""
    if not names:
        return (_all(root) if is_copy else backlog.entries(root, damaged=True)), set()
    chosen: dict[Path, RunDirectory] = {}
    sweeps = set()
    for name in names:
        found = _directory(root, name)
        if found is None:
            sweep = _named_sweep(root, name)
            sweeps.add(sweep)
            chosen |= {d.path: d for d in _all(root) if _sweep(d) == sweep}
        else:
            chosen[found.path] = found
    return list(chosen.values()), sweeps


def _without_private(
    root: str | Path, directories: Iterable[RunDirectory], names: Sequence[str], tell: Tell
) -> list[RunDirectory]:
    """The runs without those made with `tracking=none`, which no store ever gets; they are told, and leave the ledger.

    Raises
    ------
    UsageError
        If no other runs were named.
    """
    private = [directory for directory in directories if is_private(directory)]
    if not private:
        return list(directories)
    shown = ", ".join(directory.path.name for directory in private[:SHOWN])
    more = f" and {len(private) - SHOWN} more" if len(private) > SHOWN else ""
    line = f"made with tracking=none, so never published: {shown}{more}"
    paths = {directory.path for directory in private}
    others = [directory for directory in directories if directory.path not in paths]
    if names and not others:
        raise UsageError(line)
    tell(line)
    for directory in private:
        try:
            prepare(root, directory, tell)
            backlog.leave(backlog.folder(root), directory)
        except (StillTrainingError, OSError, ValueError, KeyError):
            continue  # it still trains, or its directory is damaged
    return others


def is_private(directory: RunDirectory) -> bool:
    """Whether a run was made with `tracking=none`, and so belongs into no store."""
    try:
        return directory.record.is_private
    except (OSError, ValueError, KeyError):
        return False


def _all(root: str | Path) -> list[RunDirectory]:
    """Every run directory of an output directory, and those that its ledger knows elsewhere."""
    found = run_directories(root) + backlog.entries(root, damaged=True)
    return list({directory.path: directory for directory in found}.values())


def _directory(root: str | Path, name: str) -> RunDirectory | None:
    """A run by the path or the name of its directory, by its id or the beginning of it, as for `nnexp rerun`.

    Raises
    ------
    UsageError
        If it is the beginning of several ids.
    """
    for path in (Path(name), Path(root) / RUNS / name):
        if (path / RECORD).exists():
            return RunDirectory(path)
    known = [(directory, [i for i in _ids(directory) if i]) for directory in _all(root)]
    exact = next((directory for directory, ids in known if name in ids), None)
    return exact or _the_one(name, {d.path.name: d for d, ids in known if any(i.startswith(name) for i in ids)})


def _named_sweep(root: str | Path, name: str) -> str:
    """A sweep by its folder, its id or the beginning of it."""
    known = {path.name for path in (Path(root) / SWEEPS).glob("*")} | {s for d in _all(root) if (s := _sweep(d))}
    if Path(name).name in known and (name in known or Path(name).is_dir()):
        return Path(name).name
    found = _the_one(name, {sweep: sweep for sweep in known if sweep.startswith(name)})
    if found is None:
        raise UsageError(f"{name}: neither a run of {root} nor a run directory nor a sweep")
    return found


def _the_one(name: str, found: dict[str, Any]) -> Any:
    """What a name is the beginning of; None where it begins nothing."""
    if len(found) > 1:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise UsageError(f"{name} is the beginning of {len(found)} ids: {', '.join(sorted(found)[:SHOWN])}{more}")
    return next(iter(found.values()), None) if len(name) >= SHORTEST else None


def _ids(directory: RunDirectory) -> tuple[str | None, ...]:
    try:
        result = directory.result
        return directory.uid, result.run_id if result else None
    except (OSError, ValueError, KeyError):
        return ()


def _sweep(directory: RunDirectory) -> str | None:
    try:
        return directory.record.sweep
    except (OSError, ValueError, KeyError):
        return None


def _parents(
    root: str | Path, directories: Iterable[RunDirectory], named: set[str], stores: Stores, *, everything: bool
) -> list[Any]:
    """The parent runs to be made or put right: of the chosen runs, or of all sweeps that have none or a lost one."""
    from nnexp.sweeps.afterwards import LateParent

    sweeps = named | {sweep for directory in directories if (sweep := _sweep(directory))}
    if everything:
        sweeps |= {path.parent.name for path in (Path(root) / SWEEPS).glob(f"*/{PLAN_FILE}")}
    parents = [LateParent(root, sweep, stores) for sweep in sorted(sweeps)]
    return [parent for parent in parents if parent.has_plan and not parent.is_private]


def publish(root: str | Path, directory: RunDirectory, stores: Stores, tell: Tell) -> bool:
    """Bring one run whole into its store; one whose process is gone is closed first.

    Raises
    ------
    StillTrainingError
        Where the run has not ended and its process is there.
    StoreError
        Where the store does not answer.
    """
    prepare(root, directory, tell)
    tracking = directory.record.tracking
    uri, experiment = store_of(directory), tracking.experiment
    return Publication(directory, stores.of(uri, experiment), is_copy=stores.is_copy(uri)).advance()


def prepare(root: str | Path, directory: RunDirectory, tell: Tell) -> None:
    """Close a run whose process is gone and make what is missing of its reports and figures.

    Where those cannot be made, that is told and noted, and what there is can be published.

    Raises
    ------
    StillTrainingError
        Where the run has not ended and its process is there.
    """
    from nnexp.describe import describe

    record = directory.record  # where that is damaged, nothing is made of the rest
    if directory.result is None:
        reason = backlog.lost_reason(root, directory, record)
        if reason is None:
            raise StillTrainingError("still training, and published by its own process")
        claims.close_directory(directory, reason)
    try:
        describe(directory)
    except Exception as error:
        result = directory.result
        if result is not None and result.not_described is None:
            tell(f"{directory.path.name}: published without reports and figures: {one_line(error)}")
            directory.amend_result(not_described=one_line(error))
