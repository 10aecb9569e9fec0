"""Who does a job among the processes that share an output directory: a lock for each key, and a list of its runs.

The lock settles at once who trains. It is let go of before the run is published, so whoever gets it next looks at the
directories of the key's earlier runs too: one that is finished and not in the store yet stands for the job.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock
from filelock import Timeout as LockTimeout

from nnexp.runs import backlog
from nnexp.runs.arbitration import Claim, ClaimState, Rival, Verdict, claim_of, decide
from nnexp.runs.directory import RunDirectory
from nnexp.runs.files import RecordError
from nnexp.runs.places import counts_for
from nnexp.runs.records import RunRecord

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


def register(root: str | Path, record: RunRecord, directory: RunDirectory) -> None:
    """Add a run to the list of its key, with the lock of the key held."""
    root, path = Path(root).resolve(), directory.path
    name = path.relative_to(root) if path.is_relative_to(root) else path
    with _list(root, record.run_key or "").open("a", encoding="utf-8") as file:
        file.write(f"{name}\n")


def knows(root: str | Path, run_key: str) -> bool:
    """Whether a run of a key was ever begun here."""
    return _list(root, run_key).exists()


def claim(root: str | Path, record: RunRecord, *, store_is_asked: bool = False) -> Claim:
    """Who has the job of a run, by the directories alone; the caller holds the lock of the key.

    Runs of another store or experiment have another job.

    Parameters
    ----------
    record
        The caller's own run.
    store_is_asked
        Leave out what is whole in its store: the store says itself what it has, and maybe somebody deleted it there.
    """
    decision = decide(record.uid, _rivals(root, record, store_is_asked), record.tracking.resume, record.tags)
    return claim_of(decision, record.uid) or Claim(Verdict.MINE, record.uid)  # bids are made in stores only


def _rivals(root: str | Path, own: RunRecord, store_is_asked: bool) -> Iterator[Rival]:
    """The other runs of the key that are finished or may be, by their directories."""
    for directory in _runs(root, own.run_key or ""):
        try:
            record, result = directory.record, directory.result
        except (OSError, RecordError):
            continue  # removed, or damaged
        if record.uid == own.uid or record.run_key != own.run_key:
            continue
        if not counts_for(directory, record, own.tracking):
            continue
        if result is None:
            is_alive = backlog.lost_reason(root, directory, record) is None
            yield Rival(record.uid, ClaimState.HELD, is_alive, record.tags)
        elif result.is_finished and not (store_is_asked and _is_of_the_store(root, directory, record)):
            yield Rival(result.run_id, ClaimState.FINISHED, is_alive=False, tags=record.tags)


def _is_of_the_store(root: str | Path, directory: RunDirectory, record: RunRecord) -> bool:
    """Whether the store has a finished run, or never gets it."""
    return record.is_private or not backlog.has(root, directory)


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
