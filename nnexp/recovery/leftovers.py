"""What killed processes left lying in an output directory: half-written files, directories of runs that never began."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from nnexp.recovery.closing import TRAINER_KILLED, close
from nnexp.runs import backlog, lease
from nnexp.runs.directory import RECORD, RESULT, RUNS, SHARED, SWEEPS, RunDirectory
from nnexp.runs.files import RecordError
from nnexp.runs.history import has_history
from nnexp.runs.temporary import remove_abandoned, system_folder


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
