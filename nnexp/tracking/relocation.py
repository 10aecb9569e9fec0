"""A SQLite store that was moved or copied with its folder.

MLflow keeps absolute addresses of artifacts. The folder in which a store was made is read off its experiments, whose
artifacts nnexp puts beside the database; where that is not the folder in which the database is now, the addresses under
it are rewritten, in one transaction. An address whose artifacts did not come along stays as it is: the database may
have been copied alone, and a disk that is away comes back.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nnexp.runs.tags import DIRECTORY
from nnexp.terminal import say
from nnexp.tracking import database

ARTIFACTS = "artifacts"  # the folder beside the database
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def settle(path: Path) -> None:
    """Make a store that was moved or copied name its artifacts where they are now, and say so in one line.

    Call it under the store's lock.

    Raises
    ------
    sqlite3.Error, OSError
        If the database cannot be written.
    """
    for old in moved_from(path):
        with closing(database.connect(path)) as store, store:
            store.execute("BEGIN IMMEDIATE")
            uris, paths = (old.as_uri(), path.parent.as_uri()), (str(old), str(path.parent))
            runs = _under(store, "runs", "artifact_uri", "", *uris)
            came_along = any(_path(moved).exists() for _, _, moved in runs)
            for table, column in ADDRESSES:
                _rewrite(store, table, column, _under(store, table, column, "", *uris), came_along)
            rows = _under(store, "tags", "value", f"key = '{DIRECTORY}' AND ", *paths)
            _rewrite(store, "tags", "value", rows, came_along)
        say(f"The store {path} was moved or copied from {old}; the paths of its artifacts were updated.")


def moved_from(path: Path) -> list[Path]:
    """The folders in which experiments of a store were made, where those are other ones than that of the store."""
    try:
        with closing(database.connect(path)) as store:
            rows = store.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    except sqlite3.Error:
        return []  # there is no store yet, or none that can be read; who opens it says so
    places = (_folder(str(location)) for (location,) in rows)
    return [place for place in places if place is not None and _is_left(place, path)]


def _folder(location: str) -> Path | None:
    """The folder of a store whose experiments keep their artifacts at an address, None where they are elsewhere."""
    parts = urlsplit(location)
    artifacts = Path(unquote(parts.path))
    is_ours = parts.scheme == "file" and artifacts.name == ARTIFACTS and artifacts.as_uri() == location
    return artifacts.parent if is_ours else None


def _is_left(old: Path, path: Path) -> bool:
    """Whether a store was in a folder and is not any more, or only as another file."""
    if old == path.parent:
        return False
    there = old / path.name
    if there.exists():
        return not os.path.samefile(there, path)  # the same one by another way is at home
    return not (old / ARTIFACTS).exists()  # artifacts without a store: somebody wanted them there


def _under(
    store: sqlite3.Connection, table: str, column: str, condition: str, old: str, new: str
) -> list[tuple[int, str, str]]:
    """The addresses under `old`, each with its row and with what it is under `new`."""
    try:
        rows = store.execute(
            f"SELECT rowid, {column} FROM {table} WHERE {condition}substr({column}, 1, ?) = ?",
            (len(old) + 1, f"{old}/"),
        ).fetchall()
    except sqlite3.OperationalError as error:
        if "no such" in str(error):
            return []  # another version of MLflow
        raise
    return [(row, value, new + value.removeprefix(old)) for row, value in rows]


def _rewrite(
    store: sqlite3.Connection, table: str, column: str, rows: list[tuple[int, str, str]], came_along: bool
) -> None:
    """Rewrite addresses: of what is there now and, where other artifacts came along, of what is not there yet."""
    for row, value, moved in rows:
        if table == "experiments" or _path(moved).exists() or (came_along and not _path(value).exists()):
            store.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (moved, row))


def _path(address: str) -> Path:
    return Path(unquote(urlsplit(address).path) if address.startswith("file:") else address)
