"""Publishing afterwards: from run directories into the store that they were meant for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nnexp.tracking import claims, ledger, liveness
from nnexp.tracking.publish import Publication
from nnexp.tracking.rundir import RECORD, RunDirectory
from nnexp.tracking.store import one_line, open_store


def sync(
    root: str | Path, names: Sequence[str] = (), *, default_uri: str, tell: Callable[[str], None]
) -> tuple[int, int]:
    """Publish the named runs, or all that the ledger of `root` holds.

    Returns
    -------
    published, kept_back : int
        How many runs the store has whole now, and how many not.

    Raises
    ------
    ValueError
        Where a name is neither a run directory nor a sweep.
    """
    published = kept_back = 0
    for directory in _chosen(root, names):
        try:
            complete = publish(directory, default_uri)
        except Exception as error:
            tell(f"{directory.path.name}: {one_line(error)}")
            complete = False
        published, kept_back = published + complete, kept_back + (not complete)
    return published, kept_back


def _chosen(root: str | Path, names: Sequence[str]) -> list[RunDirectory]:
    if not names:
        return ledger.entries(root)
    chosen: list[RunDirectory] = []
    for name in names:
        directory = RunDirectory(name)
        if (directory.path / RECORD).exists():
            chosen.append(directory)
            continue
        of_sweep = [d for d in ledger.entries(root) if d.record["tracking"].get("sweep") == name]
        if not of_sweep and not (Path(root) / "sweeps" / name).is_dir():
            raise ValueError(f"{name}: neither a run directory nor a sweep of {root}")
        chosen += of_sweep
    return chosen


def publish(directory: RunDirectory, default_uri: str) -> bool:
    """Bring one run whole into its store; one whose process is gone is closed first, one that trains is left alone."""
    from nnexp.results import describe

    record = directory.record
    if directory.result is None:
        reason = liveness.lost_reason(record["owner"], None, record["heartbeat"])
        if reason is None:
            return False
        claims.close_directory(directory, reason)
    try:
        describe(directory)
    except ValueError:
        pass  # the data set is gone or has changed: publish what there is
    store = open_store(record["tracking"]["uri"] or default_uri, record["tracking"]["experiment"])
    return Publication(directory, store).advance()
