"""What a run says of itself: its record before the first iteration, its weights and its result after the last."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import nnexp
from nnexp.blas import blas_threads
from nnexp.config import Config
from nnexp.datasets import Dataset, Split
from nnexp.nn import Forward, unpack
from nnexp.runs import arithmetic, backlog, lease, provenance
from nnexp.runs.directory import RunDirectory
from nnexp.runs.identity import Identity, array_digest, identify
from nnexp.runs.tags import DIRECTORY
from nnexp.tasks.network.training import FitResult

NOT_IN_DIGEST = ("time", "seconds")
NAMED_GROUPS = ("data", "model", "optimizer", "training")  # whose keys decide what a run is
IN_NAME = ("data.name", "data.cache", "optimizer.method", "model.l2", "model.hidden_size")
LONGEST_NAME = 120  # letters


@dataclass(frozen=True)
class Task:
    """What a run is asked to do, and where."""

    config: Config
    composed: str
    overrides: Sequence[str]
    path: Path
    tags: Mapping[str, str] = field(default_factory=dict)


def identity_of(config: Config, dataset: Dataset) -> Identity:
    """Who a run of this config on this data is."""
    return identify(config.deciding(), dataset.digest)


def make_record(task: Task, dataset: Dataset, split: Split, layer_sizes: Sequence[int]) -> dict[str, Any]:
    """What `run.json` says: who the run is and who holds it."""
    config = task.config
    identity = identity_of(config, dataset)
    deciding = config.deciding()
    git = provenance.git_state()
    name = config.tracking.run_name or name_of(config, task.overrides)
    tags = {
        "nnexp.run_key": identity.run_key,
        "nnexp.config_hash": identity.config_hash,
        "nnexp.data_digest": identity.data_digest,
        "nnexp.code_digest": identity.code_digest,
        "nnexp.version": nnexp.__version__,
        **arithmetic.here(),
        DIRECTORY: str(Path(task.path).resolve()),
        "mlflow.source.name": "nnexp",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": provenance.user(),
        **({"mlflow.source.git.commit": git["commit"]} if git else {}),
        **({"nnexp.sweep": config.tracking.sweep} if config.tracking.sweep else {}),
        **task.tags,
    }
    source = dict(config.data.source)
    return {
        "uid": Path(task.path).name + "-" + os.urandom(4).hex(),
        "name": name,
        "started": time.time(),
        "owner": lease.owner(),
        "heartbeat": config.tracking.heartbeat,
        "identity": {
            "run_key": identity.run_key,
            "config_hash": identity.config_hash,
            "data_digest": identity.data_digest,
            "code_digest": identity.code_digest,
        },
        "tracking": {
            "uri": config.tracking.uri if config.tracking.backend == "mlflow" else None,
            "experiment": config.tracking.experiment,
            "sweep": config.tracking.sweep,
            "resume": config.resume,
        },
        "ledger": str(backlog.folder(config.tracking.directory)),
        "params": deciding,
        "overrides": list(task.overrides),
        "data": {"name": config.data.name, **source}
        | {"test_size": config.data.test_size, "validation_size": config.data.validation_size}
        | {"scale": config.data.scale},
        "seed": config.seed,
        "layer_sizes": list(layer_sizes),
        "activation": config.model.activation,
        "dtype": config.training.dtype,
        "figures": list(config.figures),
        "dataset": dataset_input(dataset, split, source),
        "tags": tags,
    }


def name_of(config: Config, overrides: Sequence[str]) -> str:
    """A run's name: data, method, lambda, hidden units and seed, and whatever else was asked for."""
    name = f"{config.data.name} {config.optimizer.method} λ={config.model.l2:g} H={config.model.hidden_size}"
    is_whole = not config.data.test_size and not config.data.validation_size
    name += f" seed={config.seed}" + " whole data" * is_whole
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        group = key.partition(".")[0]
        if "." in key and group in NAMED_GROUPS and key not in IN_NAME and not (is_whole and key == "data.test_size"):
            name += f" {key.rpartition('.')[2]}={value}"
    return name[:LONGEST_NAME]


def dataset_input(dataset: Dataset, split: Split, source: Mapping[str, Any]) -> dict[str, str]:
    """The data set as MLflow describes one."""
    sizes = {
        part: len(data.y) for part in ("train", "validation", "test") if (data := getattr(split, part)) is not None
    }
    profile = {"n_samples": len(dataset.y), "n_features": dataset.X.shape[1], "n_classes": len(dataset.classes)}
    schema = {"X": [dataset.X.shape[1]], "y": "class", "classes": list(dataset.classes)}
    return {
        "name": dataset.name,
        "digest": dataset.digest,
        "source_type": "nnexp",
        "source": json.dumps({"name": dataset.name, **source}),
        "schema": json.dumps(schema),
        "profile": json.dumps(profile | {f"n_{part}": size for part, size in sizes.items()}),
    }


def write_description(directory: RunDirectory, task: Task) -> None:
    """Config, overrides and environment, before the first iteration."""
    directory.write_text("config/config.yaml", task.composed)
    directory.write_text("config/overrides.yaml", "".join(f"- {json.dumps(o)}\n" for o in task.overrides) or "[]\n")
    directory.write_json("environment/environment.json", provenance.environment(task.config.training.threads))
    if diff := provenance.git_state().get("diff"):
        directory.write_text("environment/git_diff.patch", diff)


def save_weights(directory: RunDirectory, result: FitResult, split: Split) -> None:
    """`weights.npz`: theta and the arrays of each layer, and what is needed to use them."""
    data, scaling = split.train, split.scaling
    scaled = {"scale_offset": scaling.offset, "scale_factor": scaling.factor} if scaling else {}
    weights, biases = unpack(result.theta, result.layer_sizes)
    layers = {f"weights_{i}": w for i, w in enumerate(weights)} | {f"biases_{i}": b for i, b in enumerate(biases)}
    snapshots = {
        f"snapshot_{step}": unpack(theta, result.layer_sizes)[0][0] for step, theta in result.snapshots.items()
    }
    directory.write_weights(
        theta=result.theta,
        theta0=result.theta0,
        n_layers=len(weights),
        layer_sizes=np.array(result.layer_sizes),
        activation=result.activation,
        classes=np.array(data.classes),
        image_shape=np.array(data.image_shape or (), dtype=int),
        image_order=data.image_order,
        **scaled,  # of raw features, before the first layer: (x - offset) * factor
        **layers,
        **snapshots,
    )


def summary(config: Config, result: FitResult, split: Split) -> dict[str, Any]:
    """What `result.json` says of a fit."""
    status = "KILLED" if result.status == "interrupted" else "FINISHED"
    part = "test" if split.test is not None else "train"
    digests = {
        "theta_digest": array_digest(result.theta),
        "theta0_digest": array_digest(result.theta0),
        "history_digest": history_digest(result.history),
        "predictions_digest": predictions_digest(config, result, split),
    }
    final = {"fit_seconds": result.fit_seconds, "n_iter": result.n_iter, "gradient_check": result.gradient_check}
    if any(result.history[key][-1] != value for key, value in result.kept.items()):
        # The run as a whole is judged by the weights that it keeps, not by where the method went from there.
        final |= result.kept | {"kept_iter": result.kept_iter}
    return {
        "status": status,
        "cost": result.cost,
        "loss": result.loss,
        "accuracy": result.kept[f"accuracy/{part}"],
        **{key: value for key, value in result.kept.items() if key != "cost/train"},
        "kept_iter": result.kept_iter,
        "n_iter": result.n_iter,
        "n_fev": result.n_fev,
        "fit_seconds": result.fit_seconds,
        "gradient_check": result.gradient_check,
        "optimizer_status": result.status,
        "success": result.success,
        "message": result.message,
        **digests,
        "final_metrics": final,
        "ended": time.time(),
        "tags": {
            "nnexp.status_message": result.message,
            "nnexp.optimizer_status": result.status,
            **{f"nnexp.{key}": value for key, value in digests.items()},
        },
    }


def history_digest(history: Mapping[str, np.ndarray]) -> str:
    """Digest of all that repeats in a history: every column but the clocks'."""
    kept = [key for key in sorted(history) if key not in NOT_IN_DIGEST]
    return array_digest(np.array([history[key] for key in kept], dtype=float)) if kept else ""


def predictions_digest(config: Config, result: FitResult, split: Split) -> str:
    """Digest of the trained network's outputs on the test part, or on the training part where nothing is held out."""
    part = split.test if split.test is not None else split.train
    dtype = np.dtype(config.training.dtype)
    with blas_threads(1):  # as in the fit, so that they do not depend on training.threads
        forward = Forward(part.X, result.layer_sizes, activation=result.activation, dtype=dtype)
        return array_digest(forward(result.theta))
