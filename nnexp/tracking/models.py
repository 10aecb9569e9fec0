"""The model of a run in the store: written as an MLflow model folder, and made exactly once, however often published.

The folder has two flavors. As a `python_function` it is made by the code in the folder, and needs nothing of nnexp; as
`sklearn` it is the classifier of scikit-learn, which needs nnexp. MLflow evaluates a classifier that gives a table only
if it is loaded by `mlflow.sklearn`, for then it asks the object behind it for labels and probabilities; so that is the
loader of both, and the table is what the object gives when it is called (`predict_fn`).
"""

from __future__ import annotations

import hashlib
import pickle
import platform
import shutil
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from nnexp.runs.directory import RunDirectory
from nnexp.runs.history import Value
from nnexp.tasks.presentation import Deferred, ModelSource, TrainedModel
from nnexp.tracking.store import Store, import_mlflow

SERVED, ESTIMATOR, CODE = "model.pkl", "estimator.pkl", "code"
REQUIREMENTS = "requirements.txt"
CONDA, VIRTUALENV = "conda.yaml", "python_env.yaml"
NEEDED = ("mlflow", "numpy", "pandas")  # to serve it
MODEL_NAME = "model"


def publish_model(
    store: Store,
    directory: RunDirectory,
    trained: TrainedModel,
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
        save_model(local, trained, model_id=model.model_id, run_id=run_id)
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


def trained_model(
    source: ModelSource, arrays: Mapping[str, Any], *about: Mapping[str, Any], sources: Path
) -> TrainedModel:
    """The model of a run: of its arrays, and of its params, the values of its result and the columns of its history.

    `sources` is the folder of the user's own sources, if the run has one.

    Raises
    ------
    Exception
        Whatever the code of the model raises where the arrays are not what it expects.
    """
    params, values, history = about
    served = _module(source.code).load(arrays)
    own_code = sources if source.has_own_code and sources.is_dir() else None
    estimator = source.estimator(params, arrays, values, history)
    return TrainedModel(source.code, served, estimator, source.requires, own_code)


def save_model(path: Path, trained: TrainedModel, **ids: str) -> None:
    """Write an MLflow model folder, without what MLflow's own function would import and infer for it.

    Parameters
    ----------
    ids
        The `model_id` and `run_id` that the model has in the store.
    """
    import_mlflow()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of type hints in MLflow's own code
        import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    (path / CODE).mkdir(parents=True)
    served = trained.served
    shutil.copyfile(trained.code, path / CODE / f"{_module(trained.code).__name__}.py")
    if trained.sources is not None:
        shutil.copytree(trained.sources, path / CODE, dirs_exist_ok=True)
    (path / SERVED).write_bytes(pickle.dumps(served))
    (path / ESTIMATOR).write_bytes(pickle.dumps(_Call(trained.estimator)))
    _write_environment(path, (*NEEDED, *trained.requires))
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float64), (-1, served.n_features_in_))]),
        outputs=Schema([ColSpec(DataType[kind], name) for name, kind in served.columns.items()]),
    )
    model = Model(run_id=ids["run_id"], model_uuid=ids["model_id"], model_id=ids["model_id"], signature=signature)
    mlflow.pyfunc.add_to_model(
        model,
        loader_module="mlflow.sklearn",
        model_path=SERVED,
        predict_fn="sklearn_model",  # the object itself, as the loader calls it
        code=CODE,
        conda_env=CONDA,
        python_env=VIRTUALENV,
    )
    model.add_flavor(
        "sklearn",
        pickled_model=ESTIMATOR,
        serialization_format="pickle",
        sklearn_version=version("scikit-learn"),
    )
    model.model_size_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    model.save(path / "MLmodel")


class _Call:
    """Pickled as the call of a function, which is made where it is loaded."""

    def __init__(self, call: Deferred) -> None:
        self._call = call

    def __reduce__(self) -> Deferred:
        return self._call


@cache
def _module(code: Path) -> Any:
    """The code of a model as a module, under the name that it has in the model's folder.

    The name tells versions of it from each other, because a process that loads several models has one module of a name.
    """
    name = f"nnexp_model_{hashlib.sha256(code.read_bytes()).hexdigest()[:12]}"
    module = sys.modules[name] = ModuleType(name)
    exec(compile(code.read_bytes(), code, "exec"), module.__dict__)
    return module


def _write_environment(path: Path, packages: Sequence[str]) -> None:
    """What is needed to serve the model, in the three forms in which MLflow looks for it."""
    needed = [f"{name}=={version(name)}" for name in packages]
    python = platform.python_version()
    (path / REQUIREMENTS).write_text("".join(f"{each}\n" for each in needed))
    (path / CONDA).write_text(
        f"channels:\n- conda-forge\ndependencies:\n- python={python}\n- pip\n- pip:\n"
        + "".join(f"  - {each}\n" for each in needed)
        + "name: mlflow-env\n"
    )
    (path / VIRTUALENV).write_text(
        f"python: {python}\nbuild_dependencies:\n- pip\n- setuptools\n- wheel\ndependencies:\n- -r {REQUIREMENTS}\n"
    )
