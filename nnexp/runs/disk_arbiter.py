"""Who does a job among the processes that share an output directory: a lock for each key, and a list of its runs.

The lock settles at once who trains. It is let go of before the run is published, so whoever gets it next asks the
directories of the key's earlier runs too: one that is finished and not in the store yet stands for the job.
"""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock
from filelock import Timeout as LockTimeout

from nnexp.runs import arithmetic, backlog, lease
from nnexp.runs.arbitration import FINISHED, HELD, Claim
from nnexp.runs.directory import RunDirectory

FOLDER = "locks"
LOCK_SECONDS = 0.5  # a lock is held for a moment by those who only look whether it is held


def lock(root: str | Path, run_key: str) -> FileLock:
    """The lock of a key, its folder made."""
    path = _path(root, run_key)
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path, timeout=LOCK_SECONDS, poll_interval=LOCK_SECONDS / 10)


def is_locked(root: str | Path, run_key: str) -> bool:
    """Whether another process that shares the output directory is training a run of this key."""
    path = _path(root, run_key)
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except LockTimeout:
        return True


def register(root: str | Path, run_key: str, directory: RunDirectory) -> None:
    """Add a run to the list of its key, with the lock of the key held."""
    root, path = Path(root).resolve(), directory.path
    name = path.relative_to(root) if path.is_relative_to(root) else path
    with _list(root, run_key).open("a", encoding="utf-8") as file:
        file.write(f"{name}\n")


def existing(
    root: str | Path, run_key: str, uid: str, *, resume: bool | str = True, unpublished_only: bool = False
) -> Claim | None:
    """The run of a key that stands for the job, by the directories alone; the caller holds the lock of the key.

    Parameters
    ----------
    uid
        The caller's own run, which does not stand in its way.
    resume
        Whether a finished run stands for the job; ``strict``: only one of this process's arithmetic.
    unpublished_only
        Leave out what is whole in its store: the store has been asked, and maybe somebody deleted the run there.
    """
    held = None
    for directory in _runs(root, run_key):
        try:
            record, result = directory.record, directory.result
            if record.uid == uid or record.run_key != run_key:
                continue
            if result is None:
                if lease.gone_reason(record.owner) is None:
                    held = held or Claim(HELD, record.uid)
            elif result.is_finished and arithmetic.stands(resume, record.tags):
                is_private = record.is_private  # no store ever gets it
                if not unpublished_only or (backlog.has(root, directory) and not is_private):
                    return Claim(FINISHED, result.run_id)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # removed, or damaged
    return held


def _path(root: str | Path, run_key: str) -> Path:
    return Path(root).resolve() / FOLDER / run_key


def _list(root: str | Path, run_key: str) -> Path:
    return _path(root, run_key).with_suffix(".runs")


def _runs(root: str | Path, run_key: str) -> list[RunDirectory]:
    """The listed directories, newest first."""
    try:
        names = _list(root, run_key).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [RunDirectory(Path(root).resolve() / name) for name in dict.fromkeys(reversed(names)) if name]
