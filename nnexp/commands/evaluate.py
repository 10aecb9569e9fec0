"""`nnexp evaluate --weights FILE`: cost and report of given weights on the configured data."""

from __future__ import annotations

import argparse
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nnexp.config import ConfigError
from nnexp.terminal import say, table

SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "--weights",
        required=True,
        metavar="FILE",
        help="weights.npz, a run's directory, the beginning of its id, or the exercise's ex4weights.mat (Theta1, ...)",
    )
    parser.add_argument("overrides", nargs="*", help="config overrides, such as data.test_size=0 model.l2=3")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print."""
    from nnexp.hydra_app import compose, read_config

    try:
        config = read_config(compose(arguments.overrides))
        result = evaluate(config, arguments.weights)
    except ConfigError as error:
        say(str(error))
        return 2
    report, part = result.pop("report"), result.pop("part")
    if arguments.json:
        print(json.dumps(result))
    else:
        print(f"{part} part\n\n{report}")
        rows = [("cost", f"{result['cost']:.12f}"), ("loss", f"{result['loss']:.12f}")]
        print(table([*rows, ("accuracy", f"{result['accuracy']:.2%}"), ("samples", str(result["n_samples"]))]))
    return 0


def evaluate(config: Any, name: str) -> dict[str, Any]:
    """Cost, loss, accuracy and report of the weights on the held-out part, or on all data where nothing is held out."""
    from nnexp.evaluation import evaluate as report_of
    from nnexp.nn import Objective, predict
    from nnexp.train import load, split_of
    from nnexp.training import blas_threads

    theta, layer_sizes, activation = read_weights(name, config)
    split = split_of(config, load(config))
    part = split.test if split.test is not None else split.train
    fits = (part.X.shape[1], len(part.classes))
    if (layer_sizes[0], layer_sizes[-1]) != fits:
        raise ConfigError(
            f"--weights {name}: expected a network of {fits[0]} inputs and {fits[1]} outputs for "
            f"{config.data.name}, got {layer_sizes[0]} and {layer_sizes[-1]}"
        )
    dtype = np.dtype(config.training.dtype)
    with blas_threads(config.training.threads):
        objective = Objective(part.X, part.Y, layer_sizes, activation=activation, l2=config.model.l2, dtype=dtype)
        cost, _ = objective(theta)
        predicted = predict(objective.logits(theta))
    report = report_of(part.y, predicted, part.classes)
    return {
        "cost": cost,
        "loss": cost - objective.penalty(theta),
        "accuracy": report.accuracy,
        "n_samples": len(part.y),
        "report": report.text,
        "part": "test" if split.test is not None else "whole",
    }


def read_weights(name: str, config: Any) -> tuple[np.ndarray, tuple[int, ...], str]:
    """Theta, layer sizes and activation from a file, a run's directory or a run's id.

    Raises
    ------
    ConfigError
        Where there is no such thing or it does not hold the weights of a network.
    """
    path = Path(name)
    if path.is_dir():
        path = path / "weights.npz"
    if not path.exists():
        path = _of_run(name, config)
    return _from_mat(path, config) if path.suffix == ".mat" else _from_npz(path, config)


def _of_run(name: str, config: Any) -> Path:
    """`weights.npz` of a run of the store, fetched into a temporary folder."""
    if "/" in name or "." in name:
        raise ConfigError(f"--weights {name}: no such file")
    from nnexp.tracking.store import open_store

    store = open_store(config.tracking.uri, config.tracking.experiment)
    run = store.get(name)
    if run is None and re.fullmatch("[0-9a-f]{3,31}", name):
        found = store.search(f"attributes.run_id LIKE '{name}%'", all_experiments=True)
        if len(found) > 1:
            ids = ", ".join(f"{each.run_id} ({each.name})" for each in found[:SHOWN])
            raise ConfigError(f"--weights {name}: the beginning of {len(found)} ids: {ids}")
        run = found[0] if found else None
    if run is None:
        raise ConfigError(f"--weights {name}: neither a file nor a run of {store.shown_uri}")
    try:
        return Path(store.client.download_artifacts(run.run_id, "weights.npz"))
    except Exception as error:
        raise ConfigError(f"--weights {name}: the run has no weights.npz ({run.status})") from error


def _from_npz(path: Path, config: Any) -> tuple[np.ndarray, tuple[int, ...], str]:
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
    return pack(weights, biases), (weights[0].shape[1], *(len(w) for w in weights)), activation


def _from_mat(path: Path, config: Any) -> tuple[np.ndarray, tuple[int, ...], str]:
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
    return theta, (thetas[0].shape[1] - 1, *(len(m) for m in thetas)), config.model.activation
