"""What a run directory gives a run in the store: params, data set, metrics, artifacts and its model.

Each may be sent again; of models there is exactly one, however often it is published.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from nnexp.runs.directory import RunDirectory
from nnexp.runs.history import Value
from nnexp.runs.records import RunRecord
from nnexp.tasks.presentation import ServedModel
from nnexp.tracking.store import Store, batches, import_mlflow

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


MODEL_NAME = "model"


def publish_model(
    store: Store,
    directory: RunDirectory,
    served: ServedModel,
    run_id: str,
    params: Mapping[str, str],
    metrics: Sequence[Value],
    step: int,
) -> None:
    """Bring the model of a run into the store, whatever an earlier attempt has left there.

    Parameters
    ----------
    metrics
        The run's last metrics, with the times and steps that the run has them with: MLflow enters the metrics of a
        model into the history of its run too, where only the very same value at the same time is not a second one.
    step
        The iteration of the weights.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

    client = store.client
    model = _the_one(store, run_id, params)
    if model.status == LoggedModelStatus.READY:
        return
    linked = [output.model_id for output in client.get_run(run_id).outputs.model_outputs]
    if model.model_id not in linked:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])
    data = directory.record.details.get("dataset") or {}
    about = {"dataset_name": data.get("name"), "dataset_digest": data.get("digest")}
    about |= {"model_id": model.model_id, "run_id": run_id}
    values = [Metric(value.key, value.value, int(value.time * 1000), value.step, **about) for value in metrics]
    client.log_batch(run_id, metrics=values)
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / MODEL_NAME
        save_model(local, directory, served, model_id=model.model_id, run_id=run_id)
        client.log_model_artifacts(model.model_id, str(local))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def _the_one(store: Store, run_id: str, params: Mapping[str, str]) -> Any:
    """The model of the run, made where it is missing; doubles of a request that was sent twice are deleted."""
    from mlflow.entities import LoggedModelStatus

    client, experiment = store.client, store.experiment_id

    def look() -> list[Any]:
        found = client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'")
        return sorted(
            (model for model in found if model.name == MODEL_NAME),
            key=lambda model: (model.status != LoggedModelStatus.READY, model.creation_timestamp, model.model_id),
        )

    ours = look()
    if not ours:
        client.create_logged_model(
            experiment, name=MODEL_NAME, source_run_id=run_id, params=dict(params), model_type="classifier"
        )
        ours = look()
    for double in ours[1:]:
        client.delete_logged_model(double.model_id)
    return ours[0]


def save_model(path: Path, directory: RunDirectory, served: ServedModel, **ids: str) -> None:
    """Write the model of a run as an MLflow model folder: its code as source, its weights as arrays."""
    mlflow = import_mlflow()
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import Array

    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float64), (-1, served.n_features))]),
        outputs=Schema([ColSpec(Array(DataType.string), "label"), ColSpec(Array(Array(DataType.double)), "output")]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has no example; the signature says it all
        mlflow.pyfunc.save_model(
            path,
            python_model=str(served.code),
            artifacts={"weights": (directory.path / served.file).as_uri()},  # MLflow unquotes a path too
            pip_requirements=[f"mlflow=={mlflow.__version__}", f"numpy=={np.__version__}"],
            signature=signature,
            mlflow_model=Model(run_id=ids["run_id"], model_uuid=ids["model_id"], model_id=ids["model_id"]),
        )
