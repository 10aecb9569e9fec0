"""A task that is a user's own: a function ``train(run, **options)``, or a :class:`Task`, named by its dotted path."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from nnexp.own import Own, check_options, config_defaults, find, last_name, refuse_uncallable
from nnexp.readers import ConfigError
from nnexp.runs.records import NETWORK
from nnexp.tasks.interface import Code, Ending, Run, Task
from nnexp.tasks.presentation import MetricSpec

LONGEST_NAME = 120  # letters


@dataclass(frozen=True)
class Options:
    """What the function is called with."""

    values: Mapping[str, Any]
    seed: int


def load(name: str) -> Task[Any]:
    """The task of a dotted path, or of a name that a package has registered.

    Raises
    ------
    ConfigError
        If there is nothing of that name that can be called.
    """
    own = find("task.name", "tasks", name, (NETWORK,))
    task = _as_task(own.found)
    if task is not None:
        task.name, task.sources = name, own.sources
        return task
    refuse_uncallable("task.name", own)
    if isinstance(own.found, type) or not _takes_run(own.found):
        raise ConfigError(f"`task.name` must name a function train(run, **options), got {name!r}: {_shown(own.found)}")
    return FunctionTask(own)


def _takes_run(function: Callable[..., Any]) -> bool:
    """Whether the first argument can be a run."""
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):  # of what is written in C
        return True
    return first is not None and first.kind not in (first.KEYWORD_ONLY, first.VAR_KEYWORD)


def _shown(found: Any) -> str:
    if isinstance(found, type):
        return "a class that is no nnexp.Task"
    return f"{getattr(found, '__name__', found)}{inspect.signature(found)}"


def _as_task(found: object) -> Task[Any] | None:
    """A task, or one of a class of them; None for anything else."""
    if isinstance(found, type) and issubclass(found, Task):
        found = cast("Callable[[], object]", found)()
    return cast("Task[Any]", found) if isinstance(found, Task) else None


class FunctionTask(Task[Options]):
    """Calls a function with the run and its options; what it returns is logged as its final metrics.

    Attributes of the function, `metrics`, `objective` and `held_out`, say what is known of what it logs.
    """

    def __init__(self, own: Own) -> None:
        self._own, self._function, self.name = own, own.found, own.name
        name, function = self.name, self._function
        self.metrics: Mapping[str, MetricSpec] = getattr(function, "metrics", {})
        self.objective: str | None = getattr(function, "objective", None)
        if not all(isinstance(spec, MetricSpec) for spec in self.metrics.values()):
            raise ConfigError(f"`metrics` of {name} must map keys to MetricSpec, got {self.metrics!r}")
        if self.objective is not None and self.objective not in self.metrics:
            raise ConfigError(f"`objective` of {name} must be one of its `metrics`, got {self.objective!r}")
        self.held_out: float | None = getattr(function, "held_out", None)
        if self.held_out is not None and not (isinstance(self.held_out, float) and 0 < self.held_out < 1):
            raise ConfigError(f"`held_out` of {name} must be a share in (0, 1), got {self.held_out!r}")

    def read(self, tree: Mapping[str, Any], folder: str | Path | None = None) -> Options:
        """The options, as the function's signature knows them."""
        given = dict(tree["task"].get("options") or {})
        options = check_options("task.options", self.name, self._function, given, taken=1)
        return Options({**config_defaults(self._function, taken=1), **options}, tree["seed"])

    def deciding(self, config: Options) -> Mapping[str, Any]:
        """The name, the options and the seed."""
        options = {f"task.options.{key}": value for key, value in config.values.items()}
        return {"task.name": self.name, **options, "seed": config.seed}

    def code(self, config: Options) -> Code:
        """The module of the function, and what it imports."""
        return Code.of({}, [self._own.sources])

    def title(self, config: Options, overrides: Sequence[str]) -> str:
        """The function, and the options that are not as its defaults."""
        defaults = config_defaults(self._function, taken=1)
        given = [
            f"{key}={value}" for key, value in config.values.items() if key not in defaults or value != defaults[key]
        ]
        return " ".join([last_name(self.name), *given, f"seed={config.seed}"])[:LONGEST_NAME]

    def train(self, run: Run, config: Options) -> Ending:
        """Call it."""
        ended: object = self._function(run, **config.values)
        if isinstance(ended, Ending):
            return ended
        if not isinstance(ended, Mapping | None):
            got = type(ended).__name__
            raise TypeError(f"{self.name} must return a mapping of final metrics or nothing, got {got}")
        return Ending("converged", f"{self.name} returned", metrics=dict(cast("Mapping[str, float]", ended or {})))
