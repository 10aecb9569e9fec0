"""What is wrong with a command line, told in a line or two: the key, what was given, and what was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from nnexp.config import ConfigError, leaves, task_of
from nnexp.presets import ADDED_GROUPS, choices, launcher_problem
from nnexp.tasks.interface import Task

Defaults = Callable[[Sequence[str]], Mapping[str, Any]]  # gives the config of the task that overrides choose
LISTS = ("figures.format",)  # keys of the harness that may be one value or a list


def explain(error: BaseException, overrides: Sequence[str], defaults: Defaults) -> str:
    """An error of Hydra, OmegaConf or ours as one or two lines that name the key, the value and what is allowed."""
    text = str(error)
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{mark.name}, line {mark.line + 1}: {error.problem or 'this is no YAML'}"
    if wrong_preset := _wrong_preset(overrides):
        return wrong_preset
    if several := re.search(r"(Ambiguous value for argument|Sweep parameters) '(.+?)'(?: requires|\n|$)", text):
        is_list = several.group(1).startswith("Ambiguous")
        lists = (*LISTS, *task_of(defaults(overrides)).presentation.lists) if is_list else ()
        return explain_several(several.group(2), lists)
    if unknown := re.search(r"Could not override '([^']+)'", text):
        return explain_key(unknown.group(1), overrides, defaults)
    if missing := re.search(r"Could not find '([^']+)/([^'/]+)'", text):
        group, choice = missing.groups()
        found = [line.strip() for line in text.splitlines() if re.fullmatch(r"\t[\w./-]+", line)]
        return explain_choice(group, choice, found)
    if isinstance(error, ConfigError):
        return text
    if unreadable := _unreadable(overrides):
        return unreadable
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException) and str(cause).splitlines()[0] not in lines:
        lines.append(str(cause).splitlines()[0].strip())
    return "\n".join(lines[:2])


def explain_several(given: str, lists: Sequence[str]) -> str:
    """Several values of a key where there is no sweep; those of `lists` may be a list."""
    key, _, value = given.partition("=")
    if "interval(" in value:
        return f"`{given}` has no single value: add +search=tpe to search it"
    as_list = f", or write {key}=[{value}] for a list" if key in lists else ""
    return f"`{given}` has several values: add -m to sweep over them{as_list}"


def explain_choice(group: str, choice: str, known: Sequence[str]) -> str:
    """An unknown choice of a config group."""
    if group == "hydra/launcher" and (missing := launcher_problem(choice)):
        return missing
    near = difflib.get_close_matches(choice, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    if group == "search":
        hint = f"; for another sampler: +search=tpe hydra.sweeper.search.sampler={choice}"
    return f"`{group}` must be one of {', '.join(known)}, got {choice!r}{hint}"


def _wrong_preset(overrides: Sequence[str]) -> str | None:
    """An unknown sweep or search, which Hydra would only tell after other things."""
    if any(override.lstrip("+").startswith("hydra.searchpath") for override in overrides):
        return None  # presets of another place
    for override in overrides:
        group, _, choice = override.lstrip("+").partition("=")
        if group not in ADDED_GROUPS or "=" not in override:
            continue
        known = choices(group)
        if choice not in known:
            return explain_choice(group, choice, known)
        if not override.startswith("+"):
            return f"`{override}`: a {group} must be added to the config, with +{override}"
    return None


def _unreadable(overrides: Sequence[str]) -> str | None:
    """The override that Hydra's grammar does not allow."""
    parser = OverridesParser.create()
    for before, override in zip(("", *overrides), overrides, strict=False):
        if override.startswith("-") or (before.startswith("-") and "=" not in override):
            continue  # a flag of Hydra's or its value, as in --cfg job
        if override.startswith("="):
            return f"`{override}` is not an override; overrides have the form KEY=VALUE"
        try:
            parser.parse_overrides([override])
        except HydraException:
            key, equals, value = override.partition("=")
            if not equals:
                return f"`{override}` is not an override; overrides have the form KEY=VALUE"
            quotes = (
                f"; text with such characters needs a second pair of quotes: \"{key}='{value}'\""
                if "'" not in value
                else ""
            )
            return f"`{override}` cannot be read{quotes}"
    return None


def explain_key(key: str, overrides: Sequence[str], defaults: Defaults) -> str:
    """An override of an unknown key."""
    given = next((o for o in overrides if o.lstrip("+~").split("=")[0] == key), key)
    tree = defaults(overrides)
    task = task_of(tree)
    if of := task.presentation.choices_with.get(key):
        return f"`{given}`: `{key}` is a key of {' and '.join(of)}; add {of[0]}"
    known = [name for name, _ in leaves(tree, whole=task.options)]
    meant = _meant(key, known, task)
    hint = f"; did you mean `{meant}`?" if meant else ""
    group = key.rpartition(".")[0]
    allowed = [k for k in known if group and k.rpartition(".")[0] == group] or sorted(tree)
    told = f"`{given}`: there is no config key `{key}`{hint}"
    return f"{told}\nAllowed: {', '.join(allowed)}; `nnexp --cfg job` shows all keys."


def _meant(key: str, known: Sequence[str], task: Task[Any]) -> str | None:
    """The key that was probably meant: of the same name elsewhere, of another library's name, or spelt alike."""
    name, shown = key.rpartition(".")[2], task.presentation
    every = [*known, *(f"{task.options[0]}.{option}" for option in shown.option_names)]
    if name in shown.synonyms:
        return shown.synonyms[name]
    if same := [k for k in every if k.rpartition(".")[2] == name]:
        return same[0]
    return next(iter(difflib.get_close_matches(key, every, n=1)), None)
