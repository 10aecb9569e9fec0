"""What a run directory gives a run in the store: params, data set, values, tags and files. Each may be sent again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from nnexp.runs.directory import RunDirectory
from nnexp.runs.history import Value
from nnexp.runs.records import RunRecord
from nnexp.tracking.limits import batches, digest_of, tag_of
from nnexp.tracking.store import Store, past_conflict
from nnexp.tracking.transaction import insert_values

MOST = 1000  # values, params and tags together, that MLflow takes in a call
PARAMS_PER_CALL = 100
LONGEST_PARAM = 6000  # characters; MLflow cuts what is longer without a word
UPLOADS = 4  # at a time
LOCAL = "file:"
HALF_UPLOADS = ".artifact.uploading.*"  # MLflow's name for what it copies


def params_of(record: RunRecord) -> dict[str, str]:
    """The params of a run as text; of one that is longer than a store takes its digest, for it would be cut."""
    return {key: _param(value) for key, value in record.params.items()}


def _param(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= LONGEST_PARAM else f"{digest_of(text)}; the whole is in config/config.yaml"


def log_data_set(store: Store, run_id: str, record: RunRecord) -> None:
    """The data set that a run is trained on."""
    client = store.client
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if dataset := record.details.get("dataset"):
        used = DatasetInput(Dataset(**dataset), tags=[InputTag("mlflow.data.context", "training")])
        past_conflict(lambda: client.log_inputs(run_id, datasets=[used]))


def metric_of(value: Value, **model: Any) -> Any:
    """A value as MLflow has it, with the time at which it was measured; `model` says whose it is beside the run's."""
    from mlflow.entities import Metric

    return Metric(value.key, value.value, int(value.time * 1000), value.step, **model)


def log_all(
    store: Store,
    run_id: str,
    metrics: Sequence[Any],
    params: Mapping[str, str],
    tags: Mapping[str, str],
    *,
    is_new: bool = False,
) -> None:
    """Metrics, params and tags in as few calls as can be; the store holds equal values once, `is_new`: none so far."""
    client = store.client
    from mlflow.entities import Param, RunTag

    if is_new:
        metrics = insert_values(client, run_id, metrics)

    first, *more = list(batches([Param(*item) for item in params.items()], PARAMS_PER_CALL)) or [[]]
    for chunk in more:
        client.log_batch(run_id, params=chunk)
    set_tags = [RunTag(key, tag_of(value)) for key, value in tags.items()]
    room = MOST - len(first) - len(set_tags)
    if metrics or first or set_tags:
        client.log_batch(run_id, metrics=metrics[:room], params=first, tags=set_tags)
    for chunk in batches(metrics[room:], MOST):
        client.log_batch(run_id, metrics=chunk)


def remove_half_uploads(artifact_uri: str) -> None:
    """Remove what killed processes left half copied among the artifacts of a run; for who alone publishes it."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    if artifact_uri.startswith(LOCAL):
        for path in Path(local_file_uri_to_path(artifact_uri)).rglob(HALF_UPLOADS):
            path.unlink(missing_ok=True)


def _copy(file: str, folder: Path) -> None:
    """Copy a file, whole or not at all; MLflow does the same in six times the time."""
    name = os.path.basename(file)
    temporary = folder / f"{HALF_UPLOADS[:-1]}{os.getpid()}-{name}"
    try:
        shutil.copyfile(file, temporary)
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, temporary)
    os.replace(temporary, folder / name)


def at_once(upload: Callable[[Path], object], files: Iterable[Path], store: Store) -> None:
    """Upload files; to a server a few at a time."""
    with ThreadPoolExecutor(UPLOADS if store.is_server else 1) as pool:
        for _ in pool.map(upload, files):
            pass


def upload_folder(store: Store, artifact_uri: str, folder: Path) -> None:
    """Upload all files of a folder."""
    send = store.artifacts(artifact_uri).log_artifact
    files = [path for path in folder.rglob("*") if path.is_file()]
    at_once(lambda path: send(str(path), _folder_of(path, folder)), files, store)


def _folder_of(path: Path, root: Path) -> str | None:
    """The folder of a file among the artifacts."""
    folder = path.parent.relative_to(root).as_posix()
    return None if folder == "." else folder


class Artifacts:
    """The files of a run directory, none of which is uploaded twice by this process while it stays as it is."""

    def __init__(self, store: Store, directory: RunDirectory) -> None:
        self._store, self._directory = store, directory
        self._uploaded: set[tuple[str, int, int]] = set()

    def upload(self, artifact_uri: str) -> None:
        """Upload what is new."""
        if artifact_uri.startswith(LOCAL):
            from mlflow.utils.file_utils import local_file_uri_to_path

            there = Path(local_file_uri_to_path(artifact_uri))
            for path in self._directory.artifacts():
                self._upload(path, lambda file, folder: _copy(file, there / (folder or "")))
            return
        send = self._store.artifacts(artifact_uri).log_artifact
        at_once(lambda path: self._upload(path, send), self._directory.artifacts(), self._store)

    def _upload(self, path: Path, send: Any) -> None:
        stat = path.stat()
        version = (str(path), stat.st_size, stat.st_mtime_ns)
        if version not in self._uploaded:
            send(str(path), _folder_of(path, self._directory.path))
            self._uploaded.add(version)
