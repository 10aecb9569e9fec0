"""The history of a run: what was logged, in the order in which it was logged.

`history.csv` has a line ``step,key,value,time`` for each value and only grows, each line handed to the operating system
at once; so any key can come at any step, and nothing that was logged replaces anything. `reports/history.csv` is made
of it: one row for the values that were logged together, one column a key, for people and for comparisons. Runs of
earlier versions have that table only.
"""

from __future__ import annotations

import csv
import math
import os
import posixpath
import re
import time as clock
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnexp.errors import one_line
from nnexp.runs import files
from nnexp.runs.files import tell_once
from nnexp.runs.identity import array_digest

HISTORY, TABLE = "history.csv", "reports/history.csv"
SYSTEM = "system.csv"  # the load of the machine in the same form, where it was asked for
HEADER = "step,key,value,time"
KEY = re.compile(r"[\w./ :-]{1,250}")  # what MLflow takes for the key of a metric
CLOCKS = ("time", "seconds")  # columns of the table that are no metrics
NOT_METRICS = ("step", *CLOCKS)
LARGEST_STEP = 2**63
TAIL = 8192  # bytes of a history that hold its last rows

Row = dict[str, float]


class Value(NamedTuple):
    """A value of a metric; `time` is in seconds since the epoch."""

    step: int
    key: str
    value: float
    time: float


def check_metrics(metrics: Mapping[str, float]) -> None:
    """See that a store takes values as metrics.

    Raises
    ------
    ValueError
        If a key is no name of a metric, or a value no number.
    """
    for key, value in metrics.items():
        if key in NOT_METRICS:
            raise ValueError(f"a metric's key must be another than {key!r}, which the history has for itself")
        # MLflow keeps a metric as a file of this name, and takes no path that leads elsewhere.
        if (
            not _is_a(key, str)
            or not KEY.fullmatch(key)
            or posixpath.normpath(key) != key
            or key.startswith(("/", ".."))
        ):
            raise ValueError(
                f"a metric's key must be at most 250 letters, digits and any of _.:- or a space, in parts divided by "
                f"single slashes, got {str(key)[:80]!r}"
            )
        if not _is_a(value, int, float, np.integer, np.floating):
            raise ValueError(f"`{key}` must be a number, got {value!r}")


class HistoryWriter:
    """Appends to a history, whole lines, each handed to the operating system at once."""

    def __init__(self, folder: Path, name: str = HISTORY) -> None:
        self._file = (folder / name).open("a", newline="", encoding="utf-8")
        if not self._file.tell():
            self._file.write(HEADER + "\n")
            self._file.flush()

    def log(self, metrics: Mapping[str, float], step: int, time: float | None = None) -> None:
        """Keep values that belong together.

        Raises
        ------
        ValueError
            If a key is no name of a metric, a value no number, or the step no integer.
        """
        if not _is_a(step, int, np.integer) or not abs(step) < LARGEST_STEP:
            raise ValueError(f"`step` must be an integer of 64 bits, got {step!r}")
        check_metrics(metrics)
        time = clock.time() if time is None else time
        lines = [f"{step},{key},{_exact(value)},{time!r}\n" for key, value in metrics.items()]
        self._file.write("".join(lines))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _is_a(value: Any, *types: type) -> bool:
    """Whether a value that a task has given is of the types that it is declared as, and no bool."""
    return isinstance(value, types) and not isinstance(value, bool)


def _exact(value: float) -> str:
    """A number as text that reads back to the same bits."""
    return repr(int(value)) if isinstance(value, int | np.integer) else repr(float(value))


class HistoryReader:
    """Reads a history that grows, each value once; of a run of an earlier version its table."""

    def __init__(self, folder: Path, names: Sequence[str] = (HISTORY, TABLE)) -> None:
        self._folder, self._names = folder, names
        self._path: Path | None = None
        self._offset = 0
        self._header: list[str] = []
        self._read = 0  # lines behind the header

    def new_values(self, skip: int = 0) -> tuple[list[Value], int]:
        """The values that have come since the last time, without the first `skip` lines, and the lines read so far."""
        if self._path is None:
            self._path = next((path for name in self._names if (path := self._folder / name).exists()), None)
        try:
            lines = self._new_lines()
        except OSError:
            return [], self._read
        first, self._read = self._read, self._read + len(lines)
        new = lines[max(skip - first, 0) :]
        if self._path is None or not new:
            return [], self._read
        if self._header == HEADER.split(","):
            return list(_values(self._path, new)), self._read
        if self._path != self._folder / TABLE:
            tell_once(f"{self._path} is damaged: its first line is not {HEADER}; left out", self._path)
            return [], self._read
        rows = files.rows_of(self._path, self._header, new)
        return [value for row in rows for value in values_of(row)], self._read

    def _new_lines(self) -> list[str]:
        if self._path is None:
            return []
        with files.opened(self._path) as file:
            file.seek(self._offset)
            text = file.read()
        text = text[: text.rfind(b"\n") + 1]  # without a line that is being written, or was cut off by a crash
        self._offset += len(text)
        lines = text.decode(errors="replace").splitlines()
        if not self._header and lines:
            self._header = lines.pop(0).split(",")
        return lines


def _values(path: Path, lines: Iterable[str]) -> Iterator[Value]:
    """Lines of a history; a damaged one is told and left out."""
    keys: set[str] = set()  # that were seen to be names of metrics: a long history has few of them
    for line in lines:
        try:
            step, key, value, time = line.split(",")
            found = Value(int(step), key, float(value), float(time))
            if not math.isfinite(found.time) or (key not in keys and not KEY.fullmatch(key)):
                raise ValueError
            keys.add(key)
        except ValueError:
            tell_once(f"{path} is damaged: {HEADER} expected, got {line[:80]!r}; such lines are left out", path)
            continue
        yield found


def values_of(row: Mapping[str, float]) -> Iterator[Value]:
    """The values of a row of the table."""
    for key, value in row.items():
        if key not in NOT_METRICS:
            yield Value(int(row["step"]), key, value, row["time"])


def rows_of(values: Iterable[Value]) -> list[Row]:
    """Values as rows: those logged together, or at one step without a conflict, are one row."""
    rows: list[Row] = []
    for step, key, value, time in values:
        if not rows or rows[-1]["step"] != step or key in rows[-1]:
            rows.append({"step": step, "time": time})
        rows[-1][key] = value
    return rows


def has_history(folder: Path) -> bool:
    """Whether anything was logged into a run directory, by this version or an earlier one."""
    return any((folder / name).exists() for name in (HISTORY, TABLE))


def columns_of(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """Rows as arrays by name, NaN where a row lacks a value."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return {key: np.array([row.get(key, np.nan) for row in rows], dtype=float) for key in keys}


def history_digest(columns: Mapping[str, np.ndarray]) -> str:
    """Digest of all that repeats in a history: every column but the clocks'."""
    kept = [key for key in sorted(columns) if key not in CLOCKS]
    return array_digest(np.array([columns[key] for key in kept], dtype=float)) if kept else ""


def read_rows(folder: Path, *, is_described: bool = False, has_ended: bool = False) -> list[Row]:
    """The rows of a history; what a crash cut off and what is damaged is left out.

    Of a described run the table is read, which is the same and what people see. Before that the publisher, which makes
    the table while the run trains, may be behind: the table would lack what was logged last.
    """
    table = folder / TABLE
    if table.exists() and (is_described or not (folder / HISTORY).exists()):
        return list(_table_rows(table, has_ended))
    return rows_of(HistoryReader(folder).new_values()[0])


def _table_rows(path: Path, has_ended: bool) -> Iterator[Row]:
    try:
        text = files.content_of(path, files.MOST_TABLE).decode(errors="replace")
    except (OSError, ValueError) as error:
        tell_once(f"{path} is damaged: {one_line(error)}; left out", path)
        return iter(())
    header, *lines = text[: text.rfind("\n") + 1].splitlines() or [""]
    if not header and not has_ended:
        return iter(())  # killed at its first row
    return files.rows_of(path, header.split(","), lines)


def write_table(folder: Path, write: files.Write) -> None:
    """Make `reports/history.csv` of a history, where there is one; `seconds` are those since its first row."""
    rows = rows_of(HistoryReader(folder).new_values()[0]) if (folder / HISTORY).exists() else []
    if not rows:
        return
    columns = [*NOT_METRICS, *(key for key in dict.fromkeys(k for row in rows for k in row) if key not in NOT_METRICS)]
    for row in rows:
        row.setdefault("seconds", row["time"] - rows[0]["time"])
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    write(folder / TABLE, text.getvalue())


def _cell(value: float | None) -> str:
    if value is None or math.isnan(value):
        return ""
    return _exact(value)


def last_row(folder: Path, name: str = HISTORY) -> Row:
    """What was logged last for each key, without reading all of a long history; empty where there is nothing."""
    try:
        with (folder / name).open("rb") as file:
            start = max(len(HEADER) + 1, file.seek(0, os.SEEK_END) - TAIL)
            file.seek(start)
            lines = file.read().rpartition(b"\n")[0].decode(errors="replace").splitlines()
    except OSError:
        return {}
    row: Row = {}
    for line in lines:
        with suppress(ValueError):  # damaged, or the rest of a line
            step, key, value, _ = line.split(",")
            row |= {"step": float(int(step)), key: float(value)}
    return row
