"""What is to be published, and where to: directories and sweeps by their names, and the stores of their runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from nnexp.credentials import extract_password
from nnexp.errors import UsageError
from nnexp.lookup import FoundSweep, Lookup
from nnexp.paths import absolute_uri, sqlite_path
from nnexp.runs import backlog
from nnexp.runs.directory import RunDirectory, peek, run_directories
from nnexp.tracking.errors import StoreError
from nnexp.tracking.store import Store


def chosen(
    lookup: Lookup, root: str | Path, names: Sequence[str], *, is_copy: bool
) -> tuple[list[RunDirectory], set[str]]:
    """The directories that are meant, and the sweeps that are named; without names the backlog, or all for copies.

    Raises
    ------
    UsageError
        If a name is neither a run nor a sweep, or a prefix of several ids, or a run of another machine.
    """
    if not names:
        return (_all(root) if is_copy else backlog.entries(root, damaged=True)), set()
    chosen: dict[Path, RunDirectory] = {}
    sweeps: set[str] = set()
    for name in names:
        found = lookup.find(name)
        if isinstance(found, FoundSweep):
            sweeps.add(found.sweep)
            chosen |= {d.path: d for d in _all(root) if sweep_of(d) == found.sweep}
        elif found.directory is None:
            raise UsageError(f"{name}: {found} has no directory on this machine, so nothing of it can be published")
        else:
            chosen[found.directory.path] = found.directory
    return list(chosen.values()), sweeps


def split_private(directories: Iterable[RunDirectory]) -> tuple[list[RunDirectory], list[RunDirectory]]:
    """The runs that a store may get, and those made with ``tracking=none``; damaged ones are with the first."""
    known = [(directory, peek(directory)) for directory in directories]
    private = [directory for directory, found in known if found is not None and found[0].is_private]
    return [directory for directory, _ in known if directory not in private], private


def sweep_of(directory: RunDirectory) -> str | None:
    """The sweep of a run; None where it has none, or is damaged."""
    found = peek(directory)
    return None if found is None else found[0].sweep


def _all(root: str | Path) -> list[RunDirectory]:
    """Every run directory of an output directory, and those elsewhere that are entered in its backlog."""
    found = run_directories(root) + backlog.entries(root, damaged=True)
    return list({directory.path: directory for directory in found}.values())


PATIENCE = 30.0  # seconds in which a tracking server has to answer here, where nobody trains


class Stores:
    """The stores of a sync, by the addresses that runs were made for.

    Parameters
    ----------
    default_uri
        The store of today's config, for what names none.
    to
        The store that gets copies of all instead, if any.
    """

    def __init__(self, default_uri: str, to: str | None = None) -> None:
        self._default, self._to = default_uri, extract_password(to, "the URI of the copies") if to else None
        self._known: dict[tuple[str, str], Store] = {}
        self._silent: dict[str, str] = {}

    def of(self, uri: str | None, experiment: str) -> Store:
        """The store for what was made for `uri`.

        Raises
        ------
        StoreError
            If it does not answer.
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

    def is_known(self, uri: str | None) -> bool:
        """Whether publishing what was made for `uri` gives nothing away to whoever has written that address.

        A server gets the credentials of today's config, and a database is made where there is none.
        """
        if self._to is not None or uri is None or absolute_uri(uri) == absolute_uri(self._default):
            return True
        path = sqlite_path(uri)
        return path is not None and path.exists()

    def is_copy(self, uri: str | None) -> bool:
        """Whether what was made for `uri` goes into another store here."""
        return self._to is not None and absolute_uri(self._to) != absolute_uri(uri or self._default)
