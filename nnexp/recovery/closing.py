"""Closing the runs of processes that are gone, with all that they computed: on the disk first, then in the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nnexp import tasks
from nnexp.describe import describe
from nnexp.errors import one_line
from nnexp.runs import backlog
from nnexp.runs.directory import RunDirectory
from nnexp.runs.places import is_here
from nnexp.runs.records import RunResult, RunStatus
from nnexp.runs.tags import DIRECTORY, STATUS_MESSAGE, UID
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import Store, StoredRun, StoreError
from nnexp.tracking.store_arbiter import kill, lost_reason

TRAINER_KILLED = "the training process was killed"

Tell = Callable[[str], None]


class StillTrainingError(RuntimeError):
    """The run has not ended and its process is there."""


def close(directory: RunDirectory, reason: str) -> None:
    """Write the result that a killed process could not write, unless the run has ended."""
    if directory.result is not None:
        return
    record, rows = directory.record, directory.history()
    last = {key: value for row in rows for key, value in row.items()}
    directory.write_result(
        RunResult(
            run_id=record.uid,
            status=RunStatus.KILLED,
            message=reason,
            ended=last.get("time", record.started),
            step=int(last.get("step", 0)),
            tags={STATUS_MESSAGE: reason},
            values=tasks.recorded(record.task).counters(last),
        )
    )


def complete(root: str | Path, directory: RunDirectory, tell: Tell) -> None:
    """Close a run whose process is gone, and make what is missing of its reports and figures.

    Raises
    ------
    StillTrainingError
        If the run has not ended and its process is there.
    """
    record = directory.record  # where that is damaged, nothing is made of the rest
    reason = None
    if directory.result is None:
        reason = backlog.lost_reason(root, directory, record)
        if reason is None:
            raise StillTrainingError("still training, and published by its own process")
    close_and_describe(directory, reason, tell)


def close_and_describe(directory: RunDirectory, reason: str | None, tell: Tell) -> None:
    """Close a run for a reason, unless it has ended, and make what is missing of its reports and figures.

    Where those cannot be made, that is told and noted in the result, so that what there is can be published.
    """
    if reason is not None:
        close(directory, reason)
    try:
        describe(directory)
    except Exception as error:  # a task may fail in any way; the numbers of its run are kept all the same
        result = directory.result
        if result is not None and result.not_described is None:
            tell(f"{directory.path.name}: published without reports and figures: {one_line(error)}")
            directory.amend_result(not_described=one_line(error))


def close_lost(store: Store, run: StoredRun) -> StoredRun:
    """Give the run of a process that is gone a true status, with what its directory still holds.

    Of a run whose directory is on another machine, or deleted, the store keeps what it has.
    """
    if run.status != RunStatus.RUNNING or UID not in run.tags:
        return run
    reason = lost_reason(run)
    if reason is None:
        return run
    directory = RunDirectory(run.tags.get(DIRECTORY, ""))
    if not is_here(directory, run.tags[UID]):
        return kill(store, run, reason)
    close_and_describe(directory, reason, lambda line: None)
    try:
        Publication(directory, store, run_id=run.run_id).advance()
    except StoreError:
        raise
    except Exception:  # the store does not take something of it, which shall hold up nothing but this run
        store.ping()
        return kill(store, run, reason)
    return store.get(run.run_id) or run
