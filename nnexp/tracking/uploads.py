"""What a run directory gives a run in the store: params, data set, metrics and artifacts. Each may be sent again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nnexp.runs.directory import RunDirectory
from nnexp.runs.history import Value
from nnexp.runs.records import RunRecord
from nnexp.tracking.store import Store, batches

METRICS_PER_CALL, PARAMS_PER_CALL = 1000, 100  # what MLflow takes at most
UPLOADS = 4  # at a time


def params_of(record: RunRecord) -> dict[str, str]:
    """The params of a run as text."""
    return {
        key: json.dumps(value) if isinstance(value, list | dict) else str(value) for key, value in record.params.items()
    }


def log_inputs(store: Store, run_id: str, record: RunRecord) -> None:
    """Params and data set."""
    client = store.client
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param

    for chunk in batches([Param(*item) for item in params_of(record).items()], PARAMS_PER_CALL):
        client.log_batch(run_id, params=chunk)
    if dataset := record.details.get("dataset"):
        used = DatasetInput(Dataset(**dataset), tags=[InputTag("mlflow.data.context", "training")])
        client.log_inputs(run_id, datasets=[used])


def log_values(store: Store, run_id: str, values: Iterable[Value]) -> None:
    """Values of metrics, with the times at which they were measured: the store holds equal ones once."""
    client = store.client
    from mlflow.entities import Metric

    metrics = [Metric(v.key, v.value, int(v.time * 1000), v.step) for v in values]
    for chunk in batches(metrics, METRICS_PER_CALL):
        client.log_batch(run_id, metrics=chunk)


class Artifacts:
    """The files of a run directory, none of which is uploaded twice by this process while it stays as it is."""

    def __init__(self, store: Store, directory: RunDirectory) -> None:
        self._store, self._directory = store, directory
        self._uploaded: set[tuple[str, int, int]] = set()

    def upload(self, run_id: str) -> None:
        """Upload what is new; to a server a few files at a time."""
        self._store.remove_half_uploads(run_id)
        with ThreadPoolExecutor(UPLOADS if self._store.is_server else 1) as pool:
            for _ in pool.map(lambda path: self._upload(run_id, path), self._directory.artifacts()):
                pass

    def _upload(self, run_id: str, path: Path) -> None:
        stat = path.stat()
        version = (str(path), stat.st_size, stat.st_mtime_ns)
        if version not in self._uploaded:
            folder = path.parent.relative_to(self._directory.path).as_posix()
            self._store.client.log_artifact(run_id, str(path), artifact_path=None if folder == "." else folder)
            self._uploaded.add(version)
