"""The overrides of a sweep as a grid: which of them count, which values each takes, and the jobs they make together."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, OverrideType, RangeSweep
from hydra.errors import HydraException

from nnexp.config import ConfigError, is_bookkeeping
from nnexp.tasks.interface import Task

MAX_JOBS = 100_000  # each costs milliseconds to plan, and kilobytes to hold
_SORTED_RANGE = re.compile(r"sort\(\s*(range\([^()]*\))\s*(?:,\s*reverse\s*=\s*(true|false)\s*)?\)", re.IGNORECASE)

Grid = list[tuple[tuple[str, ...], tuple[str, ...]]]


def effective(overrides: Iterable[Override], is_group: Callable[[str], bool] = lambda key: False) -> list[Override]:
    """The overrides that count: the last of each key, where ``key``, ``+key`` and ``++key`` are one key."""
    last: dict[tuple[str, str | None, bool], Override] = {}
    for override in overrides:
        key = (override.key_or_group, override.package, override.type == OverrideType.DEL)
        earlier = last.pop(key, None)
        if earlier is not None and earlier.type != override.type:  # what one of them adds, the other only changes
            added = OverrideType.ADD if is_group(override.key_or_group) else OverrideType.FORCE_ADD
            override = replace(override, type=added)
        last[key] = override
    return list(last.values())


def text_of(override: Override) -> str:
    """A single override as it is given to a job."""
    if override.type == OverrideType.DEL:
        return override.input_line or ""
    return f"{override.get_key_element()}={override.get_value_element_as_str()}"


def expand(overrides: Sequence[Override], is_group: Callable[[str], bool] = lambda key: False) -> Grid:
    """The grid of parsed overrides: for each job all its overrides, and those of them that are swept.

    Raises
    ------
    ConfigError
        If something to be swept has no list of values, or one that does not tell jobs apart, or there are too many.
    """
    counted = effective(overrides, is_group)
    total = 1
    for override in counted:
        if override.is_sweep_override():
            total *= count(override)
            if total > MAX_JOBS:
                raise ConfigError(
                    f"`{override.input_line}` makes {total:,} jobs; a sweep can have {MAX_JOBS:,} at most"
                )
    choices = []
    for override in counted:
        swept = override.is_sweep_override()
        key = override.get_key_element()
        choices.append([f"{key}={value}" for value in values(override)] if swept else [text_of(override)])
    is_swept = [override.is_sweep_override() for override in counted]
    return [
        (job, tuple(item.lstrip("+") for item in itertools.compress(job, is_swept)))
        for job in itertools.product(*choices)
    ]


def refuse_bookkeeping(overrides: Iterable[Override], task: Task[Any]) -> None:
    """Raise a ConfigError if something is swept that says only where and how a run is kept."""
    for override in effective(overrides):
        if override.is_sweep_override() and count(override) > 1:
            _refuse_bookkeeping(override, task)


def _refuse_bookkeeping(override: Override, task: Task[Any]) -> None:
    key = override.key_or_group
    if key not in task.named_by_content and (is_bookkeeping(key, task) or key.startswith("hydra")):
        values = override.get_value_string()
        as_list = f"; for one run with all of them: {key}=[{values}]" if key == "figures.format" else ""
        raise ConfigError(
            f"`{override.input_line}`: {key} does not change a result, so all jobs would be the same{as_list}"
        )


def count(override: Override) -> int:
    """How many values an override has, without making them.

    Raises
    ------
    ConfigError
        If it is an interval, or a choice among files that chooses none.
    """
    value: Any = override.value()
    if isinstance(value, RangeSweep):
        start, stop, step = _decimals(override, value)
        return max(0, math.ceil((stop - start) / step))
    return len(values(override))


def values(override: Override) -> list[str]:
    """The values of something to be swept, in Hydra's grammar.

    Raises
    ------
    ConfigError
        As :func:`count`.
    """
    value: Any = override.value()
    if isinstance(value, RangeSweep):
        found = _range(override, value)
    elif isinstance(value, Glob):
        found = _chosen_files(override)
    elif override.is_discrete_sweep():
        found = list(override.sweep_string_iterator())
    else:
        raise ConfigError(
            f"`{override.input_line}`: a grid needs a list of values; an interval can be searched, "
            "for example with +search=tpe"
        )
    if not found:
        raise ConfigError(f"`{override.input_line}` has no values")
    return found


def first_value(override: Override) -> str:
    """The first value of something to be swept, without making the others."""
    value: Any = override.value()
    return str(value.start) if isinstance(value, RangeSweep) else values(override)[0]


def _chosen_files(override: Override) -> list[str]:
    group = override.key_or_group
    try:
        known = override.config_loader.get_group_options(group) if override.config_loader else []
        found = list(override.sweep_string_iterator())
    except (HydraException, AttributeError):
        known = found = []
    if not known:
        raise ConfigError(f"`{override.input_line}`: glob selects files of a config group, and {group} is not a group")
    if not found:
        raise ConfigError(f"`{override.input_line}` matches none of {', '.join(known)}")
    return found


def _decimals(override: Override, sweep: RangeSweep) -> tuple[Decimal, Decimal, Decimal]:
    start, stop, step = (Decimal(str(x)) for x in (sweep.start, sweep.stop, sweep.step))
    if not step or not all(x.is_finite() for x in (start, stop, step)):
        raise ConfigError(f"`{override.input_line}`: a range needs finite ends and a step that is not 0")
    return start, stop, step


def _range(override: Override, sweep: RangeSweep) -> list[str]:
    """The values of a range, with the decimals that its start and its step have."""
    line = override.input_line or ""
    if "sort(" in line and not sweep.shuffle:
        return _sorted_range(override, sweep)
    start, _, step = _decimals(override, sweep)
    numbers = [start + i * step for i in range(count(override))]
    if sweep.shuffle:
        random.shuffle(numbers)
    whole = all(isinstance(x, int) for x in (sweep.start, sweep.stop, sweep.step))
    return [str(int(x)) if whole else repr(float(x)) for x in numbers]


def _sorted_range(override: Override, sweep: RangeSweep) -> list[str]:
    """Hydra 1.3 turns a range round wrongly where its step does not divide it; so the range itself is sorted here."""
    line = override.input_line or ""
    if match := _SORTED_RANGE.fullmatch(line.partition("=")[2]):
        [inner] = OverridesParser.create().parse_overrides([f"x={match.group(1)}"])
        return sorted(values(inner), key=float, reverse=str(match.group(2)).lower() == "true")
    start, stop, step = _decimals(override, sweep)
    if (stop - start) % step:
        raise ConfigError(f"`{line}`: Hydra sorts this range wrongly; write the values in their order")
    return _range(replace(override, input_line=""), sweep)
