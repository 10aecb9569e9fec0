"""Claims made of runs in the tracking store alone, and what becomes of the runs of processes that died.

Who gets a job is decided in :mod:`nnexp.runs.arbitration`; a claimant that died is told by its heartbeat
(:mod:`nnexp.runs.lease`) and closed as KILLED.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from nnexp.runs import arbitration, arithmetic
from nnexp.runs.arbitration import Claim, UndecidedError
from nnexp.runs.directory import RunDirectory
from nnexp.runs.records import RunResult, RunStatus
from nnexp.runs.tags import CLAIM, DIRECTORY, STATUS_MESSAGE, UID
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import BID, HELD, Store, StoredRun, StoreError
from nnexp.tracking.store_arbiter import LOOK_SECONDS, StoreBoard, is_lost, kill, lost_reason

WAIT_SECONDS = 30.0


def claim(publication: Publication, run_key: str, *, resume: bool | str = True) -> Claim:
    """Try to get the right to do the job of `run_key` with the run of this publication.

    With `resume` false a finished run does not stand for the job, with ``strict`` only one of the same arithmetic.

    Raises
    ------
    StoreError
        If another claimant neither decides nor dies.
    """
    directory, store = publication.directory, publication.store
    tags = directory.record.tags

    def stands(run: StoredRun) -> bool:
        return arithmetic.stands(resume, run.tags, tags)

    def create() -> str:
        return publication.ensure_run(publication.directory.record, claim=BID)

    board = StoreBoard(store, run_key, directory.uid, create=create, close=close_if_lost, stands=stands)
    try:
        return arbitration.claim(board, patience=WAIT_SECONDS)
    except UndecidedError as error:
        raise StoreError(f"{run_key}: {error}") from None


def elect(store: Store, uid: str, create: Callable[[str], str]) -> str:
    """The one run of `uid`, which is made by `create(BID)` where it is missing; all who ask get the same id.

    Raises
    ------
    StoreError
        Where another process that makes it neither decides nor dies.
    """
    mine: str | None = None
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        runs = store.tagged(UID, uid)
        held = [run.run_id for run in runs if run.tags.get(CLAIM, HELD) == HELD]
        smaller = mine is not None and any(run.run_id < mine for run in runs if not is_lost(run))
        if mine is not None and (held or smaller):
            store.delete(mine)
            mine = None
        if held:
            return min(held)
        rivals = [run for run in runs if run.run_id != mine and not is_lost(run)]
        if mine is not None and not rivals:
            store.tag(mine, {CLAIM: HELD})
            for run in runs:  # bids of the dead, which would stand beside the one run for ever
                if run.run_id != mine:
                    store.delete(run.run_id)
            return mine
        if mine is None and not rivals:
            mine = create(BID)
            continue
        time.sleep(LOOK_SECONDS)
    raise StoreError(f"another process that makes the run {uid} did not decide within {WAIT_SECONDS:g} s")


def close_if_lost(store: Store, run: StoredRun) -> StoredRun:
    """Give the run of a process that is gone a true status, publishing what its directory still holds."""
    reason = lost_reason(run)
    if reason is None or UID not in run.tags:
        return run
    directory = RunDirectory(run.tags.get(DIRECTORY, ""))
    if is_here(directory, run.tags[UID]):
        close_directory(directory, reason)
        Publication(directory, store, run_id=run.run_id).advance()
    else:
        return kill(store, run, reason)
    return store.get(run.run_id) or run


def is_here(directory: RunDirectory, uid: str) -> bool:
    """Whether this machine has the directory of that very run."""
    try:
        return directory.uid == uid
    except (OSError, ValueError):
        return False


def close_directory(directory: RunDirectory, reason: str) -> None:
    """Write the result that a killed process could not write."""
    if directory.result is not None:
        return
    rows, record = directory.history(), directory.record
    directory.write_result(
        RunResult(
            run_id=record.uid,
            status=RunStatus.KILLED,
            message=reason,
            ended=rows[-1]["time"] if rows else record.started,
            step=int(rows[-1]["step"]) if rows else 0,
            tags={STATUS_MESSAGE: reason},
        )
    )
