"""The values that a param has in some runs, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnexp.comparison.metric import MISSING
from nnexp.comparison.settings import Frame, is_number, plain, show_value, sort_key
from nnexp.comparison.wording import listed

MOST_LISTED = 6


def values_of(values: Sequence[Any]) -> str:
    """Values as a sentence lists them: 0, 1 and 10; of many numbers the ends, of many others how many they are."""
    there = _distinct(values)
    if len(there) <= MOST_LISTED:
        return listed([show_value(value) for value in there]) if there else MISSING
    if all(map(is_number, there)):
        return f"{len(there)} values from {show_value(there[0])} to {show_value(there[-1])}"
    return f"{len(there)} of them"


def _distinct(values: Sequence[Any]) -> list[Any]:
    return sorted(dict.fromkeys(value for value in map(plain, values) if value != MISSING), key=sort_key)


def distinct(runs: Frame, key: str) -> list[str]:
    """All values that a param has in some runs, each in words."""
    return [show_value(value) for value in _distinct(list(runs[key]))] if key in runs else []


def of_param(runs: Frame, key: str) -> str:
    """The values that a param has in some runs; "" where none has it."""
    text = values_of(list(runs[key])) if key in runs else MISSING
    return "" if text in (MISSING, "None") else text
