"""Putting right what crashes left: runs that nobody holds any more get a true status and all that they had computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnexp.errors import one_line
from nnexp.runs import backlog
from nnexp.runs.directory import RunDirectory
from nnexp.runs.places import store_of
from nnexp.tracking import claims
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import Store, StoreError, absolute_uri
from nnexp.tracking.sync import prepare


def repair(store: Store, root: str | Path, tell: Callable[[str], None] = lambda line: None) -> list[str]:
    """Close the lost runs of the store's experiment, and publish what the ledger of `root` kept back for this store.

    What is wrong with one run is told and holds up no other.

    Returns
    -------
    list of str
        The names of the runs that were put right.

    Raises
    ------
    StoreError
        Where the store does not answer.
    """
    mended = []
    for run in store.search("attributes.status = 'RUNNING'"):
        closed = _attempt(lambda run=run: claims.close_if_lost(store, run), store, run.name, tell)
        if closed is not None and closed.status != "RUNNING":
            mended.append(run.name)
    for directory in backlog.entries(root):
        name = _attempt(lambda directory=directory: _publish(directory, store, root, tell), store, directory.path, tell)
        if name is not None:
            mended.append(name)
    return mended


def _attempt(work: Callable[[], Any], store: Store, name: object, tell: Callable[[str], None]) -> Any:
    try:
        return work()
    except Exception as error:
        store.ping()
        if not isinstance(error, StoreError):
            tell(f"{name}: {one_line(error)}")
        return None


def _publish(directory: RunDirectory, store: Store, root: str | Path, tell: Callable[[str], None]) -> str | None:
    """Publish a run that was kept back, if it was made for this store and nobody is at it; its name if it is whole."""
    record = directory.record
    uri, experiment = store_of(directory), record.tracking.experiment
    is_meant_for_this = uri is not None and (absolute_uri(uri), experiment) == (store.uri, store.experiment)
    if not is_meant_for_this or backlog.lost_reason(root, directory, record) is None:
        return None
    prepare(root, directory, tell)
    return record.name if Publication(directory, store).advance() else None
