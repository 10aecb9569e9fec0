"""Where a run's backlog, store and data file are now: an output directory can be moved or copied, with its project.

A record names them by the paths that they had when the run was made. What lay in the output directory then is looked
for in the one that the run directory is in now; a data file beside the output directory, beside it.
"""

from __future__ import annotations

import os
from pathlib import Path

from nnexp.paths import absolute_uri, sqlite_path
from nnexp.runs.directory import PUBLISHED, RunDirectory
from nnexp.runs.files import RecordError, as_object
from nnexp.runs.records import Destination, RunRecord
from nnexp.runs.tags import DIRECTORY


def root_of(directory: RunDirectory) -> Path | None:
    """The output directory in whose backlog a run is entered; None where it is in none."""
    backlog = directory.record.backlog
    if not backlog:
        return None
    old, new = _roots(directory)
    return Path(backlog).parent if old is None else new


def store_of(directory: RunDirectory) -> str | None:
    """The address of the store that a run was made for; None where it was made for none."""
    uri = directory.record.tracking.uri
    return uri and store_at(uri, *_roots(directory))


def store_at(uri: str, old: Path | None, new: Path) -> str:
    """A store's address, where the output directory `old` is `new` now."""
    path = sqlite_path(uri)
    return uri if path is None or old is None else uri.replace(str(path), _rebased(path, old, new))


def is_made_for(directory: RunDirectory, record: RunRecord, destination: Destination) -> bool:
    """Whether the run of a directory was made for an experiment of a store."""
    if record.tracking.uri is None or destination.uri is None or record.tracking.experiment != destination.experiment:
        return False
    wanted = absolute_uri(destination.uri)
    return absolute_uri(record.tracking.uri) == wanted or absolute_uri(store_of(directory) or "") == wanted


def counts_for(directory: RunDirectory, record: RunRecord, destination: Destination) -> bool:
    """Whether a run may stand for a job of an experiment of a store: it was made for it, or has been copied there.

    Where there is no store (``tracking=none``), every run may.
    """
    if destination.uri is None or is_made_for(directory, record, destination):
        return True
    try:
        copy = as_object(directory.read_json(PUBLISHED).get(absolute_uri(destination.uri)))
    except (OSError, RecordError):
        return False
    return copy is not None and copy.get("experiment") == destination.experiment and copy.get("complete") is True


def data_file(directory: RunDirectory) -> str | None:
    """The data file of a run; None where its data set came from none."""
    path = directory.record.details.get("data", {}).get("path")
    old, new = _roots(directory)
    return path if path is None or old is None else _rebased(Path(path), old, new)


def is_at_home(directory: RunDirectory) -> bool:
    """Whether a run directory is the one that its run was made in, and not a copy beside it."""
    made = directory.record.tags.get(DIRECTORY)
    return made is None or Path(made).name == directory.path.name


def is_here(directory: RunDirectory, uid: str) -> bool:
    """Whether this machine has the directory of that very run."""
    try:
        return directory.uid == uid
    except (OSError, RecordError):
        return False


def _roots(directory: RunDirectory) -> tuple[Path | None, Path]:
    """The output directory that a run was made in, and the one that its directory is in now.

    The first is None where they are one, or where the run directory was never in an output directory.
    """
    record: RunRecord = directory.record
    made, backlog = record.tags.get(DIRECTORY), record.backlog
    here = directory.path.parent
    if made is None or backlog is None or not Path(made).is_relative_to(root := Path(backlog).parent):
        return None, here
    inner = Path(made).parent.relative_to(root).parts  # such as runs
    if inner and here.parts[-len(inner) :] != inner:
        return None, here
    new = Path(*here.parts[: len(here.parts) - len(inner)])
    return (None if new == root else root), new


def _rebased(path: Path, old: Path, new: Path) -> str:
    """Where a path is now: in the output directory what was in it, and beside it what is gone from beside the old."""
    if path.is_relative_to(old):
        return str(new / path.relative_to(old))
    beside = os.path.normpath(new / os.path.relpath(path, old))
    return beside if os.path.exists(beside) and not path.exists() else str(path)
