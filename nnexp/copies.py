"""Files that were sent to this machine: their copies here, and the paths by which the user knows them.

A process reads a copy, and what it records of it names the original: that is where the file is looked for when the run
is made again, by whoever gave the command. Imports nothing heavy.
"""

from __future__ import annotations

_originals: dict[str, str] = {}  # by the path of the copy


def note(copy: str, original: str) -> None:
    """Note where a file was sent from."""
    _originals[copy] = original


def original_of(path: str) -> str:
    """The path by which the user knows a file, which is its own unless it was sent here."""
    return _originals.get(path, path)
