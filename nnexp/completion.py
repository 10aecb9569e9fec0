"""What a shell offers after `nnexp`: commands, flags, runs and sweeps, groups with their presets, keys.

Asked at each press of the key, so nothing heavy is imported: presets and keys are read from the YAML files, runs and
sweeps from the names of directories. Only Hydra's own keys (`hydra.`) are left to Hydra. The scripts that ask are
Hydra's (`nnexp -sc install=bash`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from nnexp.presets import (
    ADDED_GROUPS,
    CONFIG_GROUPS,
    LAUNCHERS,
    choices,
    config_directory,
    launcher_problem,
    own_groups,
    preset_files,
)

HYDRAS_FLAGS = (
    "--cfg", "--config-dir", "--help", "--hydra-help", "--info", "--multirun", "--package", "--resolve",
    "--shell-completion", "--version", "-m",
)  # fmt: skip
VALUES_OF_FLAGS = {"--cfg": ("all", "hydra", "job"), "-c": ("all", "hydra", "job")}
FILES = ("--config-dir", "-cd", "--directory", "--to")  # flags after which the shell offers files, or nobody anything
RUNS, SWEEPS = "runs", "sweeps"  # the folders of an output directory
# What a command is given first, or after a flag.
FIRST = {"rerun": (RUNS, SWEEPS), "sync": (RUNS, SWEEPS), "report": (SWEEPS,)}
AFTER = {"--weights": (RUNS,)}
WITHOUT_OVERRIDES = ("sync",)
PATHS = ("path", "directory", "dir", "cache")  # last names of keys that hold one
MOST_READ = 2000  # records of runs that are read for their ids


def complete(line: str, commands: Iterable[str], flags: Callable[[str], Sequence[str]]) -> list[str] | None:
    """What the last word of a command line may become; None where Hydra knows it.

    Parameters
    ----------
    line
        What was typed, with the command's own name.
    commands, flags
        The commands of `nnexp`, and what gives the flags of one.
    """
    _, *words = line.split() or [""]
    word = "" if line[-1:].isspace() or not words else words.pop()
    bare = word.lstrip("+~")
    if bare.startswith("hydra.") or (bare.startswith("hydra/") and not bare.startswith("hydra/launcher=")):
        return None
    given = [w for before, w in zip(["", *words], words, strict=False) if w not in FILES and before not in FILES]
    command = next((w for w in given[:1] if w in commands), None)
    last = words[-1] if words else ""
    presets = _Presets(given)
    if last in FILES:
        found: list[str] = []
    elif last in VALUES_OF_FLAGS:
        found = list(VALUES_OF_FLAGS[last])
    elif last in AFTER:
        found = presets.known(AFTER[last], word)
    elif word.startswith("-"):
        found = list(flags(command) if command else HYDRAS_FLAGS)
    else:
        is_first = command in FIRST and all("=" in w or w.startswith("-") for w in given[1:])
        found = presets.known(FIRST[str(command)], word) if is_first else []
        if command not in WITHOUT_OVERRIDES and (word or not is_first):
            found += presets.words(word)
        if not given and bare == word:
            found += commands
    return sorted({each for each in found if each.startswith(word)})


class _Presets:
    """What the config files say, with those presets chosen that the line chooses."""

    def __init__(self, given: Sequence[str]) -> None:
        self._given = dict(w.lstrip("+").split("=", 1) for w in given if "=" in w)
        self._groups = (*CONFIG_GROUPS, *own_groups())

    def words(self, word: str) -> list[str]:
        """Overrides that begin like a word."""
        bare = word.lstrip("+~")
        sign = word.removesuffix(bare)
        key, equals, value = bare.partition("=")
        if equals:
            return [f"{sign}{key}={value}" for value in self._values(key, value)]
        names = [group for group in self._groups if sign or group not in ADDED_GROUPS]
        found = [f"{group}=" for group in names] + ["hydra/launcher=", *self._keys(bare)]
        added = [] if bare or sign else [f"+{group}=" for group in ADDED_GROUPS]
        return [f"{sign}{each}" for each in found] + added

    def _values(self, key: str, value: str) -> list[str]:
        if key == "hydra/launcher":
            return sorted({"basic", *(n for n in LAUNCHERS if not launcher_problem(n)), *choices(key)})
        if key in self._groups:
            before, comma, _ = value.rpartition(",")
            return [f"{before}{comma}{choice}" for choice in choices(key)]
        if value.startswith((".", "/", "~")) or key.rpartition(".")[2] in PATHS:
            return _files(value)
        default = _select(self._tree, key)
        if isinstance(default, bool):
            return ["false", "true"]
        is_value = isinstance(default, int | float) or (isinstance(default, str) and not default.startswith("${"))
        return [str(default)] if is_value else []

    def _keys(self, word: str) -> list[str]:
        """The keys one level below what was typed."""
        group, dot, _ = word.rpartition(".")
        node = _select(self._tree, group) if dot else self._tree
        if not isinstance(node, Mapping):
            return []
        return [f"{group}{dot}{name}{'.' if isinstance(value, Mapping) else '='}" for name, value in node.items()]

    def known(self, folders: Sequence[str], word: str) -> list[str]:
        """Runs and sweeps of the output directory: their directories' names, or else the ids of runs that match."""
        named = self._given.get("tracking.directory", str(_select(self._tree, "tracking.directory")))
        root = Path(named).expanduser()
        names = [name for folder in folders for name in _listed(root / folder)]
        if RUNS not in folders or not word or any(name.startswith(word) for name in names):
            return names
        return [_id_of(root / RUNS / name) for name in sorted(_listed(root / RUNS))[-MOST_READ:]]

    @cached_property
    def _tree(self) -> dict[str, Any]:
        """The config without interpolations resolved; what cannot be read is left out."""
        tree = _read(config_directory() / "config.yaml")
        chosen = {name: choice for each in _defaults(tree) for name, choice in each.items() if name in self._groups}
        given = {group: self._given[group].split(",")[0] for group in self._groups if group in self._given}
        files = {group: dict(preset_files(group)) for group in self._groups}
        brought = {g: _read(files[g][c]) for g, c in given.items() if c in files[g] and _is_global(files[g][c])}
        for preset in brought.values():
            for each in _defaults(preset):
                chosen |= {k.removeprefix("override /"): v for k, v in each.items() if k.startswith("override /")}
        chosen |= {group: choice for group, choice in given.items() if group not in brought}
        for group, choice in chosen.items():
            if choice in files.get(group, {}):
                tree[group] = {**tree.get(group, {}), **_read(files[group][choice])}
        return {key: value for key, value in tree.items() if key not in ("defaults", "hydra")}


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_global(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return path.read_text(encoding="utf-8").startswith("# @package _global_")
    return False


def _defaults(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [each for each in tree.get("defaults") or [] if isinstance(each, dict)]


def _select(tree: Any, key: str) -> Any:
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def _listed(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except OSError:
        return []


def _id_of(directory: Path) -> str:
    """The id that the store has given a run."""
    with suppress(OSError, ValueError, AttributeError):
        return str(json.loads((directory / "result.json").read_text(encoding="utf-8")).get("run_id"))
    return ""


def _files(value: str) -> list[str]:
    """Files and folders that begin like a path."""
    folder = os.path.dirname(value)
    names = _listed(Path(folder or ".").expanduser())
    return [os.path.join(folder, name) for name in names]
