"""Options of a user's function: its keyword arguments, known by its signature, typed by annotations and defaults."""

from __future__ import annotations

import difflib
import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any

from nnexp.readers import ConfigError, refused
from nnexp.terminal import say

Parameter = inspect.Parameter
_told: set[str] = set()
WORDS = {float: "a number", int: "an integer", bool: "true or false", str: "a text", list: "a list", dict: "a mapping"}


def check_options(
    key: str,
    name: str,
    function: Callable[..., Any],
    given: Mapping[str, Any],
    *,
    taken: int = 0,
    reserved: Collection[str] = (),
) -> dict[str, Any]:
    """The options that were given, each as its type.

    Parameters
    ----------
    key
        The config key of the options, for messages; `name` is the function's.
    taken, reserved
        How many of the first parameters, and which, are none of the user's to give.

    Raises
    ------
    ConfigError
        If one is not in the signature, or not of its type, or one that has no default is missing.
    """
    known, takes_any = _parameters(function, taken, reserved)
    hints = _hints(function)
    for option in given:
        if option in reserved or (option not in known and not takes_any):
            raise _unknown(key, name, option, list(known))
        if option not in known and option not in _told:
            _told.add(option)
            own = ", ".join(known) or "none"
            say(f"note: `{key}.{option}` is none of the named options of {name} ({own}); its ** takes any")
    if missing := [each for each, p in known.items() if p.default is Parameter.empty and each not in given]:
        raise ConfigError(f"`{key}.{missing[0]}` is missing; {name} has no default for it")
    return {
        option: _typed(f"{key}.{option}", value, hints.get(option, _kind(known.get(option))), option in hints)
        for option, value in given.items()
    }


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function can be called with an argument by its name."""
    known, takes_any = _parameters(function, 0, ())
    return name in known or takes_any


def has_default(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has a default of its own for an argument."""
    known, _ = _parameters(function, 0, ())
    return name in known and known[name].default is not Parameter.empty


def config_defaults(function: Callable[..., Any], *, taken: int = 0) -> dict[str, Any]:
    """The options that a function has a default for which a config can hold, with it.

    Others, such as an object or a set, have another text in each process; the digest of the sources tells them.
    """
    known, _ = _parameters(function, taken, ())
    return {name: p.default for name, p in known.items() if _fits_a_config(p.default)}


def _fits_a_config(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_fits_a_config, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _fits_a_config(each) for key, each in value.items())
    return value is None or isinstance(value, bool | int | float | str)


def _parameters(
    function: Callable[..., Any], taken: int, reserved: Collection[str]
) -> tuple[dict[str, Parameter], bool]:
    """The parameters that are options, and whether any other is taken too."""
    try:
        every = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # of what is written in C
        return {}, True
    named = [p for p in every[taken:] if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name not in reserved]
    return {p.name: p for p in named}, any(p.kind is p.VAR_KEYWORD for p in every)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:  # annotations may be anything
        return {}


def _unknown(key: str, name: str, option: str, known: list[str]) -> ConfigError:
    close = difflib.get_close_matches(str(option), known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    own = ", ".join(known) or "none"
    return ConfigError(f"`{key}.{option}` is not an option of {name}; its options are {own}{hint}")


def _kind(parameter: Parameter | None) -> Any:
    """The type that a default says; None where it says nothing."""
    if parameter is None or parameter.default is Parameter.empty or parameter.default is None:
        return None
    return type(parameter.default)


def _typed(key: str, value: Any, kind: Any, is_annotated: bool) -> Any:
    """A value as the type; of a type that a config cannot hold, as it is."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _of_union(key, value, typing.get_args(kind))
    if origin is typing.Literal:
        choices = typing.get_args(kind)
        if value not in choices:
            raise refused(key, "one of " + ", ".join(map(str, choices)), value)
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is int and isinstance(value, float) and not is_annotated:
        return value  # a default such as 1 says that it is a number
    if kind in WORDS and (not isinstance(value, kind) or (kind is not bool and isinstance(value, bool))):
        raise refused(key, WORDS[kind], value)
    return value


def _of_union(key: str, value: Any, kinds: tuple[Any, ...]) -> Any:
    is_optional = type(None) in kinds
    if value is None and is_optional:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    for exact in (True, False):  # `int | float` keeps an integer
        for kind in kinds:
            if exact and type(value) is not kind:
                continue
            try:
                return _typed(key, value, kind, is_annotated=True)
            except ConfigError:
                continue
    words = [WORDS.get(kind, getattr(kind, "__name__", str(kind))) for kind in kinds]
    raise refused(key, " or ".join([*words, *(["null"] if is_optional else [])]), value)
