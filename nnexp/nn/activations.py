"""Activations of the hidden units: those of a user's own, and the built-in ones, core functions in units of their own.

The sigmoid is a tanh in other units, ``sigmoid(z) = (1 + tanh(z / 2)) / 2``, and tanh cannot overflow. So every
activation is written ``a(z) = scale * core(gain * z) + shift``, and the constants are folded into the weights before
and after it (`nnexp.nn.engine.passes`), where they cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from nnexp.arrays import Floats

Function = Callable[[Any], Any]  # elementwise, from an array to a new one of its shape


@dataclass(frozen=True)
class Activation:
    """An elementwise function of one's own, with its derivatives, as functions of z.

    Each of them takes a float64 or float32 array of any shape, does not change it, and returns an array of its shape.
    They are called from several threads at once where `training.threads` says so.

    Attributes
    ----------
    function : callable z -> a(z)
    derivative : callable z -> da/dz
    second_derivative : callable z -> d2a/dz2, or None
        For methods that take Hessian-vector products.
    name : str
        What it is called in files and messages.
    """

    function: Function
    derivative: Function
    second_derivative: Function | None = None
    name: str = "custom"

    gain: ClassVar[float] = 1.0
    scale: ClassVar[float] = 1.0
    shift: ClassVar[float] = 0.0

    def __call__(self, z: Floats) -> Floats:
        """a(z), a new array."""
        return self.function(z)


def _relu(z: Floats, /, *, out: Floats | None = None) -> Floats:
    return np.maximum(z, np.zeros(z.shape[-1:], z.dtype), out=out)  # three times as fast as with a scalar


def _tanh_slope(c: Floats, /, *, out: Floats | None = None) -> Floats:
    return np.subtract(1, np.multiply(c, c, out=out), out=out)


def _tanh_bend(c: Floats) -> Floats:
    return -2 * c


class InPlace(Protocol):
    """An elementwise function that can write its result into an array."""

    def __call__(self, x: Floats, /, *, out: Floats | None = None) -> Floats:
        """The function of `x`, in `out` or in a new array."""
        ...


@dataclass(frozen=True)
class CoreActivation:
    """The function ``a(z) = scale * core(gain * z) + shift``, elementwise.

    Attributes
    ----------
    core : callable (z, out) -> c
        Value of the core function; `out` may be `z`.
    slope : callable (c, out) -> ndarray
        Its derivative core', given the value `c`; `out` may be `c`. The slope of relu at its kink is 0.
    bend : callable (c) -> ndarray, or None
        core'' / core', given the value `c`, for second derivatives; None where it is zero almost everywhere.
    gain, scale, shift : float
        The units.
    """

    core: InPlace
    slope: InPlace
    bend: Callable[[Floats], Floats] | None
    gain: float = 1.0
    scale: float = 1.0
    shift: float = 0.0

    def __call__(self, z: Floats) -> Floats:
        """a(z), a new array; finite for every finite `z`."""
        return self.scale * self.core(self.gain * z) + self.shift

    def derivative(self, z: Floats) -> Floats:
        """da/dz, a new array."""
        return self.scale * self.gain * self.slope(self.core(self.gain * z))

    def second_derivative(self, z: Floats) -> Floats:
        """d2a/dz2, a new array."""
        c = self.core(self.gain * z)
        return np.zeros_like(c) if self.bend is None else self.scale * self.gain**2 * self.slope(c) * self.bend(c)


ACTIVATIONS: dict[str, CoreActivation] = {
    "sigmoid": CoreActivation(np.tanh, _tanh_slope, _tanh_bend, gain=0.5, scale=0.5, shift=0.5),
    "tanh": CoreActivation(np.tanh, _tanh_slope, _tanh_bend),
    "relu": CoreActivation(_relu, np.sign, None),  # its value is never negative: the sign is 0 or 1
}


def get_activation(activation: str | Activation) -> CoreActivation | Activation:
    """Look an activation up by its name; one of a user's own is what it is.

    Raises
    ------
    ValueError
        If the name is not in the table.
    """
    if isinstance(activation, Activation):
        return activation
    if activation not in ACTIVATIONS:
        raise ValueError(f"`activation` must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    return ACTIVATIONS[activation]


def name_of(activation: str | Activation) -> str:
    """What an activation is called."""
    return activation.name if isinstance(activation, Activation) else activation
