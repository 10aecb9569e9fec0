"""Closing the runs of processes that are gone, with all that they computed: on the disk first, then in the store.

Then removing what such processes left lying: half-written files, directories of runs that never began.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from nnexp import tasks
from nnexp.errors import one_line
from nnexp.own import of_records
from nnexp.runs import backlog, lease
from nnexp.runs.directory import RECORD, RESULT, RUNS, SHARED, SWEEPS, RunDirectory
from nnexp.runs.files import RecordError
from nnexp.runs.history import has_history
from nnexp.runs.places import is_here
from nnexp.runs.records import RunRecord, RunStatus
from nnexp.runs.tags import DIRECTORY, KIND, SWEEP, SWEEP_KIND, UID
from nnexp.runs.temporary import remove_abandoned, system_folder
from nnexp.tasks import describe
from nnexp.tracking.errors import StoreError
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import Store
from nnexp.tracking.store_arbiter import kill, lost_reason
from nnexp.tracking.stored_run import StoredRun

TRAINER_KILLED = "the training process was killed"

Tell = Callable[[str], None]


class StillTrainingError(RuntimeError):
    """The run has not ended and its process is there."""


def close(directory: RunDirectory, reason: str) -> None:
    """Write the result that a killed process could not write, unless the run has ended."""
    if directory.result is not None:
        return
    directory.write_result(tasks.cut_off(directory, RunStatus.KILLED, reason))


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
    with _trusting(record):
        close_and_describe(directory, reason, tell)


def _trusting(record: RunRecord) -> AbstractContextManager[None]:
    """Call what a record names only as befits who has written it."""
    return nullcontext() if record.is_own else of_records(calls=True)


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


def close_lost(store: Store, run: StoredRun, root: str | Path | None = None) -> StoredRun:
    """Give the run of a process that is gone a true status, with what its directory still holds.

    Of a run whose directory is on another machine, or deleted, the store keeps what it has. The parent run of a sweep
    of the output directory `root` ends as the sweep did.
    """
    if run.status != RunStatus.RUNNING or UID not in run.tags:
        return run
    reason = lost_reason(run)
    if reason is None:
        return run
    if root is not None and run.tags.get(KIND) == SWEEP_KIND:
        sweep = RunDirectory(Path(root) / SWEEPS / run.tags.get(SWEEP, ""))
        if is_here(sweep, run.tags[UID]) and (ended := sweep.result) is not None:
            store.terminate(run.run_id, ended.status, ended.ended, ended.message)
            return store.get(run.run_id) or run
    directory = RunDirectory(run.tags.get(DIRECTORY, ""))
    if not is_here(directory, run.tags[UID]):
        return kill(store, run, reason)
    if lease.is_of_this_machine(owner := directory.record.owner) and lease.gone_reason(owner) is None:
        return run  # whatever the store says of its process: it is there
    with _trusting(directory.record):
        close_and_describe(directory, reason, lambda line: None)
    try:
        Publication(directory, store, run_id=run.run_id).advance()
    except StoreError:
        raise
    except Exception:  # the store does not take something of it, which shall hold up nothing but this run
        store.ping()
        return kill(store, run, reason)
    return store.get(run.run_id) or run


def remove_leftovers(root: str | Path) -> None:
    """Remove what no living process of this machine will need, and close the runs that are in no backlog.

    To be called once the runs of the backlog are recovered. Ended runs are not looked at: all that was temporary
    in them went before they left the backlog.
    """
    root = Path(root).resolve()
    backlog.remove_leftovers(root)
    for path in _folders(root / SWEEPS):
        remove_abandoned(path, deep=True)
        if (path / SHARED).is_dir() and _is_over(path):
            shutil.rmtree(path / SHARED, ignore_errors=True)
    _remove_empty_joblib_folders()
    for path in _folders(root / RUNS):
        if not (path / RESULT).exists():
            try:
                _recover(root, RunDirectory(path))
            except (OSError, RecordError):
                continue  # another process does the same, or it is damaged


def _remove_empty_joblib_folders() -> None:
    """Remove the folders in which processes that are gone would have shared arrays, where nothing is in them."""
    for base in (os.environ.get("JOBLIB_TEMP_FOLDER"), "/dev/shm", system_folder()):
        for path in Path(base).glob("joblib_memmapping_folder_*") if base else ():
            pid = path.name.split("_")[3]
            with suppress(OSError):  # something is in it, or it is another user's
                if pid.isdigit() and lease.process_start(int(pid)) is None and path.stat().st_uid == os.getuid():
                    path.rmdir()


def _folders(parent: Path) -> list[Path]:
    return [path for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []


def _is_over(sweep: Path) -> bool:
    """Whether the process that began the sweep last is gone."""
    try:
        return lease.gone_reason(RunDirectory(sweep).plan.owner) is not None
    except (OSError, ValueError):
        return False


def _recover(root: Path, directory: RunDirectory) -> None:
    """Remove a directory that holds nothing; close the run of a process that is gone, if it has begun."""
    remove_abandoned(directory.path, deep=True)
    if not (directory.path / RECORD).exists():
        directory.path.rmdir()  # only where it is empty, and a run that is about to begin makes it again
        return
    record = directory.record
    if backlog.has(root, directory) or lease.gone_reason(record.owner) is None:
        return
    if has_history(directory.path):
        close(directory, TRAINER_KILLED)
    else:
        shutil.rmtree(directory.path)
