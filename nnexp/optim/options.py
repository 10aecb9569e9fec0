"""Options of the methods: what there is, its default, and what it may be.

The options of a method are a frozen dataclass, whose fields say what a user may give:
``learning_rate: float = real(0.1, "(0, inf)", "step")``.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, cast

Value = float | int | bool | None

OPTION = "option"  # key in a field's metadata

# Options by which SciPy's methods know their budgets; a user who tries one is told of ours.
BUDGETS = ("maxiter", "maxfun", "maxfev")


@dataclass(frozen=True)
class Option:
    """One option of a method.

    Attributes
    ----------
    default : float, int, bool or None
    kind : type
        `float`, `int` or `bool`.
    interval : str
        What a number may be, in mathematical notation: "[0, 1)".
    meaning : str
        One line for the user.
    optional : bool
        Whether it may be None.
    """

    default: Value
    kind: type
    interval: str
    meaning: str
    optional: bool = False

    @property
    def allowed(self) -> str:
        """What a value may be, in words."""
        words = {bool: "true or false", int: "an integer in ", float: "a number in "}[self.kind] + self.interval
        return words + " or null" if self.optional else words

    def check(self, value: object) -> Value:
        """Return `value` as the option's type.

        Raises
        ------
        ValueError
            If it is not allowed.
        """
        if value is None and self.optional:
            return None
        if isinstance(value, bool):  # before the numbers: to Python a bool is an int
            if self.kind is bool:
                return value
        elif self.kind is int and isinstance(value, Integral) and self._holds(int(value)):
            return int(value)
        elif self.kind is float and isinstance(value, Real) and self._holds(float(value)):
            return float(value)
        raise ValueError(f"must be {self.allowed}, got {value!r}")

    def _holds(self, number: float) -> bool:
        low, high = (float(bound) for bound in self.interval[1:-1].split(","))
        above = number >= low if self.interval[0] == "[" else number > low
        below = number <= high if self.interval[-1] == "]" else number < high
        return above and below and not math.isnan(number)


def real(default: float, interval: str, meaning: str) -> Any:
    """Make a field that is a floating-point number."""
    return field(default=default, metadata={OPTION: Option(default, float, interval, meaning)})


def integer(default: int | None, interval: str, meaning: str, *, optional: bool = False) -> Any:
    """Make a field that is a whole number, or None if `optional`."""
    return field(default=default, metadata={OPTION: Option(default, int, interval, meaning, optional)})


def boolean(default: bool, meaning: str) -> Any:
    """Make a field that is true or false."""
    return field(default=default, metadata={OPTION: Option(default, bool, "", meaning)})


def table(options: type) -> dict[str, Option]:
    """The options of a method by name, read off the fields of its dataclass."""
    return {field.name: field.metadata[OPTION] for field in dataclasses.fields(options)}


def check(method: str, options: type, given: object) -> dict[str, Value]:
    """Check what is `given` against the options of a method and fill in the defaults.

    Parameters
    ----------
    method : str
        For the messages.
    options : type
        Dataclass of the method's options.
    given : Mapping of str to values, or None
        As a user gave it.

    Returns
    -------
    dict
        Every option of the method, with the value given or its default.

    Raises
    ------
    ValueError
        If an option is unknown or not allowed: one line that names it, the value and what is allowed.
    """
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"`optimizer.options` must be a mapping of names to values, got {given!r}")
    values, known = dict(cast(Mapping[Any, object], given or {})), table(options)
    for name in values:
        if name not in known:
            raise ValueError(_unknown(method, known, name))
    checked: dict[str, Value] = {}
    for name, option in known.items():
        try:
            checked[name] = option.check(values[name]) if name in values else option.default
        except ValueError as error:
            raise ValueError(f"`optimizer.options.{name}` of {method} {error}") from None
    return checked


def _unknown(method: str, known: Mapping[str, Option], name: object) -> str:
    message = f"`optimizer.options` of {method} has no {name!r}"
    close = difflib.get_close_matches(str(name), [*known, *BUDGETS], n=1)
    if close and close[0] in BUDGETS:
        return f"{message}: budgets are set by `optimizer.maxiter` and `optimizer.maxfun`"
    return f"{message}; choose from {', '.join(known)}"


# Those that several methods have.
GTOL = 1e-5, "[0, inf)", "converged when no entry of the gradient is larger"
C1 = 1e-4, "(0, 1)", "decrease asked of a step, relative to the slope (Armijo)"
C2 = "(0, 1)", "curvature asked of a step (Wolfe)"  # each method has a default of its own
NORM = math.inf, "(0, inf]", "order of the norm of the gradient that gtol bounds"
