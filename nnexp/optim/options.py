"""Options of the methods: what there is, its default, and what it may be."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real

# Options by which SciPy's methods know their budgets.
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

    default: float | int | bool | None
    kind: type
    interval: str
    meaning: str
    optional: bool = False

    @property
    def allowed(self) -> str:
        """What a value may be, in words."""
        words = {bool: "true or false", int: "an integer in ", float: "a number in "}[self.kind] + self.interval
        return words + " or null" if self.optional else words

    def check(self, value: object) -> float | int | bool | None:
        """Return `value` as the option's type; ValueError if it is not allowed."""
        if value is None and self.optional:
            return None
        if isinstance(value, bool):
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


def real(default: float, interval: str, meaning: str) -> Option:
    """Make an option that is a floating-point number."""
    return Option(default, float, interval, meaning)


def integer(default: int | None, interval: str, meaning: str, *, optional: bool = False) -> Option:
    """Make an option that is a whole number, or null if `optional`."""
    return Option(default, int, interval, meaning, optional)


def boolean(default: bool, meaning: str) -> Option:
    """Make an option that is true or false."""
    return Option(default, bool, "", meaning)


def check(method: str, table: Mapping[str, Option], options: Mapping[str, object] | None) -> dict:
    """Check `options` against a method's table and fill in the defaults.

    Parameters
    ----------
    method : str
        For the messages.
    table : Mapping of str to Option
    options : Mapping or None

    Returns
    -------
    dict
        Every option of the table, with the value given or its default.

    Raises
    ------
    ValueError
        One line that names the option, the value and what is allowed.
    """
    if options is not None and not isinstance(options, Mapping):
        raise ValueError(f"`optimizer.options` must be a mapping of names to values, got {options!r}")
    given = dict(options or {})
    for name in given:
        if name not in table:
            raise ValueError(_unknown(method, table, name))
    checked = {}
    for name, option in table.items():
        try:
            checked[name] = option.check(given[name]) if name in given else option.default
        except ValueError as error:
            raise ValueError(f"`optimizer.options.{name}` of {method} {error}") from None
    return checked


def _unknown(method: str, table: Mapping[str, Option], name: object) -> str:
    message = f"`optimizer.options` of {method} has no {name!r}"
    close = difflib.get_close_matches(str(name), [*table, *BUDGETS], n=1)
    if close and close[0] in BUDGETS:
        return f"{message}: budgets are set by `optimizer.maxiter` and `optimizer.maxfun`"
    return f"{message}; choose from {', '.join(table)}"


GTOL = real(1e-5, "[0, inf)", "converged when no entry of the gradient is larger")
C1 = real(1e-4, "(0, 1)", "decrease asked of a step, relative to the slope (Armijo)")
NORM = real(math.inf, "(0, inf]", "order of the norm of the gradient that gtol bounds")
