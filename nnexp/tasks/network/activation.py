"""The activation that a config names: a built-in one, or one of the user's own, seen to be right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np

from nnexp import own
from nnexp.nn import ACTIVATIONS, Activation, as_activation, check_activation, probe
from nnexp.readers import ConfigError

KEY = "model.activation"
VALUES = "activation_values"  # in a file of weights: points z, and what a user's own activation was there
SAME = 1e-9  # relative; processors may differ in the last digits


@dataclass(frozen=True)
class _Known:
    """What was found under a name, and in which arithmetics it was seen to be right."""

    found: object
    activation: Activation
    checked: set[str] = field(default_factory=set[str])


_known: dict[str, _Known] = {}


def activation_of(name: str) -> str | Activation:
    """What is meant by a name: a built-in one as it is.

    Raises
    ------
    ConfigError
        If there is none of that name, or it is no activation.
    """
    if name in ACTIVATIONS:
        return name
    found = own.find(KEY, "activations", name, ACTIVATIONS).found
    if name not in _known or _known[name].found is not found:
        try:
            _known[name] = _Known(found, as_activation(found, name))
        except ValueError as error:
            raise ConfigError(f"`{KEY}` {error}") from error
    return _known[name].activation


def check(name: str, dtype: str, *, needs_second_derivative: bool) -> None:
    """See that an activation of the user's own fits its derivatives, and has those that are needed.

    Raises
    ------
    ConfigError
        If not; in one line that tells where, what was expected and what came.
    """
    activation = activation_of(name)
    if not isinstance(activation, Activation):
        return
    if needs_second_derivative and activation.second_derivative is None:
        raise ConfigError(
            f"`{KEY}` {name} has no second derivative, which `optimizer.method` needs; give it one, a function of z: "
            f"{own.last_name(name)}.second_derivative = ..."
        )
    checked = _known[name].checked
    if dtype in checked:  # the many configs of a sweep have it in common
        return
    try:
        check_activation(activation, np.dtype(dtype))
    except ValueError as error:
        raise ConfigError(f"`{KEY}` {error}") from error
    checked.add(dtype)


def packages(name: str) -> list[str]:
    """The installed packages that a user's own activation needs, beside NumPy, as far as they are found here."""
    try:
        modules = {*own.find(KEY, "activations", name, ACTIVATIONS).sources.packages, "scipy"}
    except ConfigError:
        modules = {"scipy"}
    known = metadata.packages_distributions()
    return sorted({distribution for module in modules for distribution in known.get(module, ())} - {"numpy"})


def values_of(name: str) -> dict[str, np.ndarray]:
    """What a file of weights keeps of an activation, by which it is known again; nothing of a built-in one."""
    activation = activation_of(name)
    return {VALUES: probe(activation)} if isinstance(activation, Activation) else {}


def recorded(name: str, arrays: Mapping[str, Any]) -> str | Activation:
    """The activation that weights were trained with.

    Raises
    ------
    ConfigError
        If there is none of that name, or it is another one now.
    """
    activation = activation_of(name)
    if isinstance(activation, Activation) and VALUES in arrays:
        (z, then), (_, now) = arrays[VALUES], probe(activation)
        changed = np.flatnonzero(np.abs(now - then) > SAME * np.maximum(1, np.abs(then)))
        if changed.size:
            i = changed[0]
            raise ConfigError(
                f"`{KEY}` {name} is not what the weights were trained with: at z = {z[i]:g} it was {then[i]:.10g}, "
                f"now it is {now[i]:.10g}"
            )
    return activation
