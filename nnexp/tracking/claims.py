"""Who does a job when many processes want it: a claim made of runs in the tracking store alone.

Every claimant first makes its run, tagged as a bid, and then looks at the other runs of the same key. Creation comes
before looking, so of two claimants at least one sees the other:

- a finished run stands for the job: withdraw;
- a run that is held, or a bid with a smaller id: withdraw;
- only bids with larger ids: wait, for they will withdraw, or were decided before this bid was there and become held;
- nobody: the bid becomes held.

Two claimants never both hold the key: the later one to bid has seen the earlier one's bid or its held run. A claimant
that died is told by its heartbeat (:mod:`nnexp.tracking.liveness`) and closed as KILLED.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from nnexp.tracking import liveness, numerics
from nnexp.tracking.publish import Publication
from nnexp.tracking.rundir import RunDirectory
from nnexp.tracking.store import (
    BID,
    CLAIM,
    HEARTBEAT,
    HEARTBEAT_EVERY,
    HELD,
    OWNER,
    RUN_KEY,
    UID,
    Store,
    StoredRun,
    StoreError,
)

WAIT_SECONDS, LOOK_SECONDS = 30.0, 0.1
MINE, FINISHED = "mine", "finished"  # what a claim may come to, beside HELD


@dataclass(frozen=True)
class Claim:
    """What came of a claim: `mine`, or `finished` or `held` by the named run."""

    verdict: str
    run_id: str


def claim(publication: Publication, run_key: str, *, resume: bool | str = True) -> Claim:
    """Try to get the right to do the job of `run_key` with the run of this publication.

    With `resume` false a finished run does not stand for the job, with ``strict`` only one of the same arithmetic.

    Raises
    ------
    StoreError
        Where another claimant neither decides nor dies.
    """
    store, uid, tags = publication.store, publication.directory.uid, publication.directory.record["tags"]

    def may_stand(run: StoredRun) -> bool:
        return numerics.stands(resume, run.tags, tags)

    if (standing := _decided(others(store, run_key, uid), may_stand)) is not None:
        return standing
    mine = publication.ensure_run(publication.directory.record, claim=BID)
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        rivals = others(store, run_key, uid)
        smaller = [run for run in rivals if run.status == "RUNNING" and run.run_id < mine]
        standing = _decided(rivals, may_stand) or (Claim(HELD, smaller[0].run_id) if smaller else None)
        if standing is not None:
            store.client.delete_run(mine)
            return standing
        if not any(run.status == "RUNNING" for run in rivals):
            store.tag(mine, {CLAIM: HELD})
            return Claim(MINE, mine)
        time.sleep(LOOK_SECONDS)
    store.client.delete_run(mine)
    raise StoreError(f"another claimant of {run_key} did not decide within {WAIT_SECONDS:g} s")


def others(store: Store, run_key: str, uid: str) -> list[StoredRun]:
    """The runs of a key but that of `uid` that are finished or held by somebody alive; those of the dead are closed."""
    found = store.tagged(RUN_KEY, run_key)
    runs = []
    for run in found:
        if run.tags.get(UID) == uid or run.status not in ("FINISHED", "RUNNING"):
            continue
        if run.status == "RUNNING":
            run = close_if_lost(store, run)
        if run.status in ("FINISHED", "RUNNING"):
            runs.append(run)
    return runs


def _decided(runs: list[StoredRun], may_stand: Callable[[StoredRun], bool]) -> Claim | None:
    for run in runs:
        if run.status == "FINISHED" and may_stand(run):
            return Claim(FINISHED, run.run_id)
    for run in runs:
        if run.status == "RUNNING" and run.tags.get(CLAIM, HELD) == HELD:
            return Claim(HELD, run.run_id)
    return None


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
            store.client.delete_run(mine)
            mine = None
        if held:
            return min(held)
        rivals = [run for run in runs if run.run_id != mine and not is_lost(run)]
        if mine is not None and not rivals:
            store.tag(mine, {CLAIM: HELD})
            return mine
        if mine is None and not rivals:
            mine = create(BID)
            continue
        time.sleep(LOOK_SECONDS)
    raise StoreError(f"another process that makes the run {uid} did not decide within {WAIT_SECONDS:g} s")


def is_lost(run: StoredRun) -> bool:
    """Whether the process that holds a run is gone."""
    return _lost_reason(run) is not None


def _lost_reason(run: StoredRun) -> str | None:
    beat = float(run.tags.get(HEARTBEAT, run.start))
    return liveness.lost_reason(run.tags.get(OWNER), beat, float(run.tags.get(HEARTBEAT_EVERY, 10.0)))


def close_if_lost(store: Store, run: StoredRun) -> StoredRun:
    """Give the run of a process that is gone a true status, publishing what its directory still holds."""
    reason = _lost_reason(run)
    if reason is None or UID not in run.tags:
        return run
    directory = RunDirectory(run.tags.get("nnexp.directory", ""))
    if is_here(directory, run.tags[UID]):
        close_directory(directory, reason)
        Publication(directory, store, run_id=run.run_id).advance()
    else:
        store.terminate(run.run_id, "KILLED", message=reason)
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
    rows = directory.history()
    result = {
        "run_id": directory.uid,
        "status": "KILLED",
        "message": reason,
        "n_iter": int(rows[-1]["step"]) if rows else 0,
        "n_fev": int(rows[-1]["optimizer/n_fev"]) if rows else 0,
        "ended": rows[-1]["time"] if rows else directory.record["started"],
        "tags": {"nnexp.status_message": reason},
    }
    directory.write_json("result.json", result)
