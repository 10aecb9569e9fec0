"""The file of a SQLite store: made whole or not at all, and examined before MLflow opens it.

MLflow builds the schema of a new database by some fifty migrations that are not one transaction: a process that is
killed among them leaves a file that MLflow never opens again. So a new store is built under another name beside the
file and moved into place once it is complete, its experiment included.

MLflow also keeps absolute addresses of artifacts. The folder in which a store was made is read off its experiments,
whose artifacts nnexp puts beside the database; where that is not the folder in which the database is now, the addresses
under it are rewritten, in one transaction. An address whose artifacts did not come along stays as it is: the database
may have been copied alone, and a disk that is away comes back.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from nnexp.runs.tags import DIRECTORY
from nnexp.terminal import say

SUFFIXES = ("", "-journal", "-wal", "-shm")  # of what SQLite keeps beside a database
BUSY_SECONDS = 20.0
QUIET_SECONDS = 5.0  # so long unchanged, a half-made file is nobody's work in progress: migrations write all the time
EXPERIMENTS = "experiments"
FIRST_TABLES = {EXPERIMENTS, "runs", "metrics", "params", "tags"}  # what MLflow makes before its migrations
VERSION = "alembic_version"
OF_MIGRATIONS = {VERSION, "workspaces"}  # what they fill themselves
UNFINISHED = "_alembic_tmp_"  # how a migration names the table that is to replace another


class DatabaseError(ValueError):
    """The file is no store that can be used; the message says what it is."""


@dataclass(frozen=True)
class Contents:
    """What a database file holds."""

    tables: frozenset[str] = frozenset()
    revision: str | None = None  # of MLflow's schema
    is_empty: bool = True  # as a killed first use leaves it: the first row comes when the schema is whole

    @property
    def is_cut_off(self) -> bool:
        """Whether a migration of it ended in the middle."""
        return any(table.startswith(UNFINISHED) for table in self.tables)


def connect(path: Path) -> sqlite3.Connection:
    """A connection to a file that is there.

    To read only, where the file allows no more: what a process that was killed left in a journal can only be rolled
    back, and the database read, by a connection that may write.
    """
    mode = "rw" if os.access(path, os.W_OK) else "ro"
    return sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=BUSY_SECONDS)


def has_experiment(path: Path, name: str) -> bool:
    """Whether the store has an experiment, which it only has once its schema is complete."""
    if not path.is_file():
        return False
    try:
        with closing(connect(path)) as database:
            return bool(database.execute(f"SELECT 1 FROM {EXPERIMENTS} WHERE name = ?", (name,)).fetchone())
    except sqlite3.Error:
        return False


def lacks(path: Path, tag: str, values: Collection[str]) -> bool:
    """Whether there is no store yet, or none of its runs, deleted ones too, has a tag of one of the values."""
    if not path.exists():
        return True
    try:
        with closing(connect(path)) as database:
            known = {value for (value,) in database.execute("SELECT value FROM tags WHERE key = ?", (tag,))}
        return known.isdisjoint(values)
    except sqlite3.Error:
        return False


def examine(path: Path) -> Contents:
    """What the file holds; nothing where it is missing or empty.

    Raises
    ------
    DatabaseError
        If it is no regular file, no SQLite database, is damaged, or is the database of another application.
    """
    if not path.exists():
        return Contents()
    if not path.is_file():  # a folder, or a device, which must never be replaced
        raise DatabaseError(f"{path} is not a regular file")
    try:
        with closing(connect(path)) as database:
            tables = frozenset(
                name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
            )
            version = database.execute(f"SELECT * FROM {VERSION}").fetchone() if VERSION in tables else None
            filled = (database.execute(f'SELECT 1 FROM "{t}" LIMIT 1').fetchone() for t in tables - OF_MIGRATIONS)
            is_empty = not any(filled)
    except sqlite3.Error as error:
        raise DatabaseError(f"{path} is not a database that can be read: {error}") from error
    if tables and not tables & FIRST_TABLES:
        raise DatabaseError(f"{path} is the database of another application than MLflow")
    return Contents(tables, version[0] if version else None, is_empty)


def prepare(path: Path, build: Callable[[Path], None]) -> None:
    """Have a complete store at `path`: built where there is none, or only a half-made one. Call it under the lock.

    Parameters
    ----------
    build
        Makes a new store in a file of the name that it is given.

    Raises
    ------
    DatabaseError
        If there is a file that is no store, or one that holds something and cannot be used.
    """
    path = path.resolve()  # a link stays, and the file is made where it leads
    new = path.with_name(f".{path.name}.new")
    remove(new)  # of a process that was killed here
    contents = _settled(path)
    if not contents.is_empty:
        if contents.is_cut_off:
            raise DatabaseError(
                f"the upgrade of {path} to a newer MLflow was cut off; put a backup in its place, or move it away and "
                "copy the runs of the output directory into a new store with `nnexp sync --to`"
            )
        return
    try:
        build(new)
        with closing(connect(new)) as database:  # all of it into the one file that gets the name
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        remove(path)  # what is half-made, and with it a journal that would be rolled back into the new file
        os.replace(new, path)
    finally:
        remove(new)


def _settled(path: Path) -> Contents:
    """What the file holds; where it looks half-made, once nobody has written to it for a while."""
    while True:
        contents = examine(path)
        if not contents.is_empty:
            return contents
        quiet = time.time() - max(_changed(path), _changed(path.with_name(path.name + "-journal")))
        if not 0 <= quiet < QUIET_SECONDS:
            return contents
        time.sleep(QUIET_SECONDS / 50)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("-inf")


def remove(path: Path) -> None:
    """Remove a database with what SQLite keeps beside it; only regular files."""
    for suffix in SUFFIXES:
        file = path.with_name(path.name + suffix)
        if file.is_file():
            file.unlink(missing_ok=True)


def check(path: Path) -> None:
    """See what is wrong with the file of a store that cannot be opened.

    Raises
    ------
    DatabaseError
        If it is no database of this version of MLflow, or cannot be written.
    """
    contents = examine(path)
    from mlflow import __version__
    from mlflow.store.db.utils import _get_latest_schema_revision

    if contents.revision not in (None, _get_latest_schema_revision()):
        raise DatabaseError(
            f"{path} was written by another version of MLflow than {__version__}, the installed one; if it was older, "
            f"back up the file and run `mlflow db upgrade sqlite:///{path}`"
        )
    if path.exists() and not os.access(path, os.W_OK):
        raise DatabaseError(f"{path} cannot be written")


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
        with closing(connect(path)) as store, store:
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
        with closing(connect(path)) as store:
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
