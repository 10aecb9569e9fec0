"""Reading what lies in run directories, where a full disk, a crash or a person may have left anything.

Each kind of file is read in one place here. What cannot be read is a :class:`RecordError` that names the file on one
line; where many are listed, it is told once and left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from nnexp.errors import UsageError, one_line
from nnexp.terminal import hand_on, say

_told: set[object] = set()


class RecordError(UsageError):
    """A file of a run or a sweep that cannot be read; the message names it on one line."""


class VanishedError(RecordError, FileNotFoundError):
    """A run directory that was there and is gone."""


def tell_once(text: str, about: object = None) -> None:
    """Name what is left out, once in this process for what it is about: directories are listed again and again."""
    key = str(about or text)
    if not hand_on(text, key) and key not in _told:
        _told.add(key)
        say(text)


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordError
        If it cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"{path} is damaged: {one_line(error)}") from error
    if (read := as_object(value)) is None:
        raise RecordError(f"{path} is damaged: expected a JSON object, got {type(value).__name__}")
    return read


def as_object(value: Any) -> dict[str, Any] | None:
    """A value that was read from JSON as the object that it is; None where it is something else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any] | None:
    """A value that was read from JSON as the list that it is; None where it is something else."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return type(value) in (int, float) and math.isfinite(value)


def is_text(value: Any) -> bool:
    """Whether a value is a text that says something."""
    return isinstance(value, str) and bool(value)


def is_mapping(value: Any) -> bool:
    """Whether a value is a JSON object."""
    return isinstance(value, Mapping)


Write = Callable[[Path, str], None]


def damaged(path: Path, key: str, value: Any) -> RecordError:
    """The error of a file in which the value of a key is none that it can have."""
    return RecordError(f"{path} is damaged: its {key!r} is {json.dumps(value, default=str)[:80]}")


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RecordError
        If it is no archive of arrays, or a part of it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return arrays_of(file)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} is damaged: {one_line(error)}") from error


def arrays_of(file: IO[bytes]) -> dict[str, np.ndarray]:
    """All arrays of an open `.npz` file; a ValueError says what is wrong with it."""
    try:
        stored = np.load(file, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            raise ValueError("expected the arrays of an .npz file, got one array")
        return {name: stored[name] for name in stored.files}
    except Exception as error:  # each layer of the format has errors of its own: zip, zlib, the header, pickle
        is_pickle = "pickle" in str(error)  # as NumPy takes all that is no archive to be; it advises to load it
        raise ValueError("it is no archive of numbers" if is_pickle else one_line(error)) from error


def rows_of(path: Path, columns: Sequence[str], lines: Sequence[str]) -> Iterator[dict[str, float]]:
    """Whole lines of a history as rows, only the values that are there; a damaged one is told and left out."""
    if not {"step", "time"} <= set(columns):
        tell_once(f"{path} is damaged: its first line does not name the columns step and time; left out", path)
        return
    for line in lines:
        cells = line.split(",")
        try:
            row = {column: float(cell) for column, cell in zip(columns, cells, strict=True) if cell}
            if not is_number(row["step"]) or not is_number(row["time"]):
                raise ValueError
        except (ValueError, KeyError):
            text = f"{path} is damaged: {len(columns)} numbers expected, got {line[:80]!r}; such rows are left out"
            tell_once(text, path)
            continue
        yield row
