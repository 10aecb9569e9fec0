"""What a run directory says, in the form in which a store takes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nnexp.runs.files import rows_of

NOT_METRICS = ("step", "time", "seconds")

Value = tuple[str, float, int, int]  # key, value, milliseconds since the epoch, step


class HistoryReader:
    """Reads a history that grows, each row once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._columns: list[str] | None = None
        self._read = 0

    def new_rows(self, skip: int = 0) -> list[dict[str, float]]:
        """The complete rows that have come since the last time, without the first `skip` rows of the file."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        text = text[: text.rfind(b"\n") + 1]
        self._offset += len(text)
        lines = text.decode(errors="replace").splitlines()
        if self._columns is None and lines:
            self._columns = lines.pop(0).split(",")
        first, self._read = self._read, self._read + len(lines)
        if not lines or self._columns is None:
            return []
        return list(rows_of(self._path, self._columns, lines[max(skip - first, 0) :]))


def metrics_of(rows: Iterable[dict[str, float]]) -> Iterator[Value]:
    """The metrics of rows of the history as (key, value, milliseconds since the epoch, step)."""
    for row in rows:
        step, timestamp = int(row["step"]), int(row["time"] * 1000)
        for key, value in row.items():
            if key not in NOT_METRICS:
                yield key, value, timestamp, step


def params_of(record: dict[str, Any]) -> dict[str, str]:
    """The params of a run as text."""
    return {
        key: json.dumps(value) if isinstance(value, list | dict) else str(value)
        for key, value in record["params"].items()
    }
