"""What is kept of a fit: its arrays, and what `result.json` says of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnexp.blas import blas_threads
from nnexp.datasets import Split
from nnexp.nn import Forward, unpack
from nnexp.runs.history import history_digest
from nnexp.runs.identity import array_digest
from nnexp.tasks.interface import Ending
from nnexp.tasks.network.activation import activation_of, values_of
from nnexp.tasks.network.config import NetworkConfig
from nnexp.tasks.network.training import FitResult


def arrays_of(result: FitResult, split: Split) -> dict[str, Any]:
    """The content of `weights.npz`: theta and the arrays of each layer, and what is needed to use them."""
    data, scaling = split.train, split.scaling
    scaled = {"scale_offset": scaling.offset, "scale_factor": scaling.factor} if scaling else {}
    weights, biases = unpack(result.theta, result.layer_sizes)
    layers = {f"weights_{i}": w for i, w in enumerate(weights)} | {f"biases_{i}": b for i, b in enumerate(biases)}
    snapshots = {
        f"snapshot_{step}": unpack(theta, result.layer_sizes)[0][0] for step, theta in result.snapshots.items()
    }
    return dict(
        theta=result.theta,
        theta0=result.theta0,
        n_layers=len(weights),
        layer_sizes=np.array(result.layer_sizes),
        activation=result.activation,
        **values_of(result.activation),
        classes=np.array(data.classes),
        image_shape=np.array(data.image_shape or (), dtype=int),
        image_order=data.image_order,
        **scaled,  # of raw features, before the first layer: (x - offset) * factor
        **layers,
        **snapshots,
    )


def ending_of(config: NetworkConfig, result: FitResult, split: Split) -> Ending:
    """What a fit says of itself."""
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
    return Ending(
        reason=result.status,
        message=result.message,
        step=result.n_iter,
        metrics=final,
        counters={"n_iter": result.n_iter, "n_fev": result.n_fev, "kept_iter": result.kept_iter},
        values={
            "cost": result.cost,
            "loss": result.loss,
            "accuracy": result.kept[f"accuracy/{part}"],
            **{key: value for key, value in result.kept.items() if key != "cost/train"},
            "fit_seconds": result.fit_seconds,
            "gradient_check": result.gradient_check,
            "optimizer_status": result.status,
            "success": result.success,
            **digests,
        },
        tags={
            "nnexp.optimizer_status": result.status,
            **{f"nnexp.{key}": value for key, value in digests.items()},
        },
    )


def predictions_digest(config: NetworkConfig, result: FitResult, split: Split) -> str:
    """Digest of the trained network's outputs on the test part, or on the training part where nothing is held out."""
    part = split.test if split.test is not None else split.train
    dtype = np.dtype(config.training.dtype)
    with blas_threads(1):  # as in the fit, so that they do not depend on training.threads
        forward = Forward(part.X, result.layer_sizes, activation=activation_of(result.activation), dtype=dtype)
        return array_digest(forward(result.theta))
