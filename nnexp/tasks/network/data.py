"""The data of a config: loaded, split, and seen to fit the network and the memory."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnexp import datasets
from nnexp.datasets import About, Dataset, Split
from nnexp.nn import n_parameters, objective_bytes
from nnexp.optim import check_memory
from nnexp.own import own_traceback
from nnexp.readers import ConfigError
from nnexp.tasks.network.config import NetworkConfig
from nnexp.terminal import say

UNSCALED = 10.0  # features beyond are taken for unscaled ones


def load(config: NetworkConfig) -> Dataset:
    """The data set of a config."""
    with _as_config_errors():
        return datasets.load(config.data.name, **config.data.loading)


def about(config: NetworkConfig) -> About:
    """What planning needs to know of the data set of a config, which may be known without loading it."""
    with _as_config_errors():
        return datasets.about(config.data.name, **config.data.loading)


_told: set[str] = set()  # tracebacks; the many configs of a sweep may have their data in common


@contextmanager
def _as_config_errors() -> Generator[None]:
    try:
        yield
    except ValueError as error:
        text = own_traceback(error.__cause__) if error.__cause__ is not None else None
        if text is not None and text not in _told:
            _told.add(text)
            say(text.rstrip())
        raise ConfigError(str(error)) from error


def split_of(config: NetworkConfig, dataset: Dataset) -> Split:
    """The parts of the data set."""
    try:
        return dataset.split(**config.parts)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def hint_at_scaling(split: Split) -> None:
    """Say so where features are so large that the units of a network start saturated."""
    largest = float(np.abs(split.train.X).max())
    if largest > UNSCALED:
        say(f"hint: features reach {largest:g}; a network trains badly on them: try data.scale=minmax or standard")


def layer_sizes_of(config: NetworkConfig, data: About) -> tuple[int, ...]:
    """Widths of all layers, input first."""
    return (data.n_features, *config.model.hidden_sizes, len(data.counts))


def check_memory_of(config: NetworkConfig, data: About, n_train: int) -> None:
    """Refuse a network or a method whose arrays cannot fit into the memory."""
    layer_sizes = layer_sizes_of(config, data)
    try:
        besides = objective_bytes(layer_sizes, n_train, np.dtype(config.training.dtype))
        check_memory(config.optimizer.method, n_parameters(layer_sizes), besides)
    except ValueError as error:
        raise ConfigError(str(error)) from error


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
