"""Which run directories still have something that no store has: one small file each, gone when all is published.

A run is entered before its first iteration and leaves the backlog when the store has all of it, so that what a crash or
a lost connection kept back is found without reading every directory. While the run trains its entry is touched at
every heartbeat: a sign of life on the disk, for those who share the disk and not the process table.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nnexp.runs import lease, questions
from nnexp.runs.directory import PLAN_FILE, RECORD, RUNS, SWEEPS, RunDirectory, readable, write_atomically
from nnexp.runs.files import RecordError, VanishedError, tell_once
from nnexp.runs.places import root_of
from nnexp.runs.records import RunRecord
from nnexp.runs.temporary import remove_abandoned, remove_empty_folders

FOLDER = "unpublished"


def folder(root: str | Path) -> Path:
    """The backlog of an output directory."""
    return Path(root).resolve() / FOLDER


def entry_of(root: str | Path, directory: RunDirectory) -> Path:
    """The file that is there as long as the directory has something to publish.

    Sorted by the directory's name, and another for another directory of that name.
    """
    return folder(root) / f"{directory.path.name}.{_digest(_name(root, directory))}"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def _name(root: str | Path, directory: RunDirectory) -> str:
    """The directory as an entry has it: from the output directory where it is in there, which may be moved."""
    root, path = Path(root).resolve(), directory.path
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def enter(root: str | Path, directory: RunDirectory) -> None:
    """Note that the directory has something to publish."""
    write_atomically(entry_of(root, directory), _name(root, directory))


def leave(root: str | Path, directory: RunDirectory) -> None:
    """Note that the store has all of it.

    What killed processes left half written in the directory goes first: nobody looks into it for that any more.
    """
    remove_abandoned(directory.path, deep=True)
    remove_empty_folders(directory.path)
    entry_of(root, directory).unlink(missing_ok=True)
    with suppress(OSError):  # they are dotted and no artifacts, so that they may stay where they cannot be removed
        questions.forget(directory)


def remove_leftovers(root: str | Path) -> None:
    """Remove entries that killed processes left half written."""
    remove_abandoned(folder(root))


def has(root: str | Path, directory: RunDirectory) -> bool:
    """Whether the directory has something to publish."""
    return entry_of(root, directory).exists()


def beat(directory: RunDirectory) -> None:
    """Give the run's entry, where it has one, the time of now."""
    try:
        if (root := root_of(directory)) is not None:
            os.utime(entry_of(root, directory))
    except (OSError, RecordError):
        pass  # the run is published, or gone


def last_beat(root: str | Path, directory: RunDirectory) -> float | None:
    """When the run of a directory gave its last sign of life, seconds since the epoch."""
    try:
        return entry_of(root, directory).stat().st_mtime
    except FileNotFoundError:
        return None


def lost_reason(root: str | Path, directory: RunDirectory, record: RunRecord) -> str | None:
    """Why the process that holds the run of a directory must be gone; None while it may be there."""
    return lease.lost_reason(str(directory.path), record.owner, last_beat(root, directory), record.heartbeat)


def entries(root: str | Path, *, damaged: bool = False) -> list[RunDirectory]:
    """The run directories that still have something to publish, oldest first; entries of deleted ones are dropped.

    Those whose records are damaged are told and left out, unless the caller asks for them too.
    """
    found = [directory for directory in _entered(root) if not _is_sweep(directory)]
    return found if damaged else list(readable(found))


def sweeps(root: str | Path) -> list[RunDirectory]:
    """The directories of sweeps of which a store may lack something: those entered, and all of older versions."""
    older = [path.parent for path in (Path(root).resolve() / SWEEPS).glob(f"*/{PLAN_FILE}")]
    return [directory for directory in _entered(root) if _is_sweep(directory)] + [
        RunDirectory(path) for path in older if not (path / RECORD).exists()
    ]


def _is_sweep(directory: RunDirectory) -> bool:
    return directory.path.parent.name == SWEEPS


def _entered(root: str | Path) -> list[RunDirectory]:
    if not folder(root).is_dir():
        return []
    found: list[RunDirectory] = []
    for entry in sorted(folder(root).iterdir()):
        directory = None if entry.name.startswith(".") else _directory_of(entry)
        if directory is None:
            continue
        if (directory.path / RECORD).exists():
            found.append(directory)
            _rename(entry, root, directory)
        elif directory.path.parent.is_dir():  # and not a disk that is away
            entry.unlink(missing_ok=True)
    return found


class Watch:
    """The entries of some runs for who looks often: each record is read once. Safe among threads."""

    def __init__(self, root: str | Path, is_wanted: Callable[[RunRecord], bool]) -> None:
        self._folder, self._is_wanted = folder(root), is_wanted
        self._lock = threading.Lock()
        self._known: dict[str, RunDirectory | None] = {}

    def directories(self) -> list[RunDirectory]:
        """Their directories, oldest first."""
        try:
            names = sorted(name for name in os.listdir(self._folder) if not name.startswith("."))
        except FileNotFoundError:
            return []
        with self._lock:
            for name in names:
                if name not in self._known:
                    self._read(name)
            found = [directory for name in names if (directory := self._known.get(name)) is not None]
        return [directory for directory in found if (directory.path / RECORD).exists()]

    def _read(self, name: str) -> None:
        directory = _directory_of(self._folder / name)
        try:
            if directory is not None:
                is_wanted = not _is_sweep(directory) and self._is_wanted(directory.record)
                self._known[name] = directory if is_wanted else None
        except VanishedError:
            pass  # who lists the backlog next drops its entry
        except RecordError:
            self._known[name] = None


def _directory_of(entry: Path) -> RunDirectory | None:
    """The directory that an entry stands for; a damaged entry is made again from its name, or told and dropped."""
    try:
        text = entry.read_text(encoding="utf-8")
        if entry.name == f"{Path(text).name}.{_digest(text)}":
            return RunDirectory(_place(entry.parent.parent, Path(text)))
    except FileNotFoundError:
        return None  # published this moment
    except (OSError, ValueError):
        pass
    directory = RunDirectory(entry.parent.parent / RUNS / entry.name.rpartition(".")[0])
    with suppress(OSError):
        entry.unlink(missing_ok=True)
        if (directory.path / RECORD).exists() and entry.name.rpartition(".")[0]:
            enter(entry.parent.parent, directory)
            return directory
    tell_once(f"{entry} is damaged: it names no run directory; left out")
    return None


def _place(root: Path, entered: Path) -> Path:
    """The directory of an entry; one that an older version entered by its absolute path may have been moved since."""
    path, moved = root / entered, root / RUNS / entered.name
    if path.is_relative_to(root) or not (moved / RECORD).exists():
        return path
    is_other = (path / RECORD).exists() and (path / RECORD).read_bytes() != (moved / RECORD).read_bytes()
    return path if is_other else moved


def _rename(entry: Path, root: str | Path, directory: RunDirectory) -> None:
    """Give the entry of an older version the name that it is looked for by."""
    named = entry_of(root, directory)
    if entry.name != named.name:
        with suppress(FileNotFoundError):  # another process was faster
            times = entry.stat()
            enter(root, directory)
            os.utime(named, (times.st_atime, times.st_mtime))
            entry.unlink()
