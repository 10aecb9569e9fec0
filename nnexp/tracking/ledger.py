"""Which run directories still have something that no store has: one small file each, gone when all is published.

A run enters the ledger before its first iteration and leaves it when the store has all of it, so that what a crash or
a lost connection kept back is found without reading every directory.
"""

from __future__ import annotations

from pathlib import Path

from nnexp.tracking.rundir import RECORD, RunDirectory, write_atomically

FOLDER = "unpublished"


def folder(root: str | Path) -> Path:
    """The ledger of an output directory."""
    return Path(root).resolve() / FOLDER


def enter(ledger: Path, directory: RunDirectory) -> None:
    """Note that the directory has something to publish."""
    write_atomically(ledger / directory.path.name, str(directory.path))


def leave(ledger: Path, directory: RunDirectory) -> None:
    """Note that the store has all of it."""
    (ledger / directory.path.name).unlink(missing_ok=True)


def entries(root: str | Path) -> list[RunDirectory]:
    """The directories that still have something to publish, oldest first."""
    ledger = folder(root)
    if not ledger.is_dir():
        return []
    found = []
    for entry in sorted(ledger.iterdir()):
        if entry.name.startswith("."):
            continue
        directory = RunDirectory(entry.read_text().strip())
        if (directory.path / RECORD).exists():
            found.append(directory)
        else:
            entry.unlink(missing_ok=True)
    return found
