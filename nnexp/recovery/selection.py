"""Which run directories and sweeps of an output directory are meant by their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nnexp.errors import UsageError
from nnexp.runs import backlog
from nnexp.runs.directory import PLAN_FILE, RECORD, RUNS, SWEEPS, RunDirectory, peek, run_directories

SHOWN = 5
SHORTEST = 3  # characters of the beginning of an id


def chosen(root: str | Path, names: Sequence[str], *, is_copy: bool) -> tuple[list[RunDirectory], set[str]]:
    """The directories that are meant, and the sweeps that are named; without names the backlog, or all for copies.

    Raises
    ------
    UsageError
        If a name is neither a run nor a sweep, or the beginning of several ids.
    """
    if not names:
        return (_all(root) if is_copy else backlog.entries(root, damaged=True)), set()
    found: dict[Path, RunDirectory] = {}
    sweeps: set[str] = set()
    for name in names:
        directory = _directory(root, name)
        if directory is not None:
            found[directory.path] = directory
            continue
        sweep = _named_sweep(root, name)
        sweeps.add(sweep)
        found |= {d.path: d for d in _all(root) if sweep_of(d) == sweep}
    return list(found.values()), sweeps


def split_private(directories: Iterable[RunDirectory]) -> tuple[list[RunDirectory], list[RunDirectory]]:
    """The runs that a store may get, and those made with ``tracking=none``; damaged ones are with the first."""
    known = [(directory, peek(directory)) for directory in directories]
    private = [directory for directory, found in known if found is not None and found[0].is_private]
    return [directory for directory, _ in known if directory not in private], private


def sweep_of(directory: RunDirectory) -> str | None:
    """The sweep of a run; None where it has none, or is damaged."""
    found = peek(directory)
    return None if found is None else found[0].sweep


def listed(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _all(root: str | Path) -> list[RunDirectory]:
    """Every run directory of an output directory, and those elsewhere that are entered in its backlog."""
    found = run_directories(root) + backlog.entries(root, damaged=True)
    return list({directory.path: directory for directory in found}.values())


def _directory(root: str | Path, name: str) -> RunDirectory | None:
    """A run by the path or the name of its directory, by its id or the beginning of it, as for `nnexp rerun`."""
    for path in (Path(name), Path(root) / RUNS / name):
        if (path / RECORD).exists() and not (path / PLAN_FILE).exists():  # of a run, and not of a sweep
            return RunDirectory(path)
    known = [(directory, _ids(directory)) for directory in _all(root)]
    exact = next((directory for directory, ids in known if name in ids), None)
    return exact or _the_one(name, {d.path.name: d for d, ids in known if any(i.startswith(name) for i in ids)})


def _named_sweep(root: str | Path, name: str) -> str:
    """A sweep by its folder, its id or the beginning of it."""
    known = {path.name for path in (Path(root) / SWEEPS).glob("*")} | {s for d in _all(root) if (s := sweep_of(d))}
    if Path(name).name in known and (name in known or Path(name).is_dir()):
        return Path(name).name
    found = _the_one(name, {sweep: sweep for sweep in known if sweep.startswith(name)})
    if found is None:
        raise UsageError(f"{name}: neither a run of {root} nor a run directory nor a sweep")
    return found


def _the_one(name: str, found: dict[str, Any]) -> Any:
    """What a name is the beginning of; None where it begins nothing."""
    if len(found) > 1:
        raise UsageError(f"{name} is the beginning of {len(found)} ids: {listed(sorted(found))}")
    return next(iter(found.values()), None) if len(name) >= SHORTEST else None


def _ids(directory: RunDirectory) -> list[str]:
    found = peek(directory)
    if found is None:
        return []
    record, result = found
    return [record.uid, *([result.run_id] if result else [])]
