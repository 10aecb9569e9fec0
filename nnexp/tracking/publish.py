"""Publishing: bring a store up to date with a run directory.

One operation serves while the run trains, at its end and afterwards. It may be cut off anywhere and repeated any number
of times: the run is found by its own id, a metric keeps the time at which it was measured (the store holds equal values
once), artifacts have fixed names, and the model is made once.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nnexp.tracking import ledger
from nnexp.tracking.rundir import PUBLISHED, RESULT, RunDirectory
from nnexp.tracking.store import (
    CLAIM,
    HEARTBEAT,
    HEARTBEAT_EVERY,
    OWNER,
    PARENT,
    UID,
    Store,
    batches,
    import_mlflow,
)

NOT_METRICS = ("step", "time", "seconds")
METRICS_A_CALL, PARAMS_A_CALL = 1000, 100
MODEL_NAME = "model"


class Publication:
    """One run directory in one store, and how far it has got there."""

    def __init__(self, directory: RunDirectory, store: Store, run_id: str | None = None) -> None:
        self.directory, self.store = directory, store
        known = self._known().get(store.uri, {})
        self.run_id: str | None = run_id or known.get("run_id")
        self.rows: int = known.get("rows", 0)
        self.complete: bool = known.get("complete", False)
        self._described = False

    def _known(self) -> dict[str, Any]:
        path = self.directory.path / PUBLISHED
        return json.loads(path.read_text()) if path.exists() else {}

    def _remember(self) -> None:
        state = {
            "run_id": self.run_id,
            "experiment": self.store.experiment,
            "rows": self.rows,
            "complete": self.complete,
        }
        self.directory.write_json(PUBLISHED, self._known() | {self.store.uri: state})

    def advance(self) -> bool:
        """Publish all that is new; say whether the run is ended and complete in the store."""
        if self.complete:
            return True
        record, result = self.directory.record, self.directory.result
        run_id = self.ensure_run(record)
        self._describe(run_id, record)
        self._publish_history(run_id)
        if result is not None:
            self._publish_end(run_id, record, result)
        return self.complete

    def ensure_run(self, record: dict[str, Any], claim: str | None = None) -> str:
        """The id of the run in the store, which is made where it is missing."""
        if self.run_id is None:
            found = self.store.find_uid(record["uid"])
            self.run_id = found.run_id if found else self._create(record, claim)
            self._remember()
        return self.run_id

    def _create(self, record: dict[str, Any], claim: str | None) -> str:
        tags = {
            **record["tags"],
            UID: record["uid"],
            OWNER: record["owner"],
            HEARTBEAT: f"{time.time():.1f}",
            HEARTBEAT_EVERY: str(record["heartbeat"]),
        }
        if claim:
            tags[CLAIM] = claim
        sweep = record["tracking"].get("sweep")
        if sweep and (parent := self.store.find_uid(sweep_uid(sweep))):
            tags[PARENT] = parent.run_id
        return self.store.create(record["name"], record["started"], tags)

    def _describe(self, run_id: str, record: dict[str, Any]) -> None:
        """Params and data set."""
        if self._described:
            return
        import_mlflow()
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        params = [Param(key, _param(value)) for key, value in record["params"].items()]
        for chunk in batches(params, PARAMS_A_CALL):
            self.store.client.log_batch(run_id, params=chunk)
        if record.get("dataset"):
            data = DatasetInput(Dataset(**record["dataset"]), tags=[InputTag("mlflow.data.context", "training")])
            self.store.client.log_inputs(run_id, datasets=[data])
        self._described = True

    def _publish_history(self, run_id: str) -> None:
        rows = self.directory.history()
        self._log_metrics(run_id, metrics_of(rows[self.rows :]))
        if len(rows) > self.rows:
            self.rows = len(rows)
            self._remember()

    def _log_metrics(self, run_id: str, metrics: Iterable[tuple[str, float, int, int]]) -> None:
        from mlflow.entities import Metric

        ready = [Metric(key, value, timestamp, step) for key, value, timestamp, step in metrics]
        for chunk in batches(ready, METRICS_A_CALL):
            self.store.client.log_batch(run_id, metrics=chunk)

    def _publish_end(self, run_id: str, record: dict[str, Any], result: dict[str, Any]) -> None:
        step, ended = int(result.get("n_iter") or 0), int(result["ended"] * 1000)
        self._log_metrics(run_id, ((key, value, ended, step) for key, value in result.get("final_metrics", {}).items()))
        if result.get("run_id") != run_id:
            self.directory.write_json(RESULT, result | {"run_id": run_id})
        self.store.tag(run_id, result.get("tags", {}))
        self._upload(run_id)
        if (self.directory.path / "weights.npz").exists() and record.get("layer_sizes"):
            self._publish_model(run_id, record, step)
        self.store.client.set_terminated(run_id, result["status"], end_time=ended)
        if (self.directory.path / "weights.npz").exists() and not result.get("described"):
            return  # its figures could not be made; they may be, later
        self.complete = True
        self._remember()
        if record.get("ledger"):
            ledger.leave(Path(record["ledger"]), self.directory)

    def _upload(self, run_id: str) -> None:
        client = self.store.client
        entries = sorted(p for p in self.directory.path.iterdir() if not p.name.startswith("."))
        for path in entries:
            if path.is_dir():
                client.log_artifacts(run_id, str(path), artifact_path=path.name)
            elif path in self.directory.artifacts():
                client.log_artifact(run_id, str(path))

    def _publish_model(self, run_id: str, record: dict[str, Any], step: int) -> None:
        """The network as an MLflow model of the run, made once."""
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

        client = self.store.client
        experiments = [self.store.experiment_id]
        models = client.search_logged_models(experiments, filter_string=f"source_run_id = '{run_id}'")
        if any(model.status == LoggedModelStatus.READY for model in models):
            return
        params = {key: _param(value) for key, value in record["params"].items()}
        model = (
            models[0]
            if models
            else client.create_logged_model(
                self.store.experiment_id, name=MODEL_NAME, source_run_id=run_id, params=params, model_type="classifier"
            )
        )
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])
        run = client.get_run(run_id)
        now = int(time.time() * 1000)
        finals = [
            Metric(key, value, now, step, model_id=model.model_id, run_id=run_id)
            for key, value in run.data.metrics.items()
        ]
        if not models:
            client.log_batch(run_id, metrics=finals)
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / MODEL_NAME
            save_model(local, self.directory, record, model_id=model.model_id, run_id=run_id)
            client.log_model_artifacts(model.model_id, str(local))
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def metrics_of(rows: list[dict[str, float]]):
    """The metrics of rows of the history as (key, value, milliseconds since the epoch, step)."""
    for row in rows:
        step, timestamp = int(row["step"]), int(row["time"] * 1000)
        for key, value in row.items():
            if key not in NOT_METRICS:
                yield key, value, timestamp, step


def _param(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def save_model(path: Path, directory: RunDirectory, record: dict[str, Any], **ids: str) -> None:
    """Write the network of a run as an MLflow model folder: its code as source, its weights as arrays."""
    mlflow = import_mlflow()
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import Array

    features = record["layer_sizes"][0]
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float64), (-1, features))]),
        outputs=Schema([ColSpec(Array(DataType.string), "label"), ColSpec(Array(Array(DataType.double)), "output")]),
    )
    mlflow.pyfunc.save_model(
        path,
        python_model=str(Path(__file__).with_name("served_model.py")),
        artifacts={"weights": str(directory.path / "weights.npz")},
        pip_requirements=[f"mlflow=={mlflow.__version__}", f"numpy=={np.__version__}"],
        signature=signature,
        mlflow_model=Model(run_id=ids["run_id"], model_uuid=ids["model_id"], model_id=ids["model_id"]),
    )


def sweep_uid(sweep: str) -> str:
    """The own id of the parent run of a sweep."""
    return f"sweep-{sweep}"
