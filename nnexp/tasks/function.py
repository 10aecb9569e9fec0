"""A task that is a user's own: a function ``train(run, **options)``, or a :class:`Task`, named by its dotted path."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from nnexp.errors import one_line
from nnexp.readers import ConfigError
from nnexp.runs.identity import digest_of, sha256
from nnexp.tasks.interface import Code, Ending, Run, Task
from nnexp.tasks.presentation import MetricSpec

LONGEST_NAME = 120  # letters


@dataclass(frozen=True)
class Options:
    """What the function is called with."""

    values: Mapping[str, Any]
    seed: int


def load(name: str) -> Task[Any]:
    """The task of a dotted path; the folder of the command is on the import path.

    Raises
    ------
    ConfigError
        If there is nothing of that name that can be called.
    """
    module, _, attribute = name.rpartition(".")
    if not module:
        raise ConfigError(f"`task.name` must be network or the dotted path of a function, got {name!r}")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found: object = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a module may fail in any way when it is imported
        raise ConfigError(
            f"`task.name` must name something that can be imported, got {name!r}: {one_line(error)}"
        ) from error
    task = _as_task(found)
    if task is not None:
        task.name = name
        return task
    if not callable(found):
        raise ConfigError(f"`task.name` must name a function, got {name!r}, {type(found).__name__}")
    return FunctionTask(name, cast("Callable[..., Any]", found))


def _as_task(found: object) -> Task[Any] | None:
    """A task, or one of a class of them; None for anything else."""
    if isinstance(found, type) and issubclass(found, Task):
        found = cast("Callable[[], object]", found)()
    return cast("Task[Any]", found) if isinstance(found, Task) else None


class FunctionTask(Task[Options]):
    """Calls a function with the run and its options; what it returns is logged as its final metrics.

    Attributes of the function, `metrics` and `objective`, say what is known of what it logs.
    """

    def __init__(self, name: str, function: Callable[..., object]) -> None:
        self.name, self._function = name, function
        self.metrics: Mapping[str, MetricSpec] = getattr(function, "metrics", {})
        self.objective: str | None = getattr(function, "objective", None)
        if not all(isinstance(spec, MetricSpec) for spec in self.metrics.values()):
            raise ConfigError(f"`metrics` of {name} must map keys to MetricSpec, got {self.metrics!r}")
        if self.objective is not None and self.objective not in self.metrics:
            raise ConfigError(f"`objective` of {name} must be one of its `metrics`, got {self.objective!r}")

    def read(self, tree: Mapping[str, Any], folder: str | Path | None = None) -> Options:
        """The options, as the function's signature knows them."""
        options = dict(tree["task"].get("options") or {})
        known = list(inspect.signature(self._function).parameters.values())[1:]
        names = [p.name for p in known if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        takes_any = any(p.kind is p.VAR_KEYWORD for p in known)
        if unknown := [key for key in options if key not in names and not takes_any]:
            own = ", ".join(names) or "none"
            raise ConfigError(f"`task.options.{unknown[0]}` is not an option of {self.name}; its options are {own}")
        needed = [p.name for p in known if p.name in names and p.default is p.empty]
        if missing := [name for name in needed if name not in options]:
            raise ConfigError(f"`task.options.{missing[0]}` is missing; {self.name} has no default for it")
        defaults = {p.name: p.default for p in known if p.name in names and p.default is not p.empty}
        return Options({**defaults, **options}, tree["seed"])

    def deciding(self, config: Options) -> Mapping[str, Any]:
        """The name, the options and the seed."""
        options = {f"task.options.{key}": value for key, value in config.values.items()}
        return {"task.name": self.name, **options, "seed": config.seed}

    def code(self, config: Options) -> Code:
        """The file of the function."""
        path = Path(inspect.getsourcefile(self._function) or "")
        files = {path.name: sha256(path.read_bytes())} if path.is_file() else {}
        return Code(digest_of(files), files)

    def title(self, config: Options, overrides: Sequence[str]) -> str:
        """The function and its options."""
        options = " ".join(f"{key}={value}" for key, value in config.values.items())
        return f"{self.name.rpartition('.')[2]} {options} seed={config.seed}"[:LONGEST_NAME]

    def train(self, run: Run, config: Options) -> Ending:
        """Call it."""
        ended: object = self._function(run, **config.values)
        if isinstance(ended, Ending):
            return ended
        if not isinstance(ended, Mapping | None):
            got = type(ended).__name__
            raise TypeError(f"{self.name} must return a mapping of final metrics or nothing, got {got}")
        return Ending("converged", f"{self.name} returned", metrics=dict(cast("Mapping[str, float]", ended or {})))
