"""The model of a run in the store: written as an MLflow model folder, and made exactly once, however often published.

The folder has two flavors. As a `python_function` it is made by the code in the folder, and needs nothing of nnexp; as
`sklearn` it is the classifier of scikit-learn, which needs nnexp. MLflow evaluates a classifier that gives a table only
if it is loaded by `mlflow.sklearn`, for then it asks the object behind it for labels and probabilities; so that is the
loader of both, and the table is what the object gives when it is called (`predict_fn`).
"""

from __future__ import annotations

import hashlib
import json
import pickle
import platform
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from nnexp import tasks
from nnexp.errors import one_line
from nnexp.runs.directory import SOURCES, RunDirectory
from nnexp.runs.files import RecordError, read_arrays, tell_once
from nnexp.runs.history import Value, columns_of, rows_of
from nnexp.runs.records import RunRecord, RunResult
from nnexp.tasks.presentation import Deferred, ModelSource, TrainedModel
from nnexp.tracking.mlflow_import import import_mlflow
from nnexp.tracking.store import Store
from nnexp.tracking.uploads import upload_folder

SERVED, ESTIMATOR, CODE = "model.pkl", "estimator.pkl", "code"
REQUIREMENTS = "requirements.txt"
CONDA, VIRTUALENV = "conda.yaml", "python_env.yaml"
NEEDED = ("mlflow", "numpy", "pandas")  # to serve it
MODEL_NAME = "model"


def ensure_model(store: Store, run_id: str, params: Mapping[str, str], *, is_new: bool) -> Any:
    """The model of a run in the store, made where it is missing; `is_new` where none can be there yet.

    Doubles of a request that was sent twice are deleted.
    """
    from mlflow.entities import LoggedModelStatus

    client, experiment = store.client, store.experiment_id

    def look() -> list[Any]:
        found = client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'")
        return sorted(
            (model for model in found if model.name == MODEL_NAME),
            key=lambda model: (model.status != LoggedModelStatus.READY, model.creation_timestamp, model.model_id),
        )

    ours = [] if is_new else look()
    if not ours:
        made = client.create_logged_model(
            experiment, name=MODEL_NAME, source_run_id=run_id, params=dict(params), model_type="classifier"
        )
        ours = look() if store.is_server else [made]
    for double in ours[1:]:
        client.delete_logged_model(double.model_id)
    return ours[0]


def is_ready(model: Any) -> bool:
    """Whether a model in the store is complete."""
    from mlflow.entities import LoggedModelStatus

    return model.status == LoggedModelStatus.READY


def link_model(store: Store, model: Any, run_id: str, step: int, *, is_new: bool) -> None:
    """Name the model among the outputs of its run, once; `step` is the iteration of the weights."""
    from mlflow.entities import LoggedModelOutput

    client = store.client
    linked = [] if is_new else [output.model_id for output in client.get_run(run_id).outputs.model_outputs]
    if model.model_id not in linked:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])


def upload_model(store: Store, model: Any, trained: TrainedModel, run_id: str) -> None:
    """Write the folder of a model where the store has it; until it is said to be ready, half of one is nobody's."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    if model.artifact_location.startswith("file:"):
        save_model(
            Path(local_file_uri_to_path(model.artifact_location)), trained, model_id=model.model_id, run_id=run_id
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / MODEL_NAME
        save_model(local, trained, model_id=model.model_id, run_id=run_id)
        upload_folder(store, model.artifact_location, local)


def finish_model(store: Store, model: Any) -> None:
    """Say that a model is complete."""
    from mlflow.entities import LoggedModelStatus

    store.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def about_model(record: RunRecord, model: Any, run_id: str) -> dict[str, Any]:
    """What the values of a run that are its model's say of the model."""
    data = record.details.get("dataset") or {}
    of_data = {"dataset_name": data.get("name"), "dataset_digest": data.get("digest")}
    return {**of_data, "model_id": model.model_id, "run_id": run_id}


def load_model(
    directory: RunDirectory, record: RunRecord, result: RunResult, history: Sequence[Value]
) -> TrainedModel | None:
    """The model of an ended run; damaged weights are told, and no model is made of them."""
    source = tasks.recorded(record.task).presentation.model(record)
    if source is None:
        return None
    path = directory.path / source.file
    about = record.params, {**result.values, "message": result.message}, columns_of(rows_of(history))
    try:
        return trained_model(source, read_arrays(path), *about, sources=directory.path / SOURCES)
    except FileNotFoundError:
        return None
    except RecordError as error:
        tell_once(f"{error}; published without a model")
    except Exception as error:
        tell_once(f"{path} is no trained model: {type(error).__name__}: {one_line(error)}; published without one")
    return None


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
    served = trained.served
    (path / CODE).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(trained.code, path / CODE / f"{_module(trained.code).__name__}.py")
    if trained.sources is not None:
        shutil.copytree(trained.sources, path / CODE, ignore=_links, dirs_exist_ok=True)
    (path / SERVED).write_bytes(pickle.dumps(served))
    (path / ESTIMATOR).write_bytes(pickle.dumps(_Call(trained.estimator)))
    for name, text in _environment((*NEEDED, *trained.requires)).items():
        (path / name).write_text(text)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and file.name != "MLmodel")
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")  # MLflow's form
    text = _description(served.n_features_in_, tuple(served.columns.items()))
    for word, value in {RUN_ID: ids["run_id"], MODEL_ID: ids["model_id"], MADE: made}.items():
        text = text.replace(word, json.dumps(value))
    (path / "MLmodel").write_text(text.replace(SIZE, str(size)))


def _links(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_symlink()]


# What stands in the description of a model for what is of this one only.
RUN_ID, MODEL_ID, MADE, SIZE = "nnexp--run--id", "nnexp--model--id", "nnexp--time--made", str(10**15 + 7)


def prepare() -> None:
    """Have what the first model needs imported and made, which takes a twentieth of a second."""
    _description(1, (("label", "string"),))


@cache
def _description(n_features: int, columns: tuple[tuple[str, str], ...]) -> str:
    """MLflow's description of a model, which differs from one to the next of a kind by four values only."""
    import_mlflow()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of type hints in MLflow's own code
        import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float64), (-1, n_features))]),
        outputs=Schema([ColSpec(DataType[kind], name) for name, kind in columns]),
    )
    model = Model(run_id=RUN_ID, model_uuid=MODEL_ID, model_id=MODEL_ID, signature=signature, utc_time_created=MADE)
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
    model.model_size_bytes = int(SIZE)
    return model.to_yaml()


class _Call:
    """Pickled as the call of a function, which is made where it is loaded."""

    def __init__(self, call: Deferred) -> None:
        self._call = call

    def __reduce__(self) -> Deferred:
        return self._call


_making = threading.Lock()


def _module(code: Path) -> Any:
    """The code of a model as a module, under the name that it has in the model's folder.

    The name tells versions of it from each other, because a process that loads several models has one module of a name.
    """
    with _making:  # of two threads that publish at once, one would pickle what is of the other's module
        return _made_module(code)


@cache
def _made_module(code: Path) -> Any:
    name = f"nnexp_model_{hashlib.sha256(code.read_bytes()).hexdigest()[:12]}"
    module = sys.modules[name] = ModuleType(name)
    exec(compile(code.read_bytes(), code, "exec"), module.__dict__)
    return module


@cache
def _environment(packages: tuple[str, ...]) -> dict[str, str]:
    """What is needed to serve the model, in the three forms in which MLflow looks for it, by the names of the files."""
    needed = [f"{name}=={version(name)}" for name in packages]
    python = platform.python_version()
    return {
        REQUIREMENTS: "".join(f"{each}\n" for each in needed),
        CONDA: f"channels:\n- conda-forge\ndependencies:\n- python={python}\n- pip\n- pip:\n"
        + "".join(f"  - {each}\n" for each in needed)
        + "name: mlflow-env\n",
        VIRTUALENV: f"python: {python}\nbuild_dependencies:\n- pip\n- setuptools\n- wheel\n"
        f"dependencies:\n- -r {REQUIREMENTS}\n",
    }
