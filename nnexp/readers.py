"""Readers of config values: each takes a key and a value, and returns the value in its one true type.

A wrong value is a :class:`ConfigError` of one line that names the key, what was expected and what was given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeGuard

from nnexp.errors import UsageError

Reader = Callable[[str, Any], Any]


class ConfigError(UsageError):
    """A config value that cannot be used; the message is one line for the user."""


def leaves(tree: Mapping[str, Any], prefix: str = "", *, whole: Collection[str] = ()) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested dictionaries; a dictionary under one of the keys `whole` is one value."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if is_group(value) and key not in whole:
            yield from leaves(value, f"{key}.", whole=whole)
        else:
            yield key, value


def is_group(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether a value of a config has keys of its own."""
    return isinstance(value, Mapping)


def refused(key: str, expected: str, value: Any) -> ConfigError:
    """The error of a value that is not what was expected."""
    return ConfigError(f"`{key}` must be {expected}, got {value!r}")


def number(expected: str, allowed: Callable[[float], bool]) -> Callable[[str, Any], float]:
    """A reader of a finite number that is allowed; integers become floats."""

    def read(key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise refused(key, expected, value)
        if not allowed(value):
            raise refused(key, expected, value)
        return float(value)

    return read


def integer(least: int, most: int | None = None) -> Callable[[str, Any], int]:
    """A reader of an integer from `least` to `most`."""
    expected = f"an integer >= {least}" if most is None else f"an integer >= {least} and <= {most}"

    def read(key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least or (most and value > most):
            raise refused(key, expected, value)
        return value

    return read


def choice(*choices: str) -> Callable[[str, Any], str]:
    """A reader of one of some texts."""

    def read(key: str, value: Any) -> str:
        if value not in choices:
            raise refused(key, "one of " + ", ".join(choices), value)
        return value

    return read


def flag(key: str, value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise refused(key, "true or false", value)
    return value


def text(key: str, value: Any) -> str:
    """Read a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise refused(key, "a non-empty text", value)
    return value


def options(key: str, value: Any) -> dict[str, Any]:
    """Read a mapping; null is an empty one."""
    if value is None:
        return {}
    if not is_group(value):
        raise refused(key, "a mapping of option names to values", value)
    return dict(value)


def optional_text(key: str, value: Any) -> str | None:
    """Read a text that is not empty, or null."""
    return None if value is None else text(key, value)


share = number("in [0, 1)", lambda x: 0 <= x < 1)


def read_group(
    name: str, tree: Mapping[str, Any], readers: Mapping[str, Reader], *, open_ended: bool = False
) -> dict[str, Any]:
    """A group of the config, each of its keys read; other keys are errors unless it is `open_ended`."""
    group = tree.get(name)
    if not is_group(group):
        raise refused(name, "a config group with the keys " + ", ".join(readers), group)
    unknown = [key for key in group if key not in readers]
    if unknown and not open_ended:  # first, because a misspelt key is what is missing too
        raise ConfigError(f"`{name}.{unknown[0]}` is not a config key; `{name}` has {', '.join(readers)}")
    missing = [key for key in readers if key not in group]
    if missing:
        raise ConfigError(f"`{name}.{missing[0]}` is missing from the config")
    return {key: read(f"{name}.{key}", group[key]) for key, read in readers.items()}


def is_text(value: Any) -> bool:
    """Whether a value is a text that is not empty."""
    return isinstance(value, str) and bool(value.strip())


def required(key: str, tree: Mapping[str, Any]) -> Any:
    """The value of a key of the top level."""
    if key not in tree:
        raise ConfigError(f"`{key}` is missing from the config")
    return tree[key]
