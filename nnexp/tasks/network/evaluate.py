"""Cost and report of given weights on a part of a data set.

The weights of a run are judged by what the run recorded: its data, its split, its network and its penalty, with the
overrides on top. Weights that belong to no run are judged by the config of today.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nnexp.blas import blas_threads
from nnexp.datasets import Dataset, Split
from nnexp.evaluation import evaluate as report_of
from nnexp.nn import Objective, predict
from nnexp.readers import ConfigError
from nnexp.tasks.interface import EvaluatedRun
from nnexp.tasks.network.activation import activation_of
from nnexp.tasks.network.config import NetworkConfig
from nnexp.tasks.network.data import load, split_of
from nnexp.tasks.network.weights import StoredNetwork, read_weights
from nnexp.terminal import percent

PENALTY = "cost = loss + penalty / samples, so the costs of parts of different sizes do not compare; the losses do"


@dataclass(frozen=True)
class Figures:
    """What a network does on one part; the penalty of `cost` is divided by `n_samples`."""

    cost: float
    loss: float
    accuracy: float
    n_samples: int


@dataclass(frozen=True)
class Judgement:
    """What is told of weights.

    Attributes
    ----------
    part
        ``test``, or ``whole`` where nothing is held out.
    figures, report
        Of that part.
    run
        The run whose weights they are, None where they belong to none.
    train
        Figures of the run's training part, None where that is the judged part or cannot be had.
    trained_on
        How many of the judged samples the run was trained on, by their values; None where that is not known.
    """

    part: str
    figures: Figures
    report: str
    run: str | None = None
    train: Figures | None = None
    trained_on: int | None = None
    is_good: bool = True

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of the command."""
        told = asdict(self.figures) | {"part": self.part}
        if self.run is not None:
            told |= {"trained_on": self.trained_on, "train": asdict(self.train) if self.train else None}
        return told

    def text(self) -> str:
        """What a person is told."""
        head = f"{self.part} part, {self.figures.n_samples:,} samples"
        if self.run is not None:
            head = f"{self.run}\n{head}: {self._training()}"
        columns = [self.figures] + ([self.train] if self.train else [])
        rows = [
            ("cost", [f"{each.cost:.12f}" for each in columns]),
            ("loss", [f"{each.loss:.12f}" for each in columns]),
            ("accuracy", [percent(each.accuracy) for each in columns]),
            ("samples", [str(each.n_samples) for each in columns]),
        ]
        if self.train:
            rows.insert(0, ("", [f"{self.part} part", "training part"]))
        lines = [f"{name:<8}  " + "  ".join(f"{cell:<16}" for cell in cells) for name, cells in rows]
        return "\n".join([head, "", self.report, *map(str.rstrip, lines), *([PENALTY] if self.train else [])])

    def _training(self) -> str:
        if self.trained_on is None:
            return "it is not known which of them it was trained on"
        if self.trained_on == self.figures.n_samples:
            return "it was trained on these samples"
        return f"it was trained on {f'{self.trained_on:,}' if self.trained_on else 'none'} of these samples"


def evaluate(path: Path, config: NetworkConfig) -> Judgement:
    """Judge weights that belong to no run on the held-out part, or on all data where nothing is held out.

    Raises
    ------
    ConfigError
        If the file cannot be judged so.
    """
    network = read_weights(path, config)
    part, data, _ = _parts(config, f"--weights {path}", network)
    figures, report = _figures(network, data, config)
    return Judgement(part, figures, report)


def evaluate_run(weights: Path, config: NetworkConfig, run: EvaluatedRun[NetworkConfig]) -> Judgement:
    """Judge a run by its own config, or by one with overrides.

    Raises
    ------
    ConfigError
        If it has no weights, or they cannot be judged so.
    """
    if not weights.is_file():
        raise ConfigError(f"{run.name} has no {weights.name} ({run.status})")
    network = read_weights(weights, config)
    _same_network(network, config)
    part, data, digest = _parts(config, run.name, network)
    if not run.has_other_data and run.data_digest not in (None, digest):
        raise ConfigError(
            f"{run.name}: the data of {config.data.source.get('path') or config.data.name} have changed since it was "
            f"trained: digest {digest[:12]}, then {str(run.data_digest)[:12]}; to evaluate it on them, give "
            "an override of the data"
        )
    own = run.recorded if run.is_overridden else config
    try:
        dataset = load(own) if own is not None else None
    except ConfigError:
        dataset = None  # the data that it was trained on are gone, and others are judged
    figures, report = _figures(network, data, config)
    if own is None or dataset is None or run.data_digest not in (None, dataset.digest):
        return Judgement(part, figures, report, run=run.name)
    train = _split(own, dataset, network).train
    overlap = _overlap(data, train)
    is_the_same = part == "whole" and overlap == len(data) == len(train)
    of_training = None if is_the_same else _figures(network, train, config)[0]
    return Judgement(part, figures, report, run.name, of_training, overlap)


def _same_network(network: StoredNetwork, config: NetworkConfig) -> None:
    """Refuse overrides that ask for another network than the weights are of."""
    widths = list(network.layer_sizes[1:-1])
    if config.model.hidden_sizes != widths:
        raise ConfigError(
            f"`model.hidden_size` must be {widths}, as the weights have it, got {config.model.hidden_size}"
        )
    if config.model.activation != network.activation:
        raise ConfigError(
            f"`model.activation` must be {network.activation}, with which the weights were trained, "
            f"got {config.model.activation}"
        )


def _parts(config: NetworkConfig, name: str, network: StoredNetwork) -> tuple[str, Dataset, str]:
    """The part to judge and its name, and the digest of the data set."""
    dataset = load(config)
    fits, has = (dataset.X.shape[1], len(dataset.classes)), (network.layer_sizes[0], network.layer_sizes[-1])
    if has != fits:
        raise ConfigError(
            f"{name}: expected a network of {fits[0]} inputs and {fits[1]} outputs for "
            f"{config.data.name}, got {has[0]} and {has[1]}"
        )
    split = _split(config, dataset, network)
    return ("whole", split.train, dataset.digest) if split.test is None else ("test", split.test, dataset.digest)


def _split(config: NetworkConfig, dataset: Dataset, network: StoredNetwork) -> Split:
    """The parts, scaled as the samples were that the network was trained on."""
    if network.scaling is None:
        return split_of(config, dataset)
    return split_of(replace(config, data=replace(config.data, scale="none")), dataset).scaled(network.scaling)


def _figures(network: StoredNetwork, part: Dataset, config: NetworkConfig) -> tuple[Figures, str]:
    """Figures and report of a part, computed as a fit computes them, to the same bits."""
    with blas_threads(1):
        objective = Objective(
            part.X,
            part.Y,
            network.layer_sizes,
            activation=activation_of(network.activation),
            l2=config.model.l2,
            dtype=np.dtype(config.training.dtype),
            threads=config.training.threads,
        )
        cost, _ = objective(network.theta)
        predicted = predict(objective.logits(network.theta))
    report = report_of(part.y, predicted, part.classes)
    loss = cost - objective.penalty(network.theta)
    return Figures(cost, loss, report.accuracy, len(part.y)), report.text


def _overlap(part: Dataset, train: Dataset) -> int:
    """How many samples of a part are, by their values, among those of another."""
    known = {hash(row.tobytes()) for row in train.X}
    return sum(hash(row.tobytes()) in known for row in part.X)
