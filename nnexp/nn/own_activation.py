"""Activations of a user's own: taken in the forms that people write, and checked by numbers before they are used."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike

from nnexp.arrays import Array, FloatType, Numbers
from nnexp.nn.activations import Activation, Function
from nnexp.nn.engine.products import float_type

COMPLEX_STEP, DIFFERENCE_STEP = 1e-20, 1e-5
COMPLEX_TOLERANCE, DIFFERENCE_TOLERANCE = 1e-9, 1e-6  # absolute where the derivative is below 1
# Over [-6, 6], and none where people put kinks: each is 0.01 or more from the multiples of 1/4.
POINTS = np.array([k / 4 + (0.05 if k % 2 else 0.11) for k in range(-24, 24)])
LARGE = np.array([-700.0, -50.0, 50.0, 700.0])
HOW = "give it one, a function of z: {short}.derivative = ..., or name the pair ({short}, its derivative)"


def as_activation(found: object, name: str) -> Activation:
    """The activation that an object stands for.

    Parameters
    ----------
    found
        An `Activation`; a callable with `derivative` and perhaps `second_derivative`, as functions of z; a class of
        such, which is called without arguments; or a tuple of the two or three functions.
    name
        What it is called in files and messages.

    Raises
    ------
    ValueError
        If it is none of these; in one line that begins with the name.
    """
    if isinstance(found, type):
        try:
            found = cast("Callable[[], object]", found)()
        except Exception as error:  # a class may fail in any way
            raise ValueError(
                f"{name}: a class must be callable without arguments, got {type(error).__name__}: {error}"
            ) from error
    functions = _functions(found)
    if not functions or not callable(functions[0]):
        got = type(found).__name__
        raise ValueError(f"{name}: expected a function with a derivative, or the tuple of the two, got {got}")
    if len(functions) == 1 or functions[1] is None:
        raise ValueError(f"{name} has no derivative; {HOW.format(short=name.rpartition('.')[2])}")
    if len(functions) > 3 or not all(callable(each) or each is None for each in functions[1:]):
        raise ValueError(f"{name}: expected (function, derivative) or (function, derivative, second_derivative)")
    return Activation(*functions[:3], name=name)


def _functions(found: Any) -> tuple[Any, ...]:
    if isinstance(found, Activation):
        return found.function, found.derivative, found.second_derivative
    if isinstance(found, tuple):
        return cast("tuple[Any, ...]", found)
    return found, getattr(found, "derivative", None), getattr(found, "second_derivative", None)


def check_activation(activation: Activation, dtype: DTypeLike = np.float64) -> None:
    """See that an activation and its derivatives are what the passes need, and fit each other.

    Each must be elementwise, leave its argument alone and be finite, also at z = -700 and 700. Each derivative is
    compared over [-6, 6] with the complex step of the function before it (Squire & Trapp 1998), which is exact; where
    that function does not take complex numbers, or not as an analytic function does, with central differences.

    Parameters
    ----------
    activation
        What to check.
    dtype
        In which arithmetic it is to be used. Derivatives are compared in float64.

    Raises
    ------
    ValueError
        If one is not; in one line that begins with the name, and tells the point, what was expected and what came.
    """
    named = [("the function", activation.function), ("the derivative", activation.derivative)]
    if activation.second_derivative is not None:
        named.append(("the second derivative", activation.second_derivative))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for kind in dict.fromkeys((float_type(np.float64), float_type(dtype))):
            for what, function in named:
                _check_values(f"{activation.name}: {what}", function, kind)
        for (_, function), (what, derivative) in pairwise(named):
            _check_derivative(f"{activation.name}: {what}", function, derivative)


def _check_values(what: str, function: Function, dtype: FloatType) -> None:
    z: Numbers = np.concatenate([POINTS, LARGE]).astype(dtype).reshape(4, -1)
    values = _call(what, function, z.copy())
    if (wrong := np.flatnonzero(~np.isfinite(values))).size:
        point = float(z.ravel()[wrong[0]])
        raise ValueError(f"{what} at z = {point:g} must be finite in {dtype}, got {values.ravel()[wrong[0]]}")
    part = _call(what, function, z[1:, ::3].copy())
    if not np.allclose(part, values[1:, ::3], rtol=1e-5, atol=1e-7):
        raise ValueError(f"{what} must be elementwise: its values depend on the other elements of the array")


def _call(what: str, function: Function, z: Numbers) -> Numbers:
    before = z.copy()
    try:
        values: Numbers = np.asarray(function(z))
    except Exception as error:  # a user's function may fail in any way
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{what} must take an array of any shape, got {told}") from error
    if values.shape != z.shape:
        raise ValueError(f"{what} must keep the shape of its argument, {z.shape}, got {values.shape}")
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{what} must give real numbers for real ones, got {values.dtype}")
    if not np.array_equal(z, before):
        raise ValueError(f"{what} must not change its argument; compute into a new array")
    return values


def _check_derivative(what: str, function: Function, derivative: Function) -> None:
    got = np.asarray(derivative(POINTS.copy()), float)
    expected, how, tolerance = by_complex_step(function), "complex step", COMPLEX_TOLERANCE
    if expected is None:
        expected, how, tolerance = by_differences(function), "central difference", DIFFERENCE_TOLERANCE
    excess = np.abs(got - expected) / np.maximum(1, np.abs(expected))
    worst = int(np.argmax(excess))
    if not excess[worst] <= tolerance:
        raise ValueError(
            f"{what} at z = {POINTS[worst]:g} must be {expected[worst]:.10g}, by {how}, got {got[worst]:.10g}"
        )


def probe(activation: Activation) -> Array:
    """Points z and the values there, (2, n_points): what tells one activation from another."""
    with np.errstate(all="ignore"):
        return np.array([POINTS, np.asarray(activation.function(POINTS.copy()), float)])


def by_differences(function: Function) -> Array:
    """The derivative at `POINTS` by central differences."""
    low, high = (np.asarray(function(POINTS + step), float) for step in (-DIFFERENCE_STEP, DIFFERENCE_STEP))
    return (high - low) / (2 * DIFFERENCE_STEP)


def by_complex_step(function: Function) -> Array | None:
    """The derivative at `POINTS`; None where the function is not, or not visibly, an analytic one of a complex z.

    Such as one with `abs`, which takes complex numbers but means another thing by them.
    """
    try:
        values: Numbers = np.asarray(function(POINTS + 1j * COMPLEX_STEP))
    except Exception:  # most functions of scipy.special take real numbers only
        return None
    if values.dtype.kind != "c" or values.shape != POINTS.shape:
        return None
    slopes, rough = np.imag(values) / COMPLEX_STEP, by_differences(function)
    is_analytic = np.abs(slopes - rough) <= DIFFERENCE_TOLERANCE * np.maximum(1, np.abs(rough))
    return slopes if is_analytic.all() else None


def at_complex(activation: Activation) -> Callable[[Numbers], Numbers]:
    """The function for complex z too, as far as a complex step goes."""
    return _continued(activation.function, activation.derivative)


def slope_at_complex(activation: Activation) -> Callable[[Numbers], Numbers]:
    """The derivative for complex z too, as far as a complex step goes."""
    return _continued(activation.derivative, activation.second_derivative)


def _continued(function: Function, derivative: Function | None) -> Callable[[Numbers], Numbers]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        is_analytic = by_complex_step(function) is not None

    def continued(z: Numbers) -> Numbers:
        with np.errstate(all="ignore"):
            if is_analytic or derivative is None or not np.iscomplexobj(z):
                return function(z)
            return function(z.real) + 1j * z.imag * derivative(z.real)  # the first two terms of Taylor's series

    return continued
