"""Files of stored runs: from the run's directory where this machine has it, else from the artifacts of the store."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np

from nnexp.errors import one_line
from nnexp.runs import files
from nnexp.runs.directory import RunDirectory
from nnexp.runs.history import TABLE
from nnexp.runs.tags import DIRECTORY, UID
from nnexp.tracking.claims import is_here
from nnexp.tracking.store import Store, StoredRun

AXES = {"step": "step", "n_fev": "optimizer/n_fev", "seconds": "seconds"}
DOWNLOADS = 8  # at a time
History = dict[str, np.ndarray]


class RunFiles:
    """Reads small files of runs, each once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._folders: dict[str, Path | None] = {}
        self._histories: dict[str, History | None] = {}

    def read(self, run: StoredRun, name: str) -> bytes | None:
        """Content of a file of a run, None where there is no such file."""
        folder = self._folder(run)
        try:
            return (folder / name).read_bytes() if folder else self._download(run, name)
        except OSError:
            return None

    def _folder(self, run: StoredRun) -> Path | None:
        """The folder on this machine that holds the run's files."""
        if run.run_id not in self._folders:
            self._folders[run.run_id] = _run_directory(run) or _artifact_folder(run)
        return self._folders[run.run_id]

    def _download(self, run: StoredRun, name: str) -> bytes | None:
        with tempfile.TemporaryDirectory() as folder:
            try:
                return Path(self.store.client.download_artifacts(run.run_id, name, folder)).read_bytes()
            except Exception:  # each kind of store has its own way to say that there is no such file
                return None

    def histories(self, runs: Iterable[StoredRun]) -> dict[str, History]:
        """The histories of runs by their ids; those that cannot be had are left out.

        Each has the columns of `reports/history.csv` as ndarrays of shape (n_rows,), `seconds` from the run's start.
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
        try:
            history = parse_history(content) if content else self._from_metrics(run)
            return history if history and len(history["step"]) else None
        except (ValueError, KeyError) as error:
            self._leave_out(run, TABLE, error)
            return None

    def _leave_out(self, run: StoredRun, name: str, error: Exception) -> None:
        files.tell_once(f"{name} of the run {run.run_id} ({run.name}) is damaged: {one_line(error)}; left out")

    def _from_metrics(self, run: StoredRun) -> History | None:
        """The history as the store's metrics, for a run without the file. Far slower."""
        steps: dict[int, dict[str, float]] = {}
        for key in run.metrics:
            for metric in self.store.client.get_metric_history(run.run_id, key):
                row = steps.setdefault(metric.step, {"step": metric.step, "time": metric.timestamp / 1000})
                row[key] = metric.value
        rows = [steps[step] for step in sorted(steps)]
        if not rows or "optimizer/n_fev" not in run.metrics or "cost/train" not in run.metrics:
            return None
        columns = {key: np.array([row.get(key, np.nan) for row in rows]) for row in rows for key in row}
        return columns | {"seconds": columns["time"] - columns["time"][0]}

    def report(self, run: StoredRun, part: str) -> dict[str, Any] | None:
        """The classification report of a run on a part, as :meth:`nnexp.evaluation.Report.as_dict` has it."""
        name = f"reports/classification_report_{part}.json"
        content = self.read(run, name)
        try:
            return json.loads(content) if content else None
        except ValueError as error:
            self._leave_out(run, name, error)
            return None

    def hidden_layer(self, run: StoredRun) -> dict[str, Any] | None:
        """`weights`, `image_shape`, `image_order` and `activation` of a run's first hidden layer."""
        content = self.read(run, "weights.npz")
        if content is None:
            return None
        try:
            stored = files.arrays_of(io.BytesIO(content))
            if "weights_0" not in stored or "image_shape" not in stored:
                return None
            return {
                "weights": stored["weights_0"],
                "image_shape": tuple(int(size) for size in stored["image_shape"]),
                "image_order": str(stored["image_order"]),
                "activation": str(stored["activation"]),
            }
        except (ValueError, KeyError, TypeError) as error:
            self._leave_out(run, "weights.npz", error)
            return None


def parse_history(content: bytes) -> History:
    """Columns of a history file; a last row cut off by a crash is left out."""
    import pandas as pd

    whole = content[: content.rfind(b"\n") + 1]
    frame = pd.read_csv(io.BytesIO(whole), dtype=float)
    return {str(key): frame[key].to_numpy() for key in frame}


def _run_directory(run: StoredRun) -> Path | None:
    """The run's own directory, if this machine has it and it is the very run's."""
    path, uid = run.tags.get(DIRECTORY), run.tags.get(UID)
    if path is None or uid is None or not is_here(RunDirectory(path), uid):
        return None
    return Path(path)


def _artifact_folder(run: StoredRun) -> Path | None:
    """The artifacts as a folder, if they lie on this machine."""
    parts = urlparse(run.artifact_uri)
    path = Path(unquote(parts.path))
    return path if parts.scheme in ("", "file") and path.is_dir() else None
