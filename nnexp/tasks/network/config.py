"""The config of the exercise's network: what the keys are, what they may hold, and which of them decide the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nnexp import datasets, kernels, optim, own
from nnexp.nn import ACTIVATIONS
from nnexp.paths import absolute
from nnexp.readers import (
    ConfigError,
    Reader,
    choice,
    integer,
    is_text,
    leaves,
    number,
    options,
    read_group,
    refused,
    required,
    share,
    text,
)
from nnexp.runs.files import as_list
from nnexp.runs.identity import source_digests
from nnexp.tasks.interface import Code
from nnexp.tasks.network import activation

# Beyond these the loss is lost in the rounding of the penalty, and costs leave the range of floating-point numbers.
LARGEST_L2, LARGEST_THETA = 1e12, 1e6
LARGEST = 2**31 - 1  # as optimizers written in C count
PATHS_OF_DATA = ("path", "cache")
DEFAULT_TEST_SIZE = 0.2  # of conf/data/, which is no request where there are folds
# Keys that configs which were recorded before lack, and what those runs did.
ADDED = {
    "data.scale": "none",
    "data.split": "stratified",
    "data.split_seed": None,
    "data.folds": None,
    "data.fold": 0,
    "data.groups": None,
    kernels.KEY: kernels.NATIVE,
}
HOLDING_OUT = ("data.split", "data.folds", "data.groups")  # which make an estimate better or worse, not a network
OPTIONS = ("optimizer.options", "data.options")  # whose names are those of the method, and of the user's function
# Keys that do not decide the numbers. (Of a file it is the content that decides, and its digest is in the identity.)
BOOKKEEPING = ("data.cache", "data.path", "training.images_every")
# The modules that decide the numbers of a run. What keeps, draws or publishes them is not among them.
DECIDING_MODULES = ("nn", "optim", "datasets", "blas", "tasks/network/training")


@dataclass(frozen=True)
class DataConfig:
    """Which data set and how it is split; `source` holds what only its loader needs.

    With `folds`, `test_size` is the share of a fold. `groups` is a number of rows, or what a file calls them.
    """

    name: str
    test_size: float
    validation_size: float
    scale: str
    split: str
    split_seed: int | None
    folds: int | None
    fold: int
    groups: int | str | None
    source: Mapping[str, Any]

    @property
    def loading(self) -> dict[str, Any]:
        """The keys of `nnexp.datasets.load`."""
        return {**self.source} | ({"groups": self.groups} if isinstance(self.groups, str) else {})


@dataclass(frozen=True)
class ModelConfig:
    """The network and its penalty."""

    hidden_size: int | list[int]
    l2: float
    activation: str
    init_scale: float | str

    @property
    def hidden_sizes(self) -> list[int]:
        """Widths of the hidden layers, always as a list."""
        return self.hidden_size if isinstance(self.hidden_size, list) else [self.hidden_size]


@dataclass(frozen=True)
class OptimizerConfig:
    """The method and its two budgets."""

    method: str
    maxiter: int
    maxfun: int
    options: Mapping[str, Any]


@dataclass(frozen=True)
class TrainingConfig:
    """How the numbers are computed and how often they are looked at."""

    dtype: str
    threads: int
    evaluate_every: int
    images_every: int
    kernel: str


@dataclass(frozen=True)
class NetworkConfig:
    """What a run of the network computes."""

    data: DataConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    training: TrainingConfig
    seed: int

    @property
    def parts(self) -> dict[str, Any]:
        """The arguments of `Dataset.split`."""
        data = self.data
        return {
            "test_size": data.test_size,
            "validation_size": data.validation_size,
            "seed": self.seed if data.split_seed is None else data.split_seed,
            "scale": data.scale,
            "kind": data.split,
            "groups": data.groups if isinstance(data.groups, int) else None,
            "folds": data.folds,
            "fold": data.fold,
        }

    def deciding(self) -> dict[str, Any]:
        """Every leaf that decides the numbers, under its dotted key."""
        data = {key: getattr(self.data, key) for key in READERS["data"]}
        tree = {
            "data": {**self.data.source} | data,
            "model": asdict(self.model),
            "optimizer": asdict(self.optimizer),
            "training": asdict(self.training),
            "seed": self.seed,
        }
        return {key: value for key, value in leaves(tree) if key not in BOOKKEEPING}


def _hidden_size(key: str, value: Any) -> int | list[int]:
    widths = [value] if (items := as_list(value)) is None else items
    if not widths:
        raise refused(key, "an integer >= 1 or a list of them", value)
    for width in widths:
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            raise refused(key, ">= 1, an integer or a list of them", value)
    return widths[0] if len(widths) == 1 else list(widths)


def _init_scale(key: str, value: Any) -> float | str:
    if value == "glorot":
        return value
    return number("a number > 0 and up to 1e6, or glorot", lambda s: 0 < s <= LARGEST_THETA)(key, value)


def _activation(key: str, value: Any) -> str:
    if not is_text(value):
        raise refused(key, f"one of {', '.join(ACTIVATIONS)}, or the dotted path of your own", value)
    activation.activation_of(value)
    return value


def _split_seed(key: str, value: Any) -> int | None:
    return None if value is None else integer(0)(key, value)


def _as_given(key: str, value: Any) -> Any:
    """What `nnexp.datasets.check` judges."""
    return value


READERS: dict[str, dict[str, Reader]] = {
    "data": {
        "name": text,
        "test_size": share,
        "validation_size": share,
        "scale": text,
        "split": text,
        "split_seed": _split_seed,
        "folds": _as_given,
        "fold": _as_given,
        "groups": _as_given,
    },
    "model": {
        "hidden_size": _hidden_size,
        "l2": number("in [0, 1e12]", lambda x: 0 <= x <= LARGEST_L2),
        "activation": _activation,
        "init_scale": _init_scale,
    },
    "optimizer": {
        "method": text,
        "maxiter": integer(0, LARGEST),
        "maxfun": integer(1, LARGEST),
        "options": options,
    },
    "training": {
        "dtype": choice("float64", "float32"),
        "threads": integer(1, 1024),
        "evaluate_every": integer(1, LARGEST),
        "images_every": integer(0, LARGEST),
        "kernel": choice(*kernels.KERNELS),
    },
}


def read(tree: Mapping[str, Any], folder: str | Path | None = None) -> NetworkConfig:
    """Read the network's part of a composed config and check every value in it; see :func:`nnexp.config.check`."""
    for group in ("data", "training"):
        if isinstance(tree.get(group), Mapping):
            added = {key.partition(".")[2]: value for key, value in ADDED.items() if key.startswith(f"{group}.")}
            tree = {**tree, group: {**added, **tree[group]}}
    data = read_group("data", tree, READERS["data"], open_ended=True)
    source: dict[str, Any] = {key: value for key, value in tree["data"].items() if key not in READERS["data"]}
    if data["name"] in datasets.SOURCES and not source.get("options", True):
        del source["options"]  # which the config has for the data sets of a user's own
    if data["name"] not in datasets.SOURCES:  # named without data=custom, it is the same data set
        source = {key: None for key in datasets.IMAGE_KEYS} | source
    source |= {key: absolute(source[key], folder) for key in PATHS_OF_DATA if is_text(source.get(key))}
    config = NetworkConfig(
        data=DataConfig(**data, source=source),
        model=ModelConfig(**read_group("model", tree, READERS["model"])),
        optimizer=OptimizerConfig(**read_group("optimizer", tree, READERS["optimizer"])),
        training=TrainingConfig(**read_group("training", tree, READERS["training"])),
        seed=integer(0)("seed", required("seed", tree)),
    )
    return _with_folds(_check_collaborators(config))


def _with_folds(config: NetworkConfig) -> NetworkConfig:
    """Where there are folds, the share that is held out is that of one."""
    given, folds = config.data.test_size, config.data.folds
    if folds is None:
        return config
    if given not in (DEFAULT_TEST_SIZE, 1 / folds):
        raise ConfigError(
            f"`data.test_size` must be left as it is ({DEFAULT_TEST_SIZE}) where `data.folds` = {folds} makes the test "
            f"part one of {folds}, got {given!r}; with data.folds=null data.fold=0 it is a share again"
        )
    return replace(config, data=replace(config.data, test_size=1 / folds))


def own_sources(config: NetworkConfig) -> list[own.Sources]:
    """The sources of the functions in a config that are the user's own."""
    named = [
        ("optimizer.method", "optimizers", config.optimizer.method, optim.METHODS),
        ("data.name", "datasets", config.data.name, datasets.SOURCES),
        ("model.activation", "activations", config.model.activation, ACTIVATIONS),
    ]
    return [own.find(key, group, name, builtin).sources for key, group, name, builtin in named if name not in builtin]


def code_of(config: NetworkConfig) -> Code:
    """The mathematics, the methods, the data sets and the training loop."""
    return Code.of(source_digests(DECIDING_MODULES), own_sources(config))


def _check_collaborators(config: NetworkConfig) -> NetworkConfig:
    """Let the data sets and the methods judge what only they know."""
    try:
        options = optim.check_options(config.optimizer.method, config.optimizer.options)
        datasets.check(
            config.data.name,
            test_size=config.data.test_size,
            validation_size=config.data.validation_size,
            scale=config.data.scale,
            split=config.data.split,
            groups=config.data.groups,
            folds=config.data.folds,
            fold=config.data.fold,
            **config.data.source,
        )
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error
    method = optim.METHODS.get(config.optimizer.method)
    activation.check(
        config.model.activation,
        config.training.dtype,
        needs_second_derivative=method is not None and method.needs_hessp,
    )
    if config.data.name not in datasets.SOURCES:
        typed = datasets.typed_options(config.data.name, config.data.source.get("options"))
        config = replace(config, data=replace(config.data, source={**config.data.source, "options": typed}))
    given = {key: options[key] for key in config.optimizer.options}
    return replace(config, optimizer=replace(config.optimizer, options=given))
