"""Putting right what crashes left: runs that nobody holds any more get a true status and all that they had computed."""

from __future__ import annotations

from pathlib import Path

from nnexp.results import describe
from nnexp.tracking import claims, ledger, liveness
from nnexp.tracking.publish import Publication
from nnexp.tracking.store import Store


def repair(store: Store, root: str | Path) -> list[str]:
    """Close the lost runs of the store's experiment, and publish what the ledger of `root` kept back for this store.

    Returns
    -------
    list of str
        The names of the runs that were put right.
    """
    mended = []
    for run in store.search("attributes.status = 'RUNNING'"):
        if claims.close_if_lost(store, run).status != "RUNNING":
            mended.append(run.name)
    for directory in ledger.entries(root):
        record = directory.record
        meant_for_this = record["tracking"]["uri"] is not None and record["tracking"]["experiment"] == store.experiment
        if not meant_for_this or liveness.lost_reason(record["owner"], None, record["heartbeat"]) is None:
            continue
        claims.close_directory(directory, "the training process was killed")
        try:
            describe(directory)
        except ValueError:
            pass  # the data set is gone or has changed: publish what there is
        Publication(directory, store).advance()
        mended.append(record["name"])
    return mended
