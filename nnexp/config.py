"""The typed config of a run: what the keys are, what they may hold, and which of them decide the result.

Hydra composes plain dictionaries; :func:`check` turns one into a frozen :class:`Config` or raises a
:class:`ConfigError` of one line that names the key, the value and what is allowed. Nothing here reads data, trains or
writes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nnexp.credentials import extract_password
from nnexp.errors import UsageError
from nnexp.paths import absolute, absolute_uri, uri_problem

ACTIVATION_NAMES = ("sigmoid", "tanh", "relu")
# Beyond these the loss is lost in the rounding of the penalty, and costs leave the range of floating-point numbers.
LARGEST_L2, LARGEST_THETA = 1e12, 1e6
FIGURE_FORMATS = ("png", "svg", "pdf")

# Keys that say where and how a run is kept, not what it computes: they enter neither the params nor the identity.
# (Of a file it is the content that decides, and its digest is part of the identity.)
BOOKKEEPING = (
    "tracking",
    "figures",
    "resume",
    "dry_run",
    "fail_fast",
    "data.cache",
    "data.path",
    "training.images_every",
)
LARGEST = 2**31 - 1  # as optimizers written in C count
DAY, WEEK = 86_400, 604_800  # seconds
PATHS_OF_DATA = ("path", "cache")
OPTIONS = "optimizer.options"  # whose names are those of the method


class ConfigError(UsageError):
    """A config value that cannot be used; the message is one line for the user."""


@dataclass(frozen=True)
class DataConfig:
    """Which data set and how it is split; `source` holds what only its loader needs."""

    name: str
    test_size: float
    validation_size: float
    scale: str
    source: Mapping[str, Any]


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


@dataclass(frozen=True)
class TrackingConfig:
    """Where runs are kept."""

    backend: str
    uri: str
    experiment: str
    directory: str
    patience: float
    heartbeat: float
    run_name: str | None
    sweep: str | None


@dataclass(frozen=True)
class Config:
    """One run, said once."""

    data: DataConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    training: TrainingConfig
    tracking: TrackingConfig
    seed: int
    figures: tuple[str, ...]
    resume: bool | str  # or "strict"
    dry_run: bool
    fail_fast: bool

    def deciding(self) -> dict[str, Any]:
        """Every leaf that decides the result, under its dotted key, in the order of the config."""
        tree = {
            "data": {"name": self.data.name, **self.data.source}
            | {
                "test_size": self.data.test_size,
                "validation_size": self.data.validation_size,
                "scale": self.data.scale,
            },
            "model": asdict(self.model),
            "optimizer": asdict(self.optimizer),
            "training": asdict(self.training),
            "seed": self.seed,
        }
        return deciding_leaves(tree)


def deciding_leaves(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Every leaf of a composed config that decides the result, unchecked, under its dotted key."""
    return {key: value for key, value in leaves(tree) if not is_bookkeeping(key)}


def is_bookkeeping(key: str) -> bool:
    """Whether a key says only where and how a run is kept."""
    return any(key == name or key.startswith(name + ".") for name in BOOKKEEPING)


def leaves(tree: Mapping[str, Any], prefix: str = "", *, whole: str | None = None) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested dictionaries; the dictionary under the key `whole` is one value."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and key != whole:
            yield from leaves(value, f"{key}.", whole=whole)
        else:
            yield key, value


# Each reader takes (key, value) and returns the value in its one true type, or raises ConfigError.


def _refuse(key: str, expected: str, value: Any) -> ConfigError:
    return ConfigError(f"`{key}` must be {expected}, got {value!r}")


def _number(expected: str, allowed: Callable[[float], bool]):
    def read(key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise _refuse(key, expected, value)
        if not allowed(value):
            raise _refuse(key, expected, value)
        return float(value)

    return read


def _integer(least: int, most: int | None = None):
    expected = f"an integer >= {least}" if most is None else f"an integer >= {least} and <= {most}"

    def read(key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least or (most and value > most):
            raise _refuse(key, expected, value)
        return value

    return read


def _choice(*choices: str):
    def read(key: str, value: Any) -> str:
        if value not in choices:
            raise _refuse(key, "one of " + ", ".join(choices), value)
        return value

    return read


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _refuse(key, "true or false", value)
    return value


def _resume(key: str, value: Any) -> bool | str:
    if value != "strict" and not isinstance(value, bool):
        raise _refuse(key, "true or false, or strict", value)
    return value


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _refuse(key, "a non-empty text", value)
    return value


def _hidden_size(key: str, value: Any) -> int | list[int]:
    widths = value if isinstance(value, list) else [value]
    if not widths:
        raise _refuse(key, "an integer >= 1 or a list of them", value)
    for width in widths:
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            raise _refuse(key, ">= 1, an integer or a list of them", value)
    return widths[0] if len(widths) == 1 else list(widths)


def _init_scale(key: str, value: Any) -> float | str:
    if value == "glorot":
        return value
    return _number("a number > 0 and up to 1e6, or glorot", lambda s: 0 < s <= LARGEST_THETA)(key, value)


def _formats(key: str, value: Any) -> tuple[str, ...]:
    names = value if isinstance(value, list) else re.split(r"\s*,\s*", value) if isinstance(value, str) else [value]
    for name in names:
        if name not in FIGURE_FORMATS:
            raise _refuse(key, "one or more of " + ", ".join(FIGURE_FORMATS), value)
    return tuple(dict.fromkeys(names))


def _options(key: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _refuse(key, "a mapping of option names to values", value)
    return dict(value)


def _optional_text(key: str, value: Any) -> str | None:
    return None if value is None else _text(key, value)


def _sweep(key: str, value: Any) -> str | None:
    name = _optional_text(key, value)
    if name is not None and (name.startswith(".") or set(name) & set("/\\")):
        raise _refuse(key, "the name of a folder", value)
    return name


_share = _number("in [0, 1)", lambda x: 0 <= x < 1)

READERS: dict[str, dict[str, Callable[[str, Any], Any]]] = {
    "data": {"name": _text, "test_size": _share, "validation_size": _share, "scale": _text},
    "model": {
        "hidden_size": _hidden_size,
        "l2": _number("in [0, 1e12]", lambda x: 0 <= x <= LARGEST_L2),
        "activation": _choice(*ACTIVATION_NAMES),
        "init_scale": _init_scale,
    },
    "optimizer": {
        "method": _text,
        "maxiter": _integer(0, LARGEST),
        "maxfun": _integer(1, LARGEST),
        "options": _options,
    },
    "training": {
        "dtype": _choice("float64", "float32"),
        "threads": _integer(1, 1024),
        "evaluate_every": _integer(1, LARGEST),
        "images_every": _integer(0, LARGEST),
    },
    "tracking": {
        "backend": _choice("mlflow", "none"),
        "uri": lambda key, value: extract_password(_text(key, value)),
        "experiment": _text,
        "directory": _text,
        "patience": _number(f"a number of seconds >= 0 and <= {WEEK}", lambda x: 0 <= x <= WEEK),
        "heartbeat": _number(f"a number of seconds > 0 and <= {DAY}", lambda x: 0 < x <= DAY),
        "run_name": _optional_text,
        "sweep": _sweep,
    },
    "figures": {"format": _formats},
}
TOP_LEVEL: dict[str, Callable[[str, Any], Any]] = {
    "seed": _integer(0),
    "resume": _resume,
    "dry_run": _flag,
    "fail_fast": _flag,
}


def _read_group(name: str, tree: Mapping[str, Any], *, open_ended: bool = False) -> dict[str, Any]:
    group = tree.get(name)
    readers = READERS[name]
    if not isinstance(group, Mapping):
        raise _refuse(name, "a config group with the keys " + ", ".join(readers), group)
    missing = [key for key in readers if key not in group]
    if missing:
        raise ConfigError(f"`{name}.{missing[0]}` is missing from the config")
    unknown = [key for key in group if key not in readers]
    if unknown and not open_ended:
        raise ConfigError(f"`{name}.{unknown[0]}` is not a config key; `{name}` has {', '.join(readers)}")
    return {key: read(f"{name}.{key}", group[key]) for key, read in readers.items()}


def check(tree: Mapping[str, Any], folder: str | Path | None = None) -> Config:
    """Read a composed config and check every value in it.

    Parameters
    ----------
    tree
        The composed config as nested dictionaries, interpolations resolved.
    folder
        The folder that relative paths are in: where the command was given. Default: the current one.

    Returns
    -------
    Config
        Frozen, each value in its one type (``l2=1`` and ``l2=1.0`` are the same config), each path absolute.

    Raises
    ------
    ConfigError
        One line that names the key, the value and what is allowed.
    """
    known = {*READERS, *TOP_LEVEL}
    unknown = [key for key in tree if key not in known]
    if unknown:
        raise ConfigError(f"`{unknown[0]}` is not a config key; the keys are {', '.join(sorted(known))}")
    if isinstance(tree.get("data"), Mapping):
        tree = {**tree, "data": {"scale": "none", **tree["data"]}}  # configs that were recorded before had none
    data = _read_group("data", tree, open_ended=True)
    source = {key: value for key, value in tree["data"].items() if key not in READERS["data"]}
    source |= {key: absolute(source[key], folder) for key in PATHS_OF_DATA if _is_text(source.get(key))}
    optimizer = _read_group("optimizer", tree)
    config = Config(
        data=DataConfig(**data, source=source),
        model=ModelConfig(**_read_group("model", tree)),
        optimizer=OptimizerConfig(**optimizer),
        training=TrainingConfig(**_read_group("training", tree)),
        tracking=check_tracking(tree, folder),
        figures=_read_group("figures", tree)["format"],
        **{key: check_flag(key, tree) for key in TOP_LEVEL},
    )
    return _check_collaborators(config)


def check_tracking(tree: Mapping[str, Any], folder: str | Path | None = None) -> TrackingConfig:
    """Read the part of a config that says where runs are kept; parameters and errors are those of :func:`check`."""
    tracking = TrackingConfig(**_read_group("tracking", tree))
    uri = absolute_uri(tracking.uri, folder)
    if tracking.backend == "mlflow" and (problem := uri_problem(uri)):
        raise ConfigError(f"`tracking.uri` must be {problem}, got {tracking.uri!r}")
    return replace(tracking, uri=uri, directory=absolute(tracking.directory, folder))


def check_flag(key: str, tree: Mapping[str, Any]) -> Any:
    """Read one of the keys of the top level; the error is that of :func:`check`."""
    return TOP_LEVEL[key](key, _required(key, tree))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _required(key: str, tree: Mapping[str, Any]) -> Any:
    if key not in tree:
        raise ConfigError(f"`{key}` is missing from the config")
    return tree[key]


def _check_collaborators(config: Config) -> Config:
    """Let the data sets and the methods judge what only they know."""
    from nnexp import datasets, optim

    try:
        options = optim.check_options(config.optimizer.method, config.optimizer.options)
        datasets.check(
            config.data.name,
            test_size=config.data.test_size,
            validation_size=config.data.validation_size,
            scale=config.data.scale,
            **config.data.source,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    given = {key: options[key] for key in config.optimizer.options}
    return replace(config, optimizer=replace(config.optimizer, options=given))
