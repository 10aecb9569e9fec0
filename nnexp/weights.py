"""Files of weights: a run's `weights.npz`, or the matrices Theta1, Theta2, ... of the exercise in a `.mat`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from nnexp.config import Config, ConfigError


@dataclass(frozen=True)
class Network:
    """Weights that can be judged."""

    theta: np.ndarray
    layer_sizes: tuple[int, ...]
    activation: str


def read_weights(path: Path, config: Config) -> Network:
    """The network of a file.

    Raises
    ------
    ConfigError
        If it does not hold the weights of a network.
    """
    return _from_mat(path, config) if path.suffix == ".mat" else _from_npz(path, config)


def _from_npz(path: Path, config: Config) -> Network:
    from nnexp.nn import pack

    try:
        with np.load(path) as stored:
            count = int(stored["n_layers"]) if "n_layers" in stored.files else 0
            layers = [(stored[f"weights_{i}"], stored[f"biases_{i}"]) for i in range(count)]
            activation = str(stored["activation"]) if "activation" in stored.files else config.model.activation
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"--weights {path}: not the weights of a network ({error})") from error
    if not layers:
        raise ConfigError(f"--weights {path}: expected n_layers, weights_0, biases_0, ..., got none of them")
    weights, biases = [w for w, _ in layers], [b for _, b in layers]
    return Network(pack(weights, biases), (weights[0].shape[1], *(len(w) for w in weights)), activation)


def _from_mat(path: Path, config: Config) -> Network:
    """Course-style matrices Theta1, Theta2, ... of shape (n_out, 1 + n_in), the bias in column 0."""
    from scipy.io import loadmat

    try:
        stored = loadmat(path)
    except (ValueError, OSError, NotImplementedError) as error:
        raise ConfigError(f"--weights {path}: not a .mat file that can be read ({error})") from error
    thetas = []
    while f"Theta{len(thetas) + 1}" in stored:
        thetas.append(np.asarray(stored[f"Theta{len(thetas) + 1}"], dtype=float))
    if not thetas:
        raise ConfigError(f"--weights {path}: expected the matrices Theta1, Theta2, ..., got none of them")
    for inner, outer in pairwise(thetas):
        if outer.shape[1] != inner.shape[0] + 1:
            raise ConfigError(
                f"--weights {path}: expected {inner.shape[0] + 1} columns after a layer of {inner.shape[0]} units, "
                f"got {outer.shape[1]}"
            )
    theta = np.concatenate([matrix.ravel() for matrix in thetas])
    return Network(theta, (thetas[0].shape[1] - 1, *(len(m) for m in thetas)), config.model.activation)
