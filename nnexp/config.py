"""The typed config of a run: the harness's own keys, and the task with its part.

Hydra composes plain dictionaries; :func:`check` turns one into a frozen :class:`Config` or raises a
:class:`ConfigError` of one line that names the key, the value and what is allowed. Nothing here reads data, trains or
writes; :func:`check_places` sees whether the places where results are to be kept can be written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnexp import tasks
from nnexp.credentials import extract_password
from nnexp.paths import absolute, absolute_uri, folder_problem, is_other_file, relative, sqlite_path, uri_problem
from nnexp.readers import (
    ConfigError,
    Reader,
    choice,
    flag,
    integer,
    leaves,
    number,
    optional_text,
    options,
    read_group,
    refused,
    required,
    text,
)
from nnexp.runs.directory import RECORD, RESULT
from nnexp.runs.identity import Identity, config_hash
from nnexp.tasks.interface import Task

FIGURE_FORMATS = ("png", "svg", "pdf")
FIGURES_OF = (ALL, BEST, NONE) = ("all", "best", "none")
# Keys that say where and how a run is kept, not what it computes: they enter neither the params nor the identity.
BOOKKEEPING = ("tracking", "figures", "report", "resume", "dry_run", "fail_fast")
MLFLOW, SERVER = "mlflow", "server"  # any store of MLflow's; the same, which must be a tracking server
LONGEST_EXPERIMENT, LONGEST_IN_DATABASE = 500, 256  # characters of a name: MLflow's limit, and a database's
DAY, WEEK = 86_400, 604_800  # seconds


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
    planned: str | None = None


@dataclass(frozen=True)
class Config:
    """One run, said once: `of_task` is what its task has read of the config."""

    task: Task[Any]
    of_task: Any
    tracking: TrackingConfig
    figures: tuple[str, ...]
    figures_of: str | None
    margin: float | None
    seed: int
    resume: bool | str
    dry_run: bool
    fail_fast: bool

    def deciding(self) -> dict[str, Any]:
        """The params: every leaf of the config that decides the numbers, under its dotted key."""
        return dict(self.task.deciding(self.of_task))

    def identity(self, cache: dict[Any, Any] | None = None) -> Identity:
        """Who a run of this config is. Loads the data, unless the `cache` of several configs has them.

        Raises
        ------
        ConfigError
            If the config cannot be trained on its data.
        """
        digest = self.task.data_digest(self.of_task, cache)
        return Identity(config_hash(self.deciding()), digest, self.task.code(self.of_task).digest)

    def own_digests(self) -> dict[str, str]:
        """Digests of the user's own files among the code that decides the numbers, by their names."""
        return self.task.code(self.of_task).own_digests()


def deciding_leaves(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Every leaf of a composed config that decides the numbers, unchecked, under its dotted key."""
    task = task_of(tree)
    return {key: value for key, value in leaves(tree) if not is_bookkeeping(key, task)}


def is_bookkeeping(key: str, task: Task[Any]) -> bool:
    """Whether a key says only where and how a run is kept."""
    return any(key == name or key.startswith(name + ".") for name in (*BOOKKEEPING, *task.bookkeeping))


def _formats(key: str, value: Any) -> tuple[str, ...]:
    names = value if isinstance(value, list) else re.split(r"\s*,\s*", value) if isinstance(value, str) else [value]
    for name in names:
        if name not in FIGURE_FORMATS:
            raise refused(key, "one or more of " + ", ".join(FIGURE_FORMATS), value)
    return tuple(dict.fromkeys(names))


def _figures_of(key: str, value: Any) -> str | None:
    if value is not None and value not in FIGURES_OF:
        raise refused(key, "one of " + ", ".join(FIGURES_OF) + ", or null", value)
    return value


def _margin(key: str, value: Any) -> float | None:
    if value is None:
        return None
    return number("a number > 0, in the unit of the metric, or null", lambda margin: 0 < margin < math.inf)(key, value)


def _resume(key: str, value: Any) -> bool | str:
    if value != "strict" and not isinstance(value, bool):
        raise refused(key, "true or false, or strict", value)
    return value


def _sweep(key: str, value: Any) -> str | None:
    name = optional_text(key, value)
    if name is not None and (name.startswith(".") or set(name) & set("/\\")):
        raise refused(key, "the name of a folder", value)
    return name


READERS: dict[str, dict[str, Reader]] = {
    "task": {"name": text, "options": options},
    "tracking": {
        "backend": choice(MLFLOW, SERVER, "none"),
        "uri": lambda key, value: extract_password(text(key, value)),
        "experiment": text,
        "directory": text,
        "patience": number(f"a number of seconds >= 0 and <= {WEEK}", lambda x: 0 <= x <= WEEK),
        "heartbeat": number(f"a number of seconds > 0 and <= {DAY}", lambda x: 0 < x <= DAY),
        "run_name": optional_text,
        "sweep": _sweep,
        "planned": optional_text,
    },
    "figures": {"format": _formats, "of": _figures_of},
    "report": {"margin": _margin},
}
TOP_LEVEL: dict[str, Reader] = {
    "seed": integer(0),
    "resume": _resume,
    "dry_run": flag,
    "fail_fast": flag,
}
KEYS = (*READERS, *TOP_LEVEL, *tasks.GROUPS)


def task_of(tree: Mapping[str, Any]) -> Task[Any]:
    """The task of a composed config; the network in configs that were recorded before there were others."""
    if "task" not in tree:
        return tasks.find(tasks.NETWORK)
    return tasks.find(read_group("task", tree, READERS["task"])["name"])


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
    task = task_of(tree)
    known = {*READERS, *TOP_LEVEL, *task.groups}
    if unknown := [key for key in tree if key not in known and key not in tasks.GROUPS]:
        raise ConfigError(f"`{unknown[0]}` is not a config key; the keys are {', '.join(sorted(known))}")
    figures = check_figures(tree)
    return Config(
        task=task,
        of_task=task.read(tree, folder),
        tracking=check_tracking(tree, folder),
        figures=figures["format"],
        figures_of=figures["of"],
        margin=check_margin(tree),
        **{key: check_flag(key, tree) for key in TOP_LEVEL},
    )


def check_tracking(tree: Mapping[str, Any], folder: str | Path | None = None) -> TrackingConfig:
    """Read the part of a config that says where runs are kept; parameters and errors are those of :func:`check`."""
    tracking = TrackingConfig(**read_group("tracking", tree, READERS["tracking"]))
    uri = absolute_uri(tracking.uri, folder)
    if tracking.backend == SERVER and not uri.startswith(("http://", "https://")):
        where = "by tracking.uri=... or MLFLOW_TRACKING_URI"
        raise ConfigError(
            f"`tracking.uri` must name a server with tracking=server, http://HOST:PORT or https://HOST, {where}, "
            f"got {tracking.uri!r}"
        )
    backend = MLFLOW if tracking.backend == SERVER else tracking.backend
    if backend == MLFLOW:
        if problem := uri_problem(uri):
            raise ConfigError(f"`tracking.uri` must be {problem}, got {tracking.uri!r}")
        most, length = LONGEST_EXPERIMENT if sqlite_path(uri) else LONGEST_IN_DATABASE, len(tracking.experiment)
        if length > most:
            raise ConfigError(f"`tracking.experiment` must be a name of at most {most} characters, got {length}")
    return replace(tracking, backend=backend, uri=uri, directory=absolute(tracking.directory, folder))


def check_figures(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Read which figures are drawn, in which formats; parameters and errors are those of :func:`check`."""
    if isinstance(tree.get("figures"), Mapping):
        tree = {**tree, "figures": {"of": None, **tree["figures"]}}  # configs recorded before lack it
    return read_group("figures", tree, READERS["figures"])


def check_margin(tree: Mapping[str, Any]) -> float | None:
    """Up to which difference reports take settings for equal; None in configs recorded before there was such a key."""
    return read_group("report", tree, READERS["report"])["margin"] if "report" in tree else None


def check_flag(key: str, tree: Mapping[str, Any]) -> Any:
    """Read one of the keys of the top level; the error is that of :func:`check`."""
    return TOP_LEVEL[key](key, required(key, tree))


def check_places(tracking: TrackingConfig, key: str, folder: str | Path) -> None:
    """See that the output directory, the store's file and the folder of runs can be used. Leaves nothing behind.

    Parameters
    ----------
    key, folder
        Where Hydra keeps what it runs, and the config key that says so.

    Raises
    ------
    ConfigError
        If one of them cannot be written, or is a file of another kind.
    """
    for name, path in (("tracking.directory", tracking.directory), (key, folder)):
        if problem := folder_problem(path):
            raise ConfigError(f"`{name}` must be a folder that can be written, got {relative(path)}: {problem}")
    database = sqlite_path(tracking.uri) if tracking.backend == "mlflow" else None
    if database is None:
        return
    if problem := folder_problem(database.parent):
        raise ConfigError(f"`tracking.uri` must be in a folder that can be written, got {tracking.uri}: {problem}")
    if is_other_file(database):
        raise ConfigError(f"`tracking.uri` must name an MLflow store or a new file, got {database}: not a database")


def check_run_directory(tracking: TrackingConfig, folder: str | Path) -> None:
    """See that a single run has a directory of its own.

    Raises
    ------
    ConfigError
        If the directory holds a run or a result, or the output directory is inside it.
    """
    path = Path(folder).resolve()
    if (path / RECORD).exists() or (path / RESULT).exists():
        raise ConfigError(f"`hydra.run.dir` must be a directory without a run, got {relative(path)}, which holds one")
    if Path(tracking.directory).resolve().is_relative_to(path):
        raise ConfigError(f"`hydra.run.dir` must not contain `tracking.directory`, got {relative(path)}")
