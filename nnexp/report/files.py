"""Files of stored runs: from the run's directory where this machine has it, else from the artifacts of the store."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from nnexp.comparison.spec import History, Reader
from nnexp.comparison.wording import count
from nnexp.errors import one_line
from nnexp.runs.directory import RunDirectory
from nnexp.runs.files import MOST_TABLE, MOST_TEXT, content_in, tell_once
from nnexp.runs.history import TABLE
from nnexp.runs.places import is_here
from nnexp.runs.tags import DIRECTORY, UID
from nnexp.tracking.artifacts import StoredFiles, artifact_folder
from nnexp.tracking.store import Store
from nnexp.tracking.stored_run import StoredRun

DOWNLOADS = 8  # at a time
SAME = 1e-9  # relative
T = TypeVar("T")


class RunFiles:
    """Reads small files of runs, each history once.

    Attributes
    ----------
    unread : dict
        What went wrong with files that are there, or may be, by the runs and the names.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._folders: dict[str, Path | None] = {}
        self._stored: dict[str, StoredFiles] = {}
        self._histories: dict[str, History | None] = {}
        self.unread: dict[tuple[str, str], str] = {}

    def read(self, run: StoredRun, name: str) -> bytes | None:
        """Content of a file of a run; None where there is no such file, or it cannot be had.

        One that no run can have is told, and any other trouble kept in `unread`.
        """
        folder, most = self._folder(run), MOST_TABLE if name == TABLE else MOST_TEXT
        try:
            return content_in(folder, name, most) if folder else self._download(run, name, most)
        except FileNotFoundError:
            return None
        except Exception as error:  # each kind of store has errors of its own
            if isinstance(error, ValueError) and not isinstance(error, OSError):  # an answer that is no JSON is both
                tell_once(f"{name} of the run {run.run_id} ({run.name}) is not read: {one_line(error)}")
            else:
                why = one_line(error).removeprefix(f"{name}: ")
                self.unread[run.run_id, name] = f"{name} of the run {run.run_id} ({run.name}): {why}"
            return None

    def about_unread(self) -> str | None:
        """What to say of the files that could not be read."""
        if not self.unread:
            return None
        n, first = len(self.unread), next(iter(self.unread.values()))
        said = f"{count(n, 'file')} of runs could not be read, so this report is not complete"
        return f"{said}: {first}" if n == 1 else f"{said}; the first: {first}"

    def is_unread(self, name: str) -> bool:
        """Whether a file of this name could not be read."""
        return any(name == each for _, each in self.unread)

    def parsed(self, run: StoredRun, name: str, parse: Callable[[bytes], T]) -> T | None:
        """What `parse` makes of a file; None where there is none, or it is damaged, which is told once."""
        content = self.read(run, name)
        return self._parsed(run, name, content, parse) if content else None

    def _parsed(self, run: StoredRun, name: str, content: bytes, parse: Callable[[bytes], T]) -> T | None:
        try:
            return parse(content)
        except Exception as error:  # whoever can write to the store has written it
            tell_once(f"{name} of the run {run.run_id} ({run.name}) is damaged: {one_line(error)}; left out")
            return None

    def reader(self, runs: Mapping[str, StoredRun]) -> Reader:
        """Reads files of these runs by their ids."""

        def read(run_id: str, name: str, parse: Callable[[bytes], T]) -> T | None:
            return self.parsed(runs[run_id], name, parse)

        return read

    def _folder(self, run: StoredRun) -> Path | None:
        """The folder on this machine that holds the run's files."""
        if run.run_id not in self._folders:
            self._folders[run.run_id] = _run_directory(run) or artifact_folder(run)
        return self._folders[run.run_id]

    def _download(self, run: StoredRun, name: str, most: int) -> bytes | None:
        return self._stored.setdefault(run.run_id, StoredFiles(self.store, run)).read(name, most)

    def histories(self, runs: Iterable[StoredRun]) -> dict[str, History]:
        """The histories of runs by their ids; those that cannot be had are left out.

        Each has the columns of `reports/history.csv` as ndarrays of shape (n_rows,), `seconds` from the run's start. It
        ends with the final metrics of the run, as :func:`ended` says.
        """
        wanted = [run for run in runs if run.run_id not in self._histories]
        remote = [run for run in wanted if self._folder(run) is None]
        if remote:
            self.store.client  # noqa: B018 - opened once, before the threads
        with ThreadPoolExecutor(DOWNLOADS) as pool:
            self._histories |= zip((r.run_id for r in remote), pool.map(self._history, remote), strict=True)
        self._histories |= {run.run_id: self._history(run) for run in wanted if run not in remote}
        return {run.run_id: h for run in runs if (h := self._histories[run.run_id]) is not None}

    def _history(self, run: StoredRun) -> History | None:
        content = self.read(run, TABLE)
        history = self._parsed(run, TABLE, content, parse_history) if content else self._from_metrics(run)
        return ended(history, run.metrics) if history and len(history["step"]) else None

    def _from_metrics(self, run: StoredRun) -> History | None:
        """The history as the store's metrics, for a run without the file. Far slower."""
        steps: dict[int, dict[str, float]] = {}
        for key in run.metrics:
            for metric in self.store.client.get_metric_history(run.run_id, key):
                row = steps.setdefault(metric.step, {"step": metric.step, "time": metric.timestamp / 1000})
                row[key] = metric.value
        rows = [steps[step] for step in sorted(steps)]
        if not rows:
            return None
        columns = {key: np.array([row.get(key, np.nan) for row in rows]) for row in rows for key in row}
        return columns | {"seconds": columns["time"] - columns["time"][0]}


def parse_history(content: bytes) -> History:
    """Columns of a history file; a last row cut off by a crash is left out."""
    whole = content[: content.rfind(b"\n") + 1].decode()
    header, *rows = csv.reader(whole.splitlines()) if whole else [[]]
    if "step" not in header:
        raise ValueError("it has no column step")
    cells = [[float(cell) if cell else math.nan for cell in row] for row in rows]
    values = np.array(cells, dtype=float).reshape(len(rows), len(header))
    return dict(zip(header, values.T.copy(), strict=True))


def ended(history: History, final: Mapping[str, float]) -> History:
    """A history that ends with the final metrics of its run: where they differ, its last row comes again with them.

    A run may keep an earlier point than the one at which it ended, and is judged by that. Without the row a report
    would contradict its own table. When the point was found is not known here, so it counts at all that was spent.
    """
    kept = {key: value for key, value in final.items() if key in history and _differs(history[key], value)}
    if not kept:
        return history
    return {key: np.append(column, kept[key] if key in kept else column[-1]) for key, column in history.items()}


def _differs(column: np.ndarray, final: float) -> bool:
    """Whether a final value is another than the last one of a history, whose text need not be read to the last bit."""
    there = column[np.isfinite(column)]
    return math.isfinite(final) and not (len(there) and math.isclose(there[-1], final, rel_tol=SAME))


def _run_directory(run: StoredRun) -> Path | None:
    """The run's own directory, if this machine has it and it is the very run's."""
    path, uid = run.tags.get(DIRECTORY), run.tags.get(UID)
    if path is None or uid is None or not is_here(RunDirectory(path), uid):
        return None
    return Path(path)
