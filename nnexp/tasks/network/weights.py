"""Files of weights: a run's `weights.npz`, or the matrices Theta1, Theta2, ... of the exercise in a `.mat`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nnexp import own
from nnexp.datasets import Scaling
from nnexp.errors import one_line
from nnexp.nn import ACTIVATIONS, pack
from nnexp.readers import ConfigError
from nnexp.runs.files import RecordError, read_arrays
from nnexp.tasks.network.activation import recorded
from nnexp.tasks.network.config import NetworkConfig

MOST_LAYERS = 10_000
SHOWN = 5


@dataclass(frozen=True)
class StoredNetwork:
    """Weights that can be judged."""

    theta: np.ndarray
    layer_sizes: tuple[int, ...]
    activation: str
    scaling: Scaling | None = None  # of the samples that it was trained on


def read_weights(path: Path, config: NetworkConfig) -> StoredNetwork:
    """The network of a file.

    Raises
    ------
    ConfigError
        If it does not hold the weights of a network.
    """
    return _from_mat(path, config) if path.suffix == ".mat" else _from_npz(path, config)


def _from_npz(path: Path, config: NetworkConfig) -> StoredNetwork:
    try:
        stored = read_arrays(path)
    except RecordError as error:
        raise ConfigError(f"--weights: {error}") from error
    n_layers = stored.get("n_layers", np.array(0))
    if n_layers.shape != () or n_layers.dtype.kind not in "iu" or not 0 < n_layers < MOST_LAYERS:
        got = f"n_layers {str(n_layers)[:40]}" if "n_layers" in stored else _names(stored)
        raise ConfigError(f"--weights {path}: expected n_layers (an integer >= 1), weights_0, biases_0, ..., got {got}")
    weights = [_numbers(path, f"weights_{i}", stored, ndim=2) for i in range(int(n_layers))]
    biases = [_numbers(path, f"biases_{i}", stored, ndim=1) for i in range(int(n_layers))]
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        if len(b) != len(w) or (i and w.shape[1] != len(weights[i - 1])):
            shape = (len(b), len(weights[i - 1]) if i else w.shape[1])
            raise ConfigError(f"--weights {path}: expected weights_{i} of shape {shape}, got {w.shape}")
    activation = str(stored["activation"]) if "activation" in stored else config.model.activation
    if activation not in ACTIVATIONS and not own.is_own(activation):
        raise ConfigError(
            f"--weights {path}: expected an activation of {', '.join(ACTIVATIONS)}, got {activation[:40]!r}"
        )
    with own.of_records([config.model.activation]):
        recorded(activation, stored)
    sizes = weights[0].shape[1], *(len(w) for w in weights)
    return StoredNetwork(pack(weights, biases), sizes, activation, _scaling(path, stored, sizes[0]))


def _scaling(path: Path, stored: Mapping[str, Any], n_features: int) -> Scaling | None:
    if "scale_offset" not in stored:
        return None
    offset, factor = (_numbers(path, name, stored, ndim=1) for name in ("scale_offset", "scale_factor"))
    if not len(offset) == len(factor) == n_features:
        raise ConfigError(
            f"--weights {path}: expected scale_offset and scale_factor of shape ({n_features},), got {offset.shape} "
            f"and {factor.shape}"
        )
    return Scaling(offset, factor)


def _from_mat(path: Path, config: NetworkConfig) -> StoredNetwork:
    """Course-style matrices Theta1, Theta2, ... of shape (n_out, 1 + n_in), the bias in column 0."""
    loadmat: Any = import_module("scipy.io").loadmat
    try:
        stored: dict[str, Any] = loadmat(path)
    except Exception as error:  # of a damaged file each part of the format has errors of its own
        raise ConfigError(f"--weights {path}: not a .mat file that can be read: {one_line(error)}") from error
    thetas: list[np.ndarray] = []
    while (name := f"Theta{len(thetas) + 1}") in stored:
        thetas.append(_numbers(path, name, stored, ndim=2))
    if not thetas:
        raise ConfigError(f"--weights {path}: expected the matrices Theta1, Theta2, ..., got {_names(stored)}")
    if thetas[0].shape[1] < 2:
        raise ConfigError(f"--weights {path}: expected Theta1 with a column of biases and more, got 1 column")
    for inner, outer in pairwise(thetas):
        if outer.shape[1] != inner.shape[0] + 1:
            raise ConfigError(
                f"--weights {path}: expected {inner.shape[0] + 1} columns after a layer of {inner.shape[0]} units, "
                f"got {outer.shape[1]}"
            )
    theta = np.concatenate([matrix.ravel() for matrix in thetas])
    return StoredNetwork(theta, (thetas[0].shape[1] - 1, *(len(m) for m in thetas)), config.model.activation)


def _numbers(path: Path, name: str, stored: Mapping[str, Any], *, ndim: int) -> np.ndarray:
    """An array of a file, checked."""
    if name not in stored:
        raise ConfigError(f"--weights {path}: expected {name} in it, got {_names(stored)}")
    array = np.asarray(stored[name])
    if array.dtype.kind not in "fiu" or array.ndim != ndim or not array.size:
        what = "a matrix" if ndim == 2 else "a vector"
        raise ConfigError(f"--weights {path}: expected {what} of numbers as {name}, got {array.dtype} {array.shape}")
    array = array.astype(float)
    if not np.isfinite(array).all():
        raise ConfigError(f"--weights {path}: {name} holds values that are not finite")
    return array


def _names(stored: Mapping[str, Any]) -> str:
    """What a file holds, for a message."""
    names = [name for name in stored if not name.startswith("__")]
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "") if names else "nothing"
