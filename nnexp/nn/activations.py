"""Activations of the hidden units, each a core function in units of its own.

The sigmoid is a tanh in other units, ``sigmoid(z) = (1 + tanh(z / 2)) / 2``, and tanh cannot overflow. So every
activation is written ``a(z) = scale * core(gain * z) + shift``, and the constants are folded into the weights before
and after it (`nnexp.nn.engine.passes`), where they cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nnexp.arrays import Floats


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
class Activation:
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


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": Activation(np.tanh, _tanh_slope, _tanh_bend, gain=0.5, scale=0.5, shift=0.5),
    "tanh": Activation(np.tanh, _tanh_slope, _tanh_bend),
    "relu": Activation(_relu, np.sign, None),  # its value is never negative: the sign is 0 or 1
}


def get_activation(name: str) -> Activation:
    """Look an activation up by its name.

    Raises
    ------
    ValueError
        If the name is not in the table.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"`activation` must be one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]
