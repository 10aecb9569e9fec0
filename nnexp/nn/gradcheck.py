"""Numerical checks of a gradient, by formulas of their own that share no code with the objective."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np

from nnexp.arrays import Array, Numbers
from nnexp.nn.activations import Activation
from nnexp.nn.own_activation import at_complex
from nnexp.nn.parameters import check_layer_sizes, n_parameters, unpack

DIFFERENCE_STEP = 1e-4  # the exercise's
COMPLEX_STEP = 1e-20
FACTORS_PER_LOGARITHM = 500  # of a size below 2: their product stays finite

Activate = Callable[[Numbers], Numbers]
Scalar = Callable[[complex], complex]


@dataclass(frozen=True)
class LayerCheck:
    """One layer's gradient against both numerical ones.

    Attributes
    ----------
    layer : int
        From 1, the first layer of weights.
    n_params : int
    central_max, complex_max : float
        Largest absolute difference.
    central_relative, complex_relative : float
        norm(numerical - gradient) / norm(numerical + gradient).
    """

    layer: int
    n_params: int
    central_max: float
    central_relative: float
    complex_max: float
    complex_relative: float


@dataclass(frozen=True)
class GradientCheck:
    """A full check: the layers, and the exercise's relative difference over all parameters.

    Attributes
    ----------
    n_params : int
    central_difference, complex_step : float
        norm(numerical - gradient) / norm(numerical + gradient) by either method.
    seconds : float
    layers : tuple of LayerCheck
    """

    n_params: int
    central_difference: float
    complex_step: float
    seconds: float
    layers: tuple[LayerCheck, ...]


def relative_difference(numerical: Array, gradient: Array) -> float:
    """norm(numerical - gradient) / norm(numerical + gradient), as in the exercise; 0 where both are zero."""
    difference = float(np.linalg.norm(numerical - gradient))
    return difference and difference / max(float(np.linalg.norm(numerical + gradient)), np.finfo(float).tiny)


def full_check(
    X: Array,
    Y: Array,
    layer_sizes: Sequence[int],
    theta: Array,
    gradient: Array,
    *,
    activation: str | Activation,
    l2: float,
    progress: Callable[[int, int], None] | None = None,
) -> GradientCheck:
    """Check every entry of a gradient by central differences (step 1e-4) and by complex step (1e-20).

    The complex step Im J(theta + ih) / h subtracts nothing and is exact to rounding (Squire & Trapp 1998, "Using
    complex variables to estimate derivatives of real functions").

    A perturbed weight changes one unit, and that only for the samples whose input to the weight is not zero; all else
    is computed once and drops out of the difference.

    At a kink of relu the two methods differ: the central difference gives the mean slope over the step, the complex
    step the slope on the side of the real part (0 at exactly 0, as the objective has it).

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    Y : ndarray of shape (n_samples, n_outputs)
        Zeros and ones.
    layer_sizes : sequence of int
    theta, gradient : ndarray of shape (n_parameters,)
        Where, and what the objective gave there.
    activation : str or Activation
        sigmoid, tanh or relu, or one of your own.
    l2 : float
        The penalty's lambda.
    progress : callable (done, total), optional
        Called now and then with the number of parameters.

    Returns
    -------
    GradientCheck

    Raises
    ------
    ValueError
        If gradient and theta differ in shape, theta does not fit the network, or the activation is unknown.
    """
    start = time.perf_counter()
    theta, gradient = np.asarray(theta, float), np.asarray(gradient, float)
    if gradient.shape != theta.shape:
        raise ValueError(f"expected a gradient of shape {theta.shape}, got {gradient.shape}")
    activate = _function(activation)
    sizes, total = check_layer_sizes(layer_sizes), theta.size
    central, complex_step = np.empty(total), np.empty(total)
    derivatives = _derivatives(np.asarray(X, float), np.asarray(Y, float), sizes, theta, activate, l2)
    for done, (index, by_difference, by_complex_step) in enumerate(derivatives, start=1):
        central[index], complex_step[index] = by_difference, by_complex_step
        if progress is not None and (done % 100 == 0 or done == total):
            progress(done, total)

    layers: list[LayerCheck] = []
    first = 0
    for layer, size in enumerate((n_parameters(pair) for pair in pairwise(sizes)), start=1):
        of_layer, first = slice(first, first + size), first + size
        central_figures, complex_figures = (
            (float(np.abs(numerical - gradient[of_layer]).max()), relative_difference(numerical, gradient[of_layer]))
            for numerical in (central[of_layer], complex_step[of_layer])
        )
        layers.append(LayerCheck(layer, size, *central_figures, *complex_figures))
    return GradientCheck(
        n_params=total,
        central_difference=relative_difference(central, gradient),
        complex_step=relative_difference(complex_step, gradient),
        seconds=time.perf_counter() - start,
        layers=tuple(layers),
    )


def _derivatives(
    X: Array, Y: Array, sizes: tuple[int, ...], theta: Array, activate: Activate, l2: float
) -> Iterator[tuple[int, float, float]]:
    """Index in theta, derivative of the cost by central difference and by complex step, for each parameter."""
    weights, biases = unpack(theta, sizes)
    indices = unpack(np.arange(theta.size), sizes)
    signs, m = 1 - 2 * Y.T, len(X)
    zs = _forward(X.T, weights, biases, activate)
    for layer, (weight_indices, bias_indices) in enumerate(zip(*indices, strict=True)):
        inputs = X.T if layer == 0 else activate(zs[layer - 1])
        for source in range(-1, sizes[layer]):  # -1: the bias, whose input is 1
            samples = slice(None) if source < 0 else np.flatnonzero(inputs[source])
            x = np.ones(m) if source < 0 else inputs[source, samples]
            tail = _Tail(layer, [z[:, samples] for z in zs], weights, biases, activate, signs[:, samples])
            for unit in range(sizes[layer + 1]):
                value = 0.0 if source < 0 else weights[layer][unit, source]

                def loss(h: complex, tail: _Tail = tail, unit: int = unit, x: Numbers = x) -> complex:
                    return tail.loss(unit, h * x)

                def penalty(h: complex, value: float = value) -> complex:
                    return l2 / 2 * (value + h) ** 2

                central, complex_step = (
                    (method(loss, h) + (method(penalty, h) if source >= 0 else 0.0)) / m  # biases are not penalized
                    for method, h in ((_central_difference, DIFFERENCE_STEP), (_complex_step, COMPLEX_STEP))
                )
                index = bias_indices[unit] if source < 0 else weight_indices[unit, source]
                yield int(index), central, complex_step


def _central_difference(fun: Scalar, h: float) -> float:
    return cast(float, fun(h) - fun(-h)) / (2 * h)  # of a real h a real number


def _complex_step(fun: Scalar, h: float) -> float:
    return fun(1j * h).imag / h


@dataclass(frozen=True)
class _Tail:
    """The network from the units of one layer on, for some samples; arrays are units x samples."""

    layer: int
    zs: list[Numbers]
    weights: list[Array]
    biases: list[Array]
    activate: Activate
    signs: Array

    def loss(self, unit: int, dz: Numbers) -> complex:
        """Sum of the loss where `dz` is added to the z of a unit; without the outputs that it does not reach."""
        z = self.zs[self.layer][unit]
        if self.layer == len(self.weights) - 1:
            return _loss((z + dz)[None], self.signs[unit : unit + 1])
        change = self.activate(z + dz) - self.activate(z)
        # One column of the weights: (n_out, 1) * (m,) -> (n_out, m)
        z = self.zs[self.layer + 1] + self.weights[self.layer + 1][:, unit : unit + 1] * change
        further = slice(self.layer + 2, None)
        if self.weights[further]:
            z = _forward(self.activate(z), self.weights[further], self.biases[further], self.activate)[-1]
        return _loss(z, self.signs)


def _forward(a: Numbers, weights: list[Array], biases: list[Array], activate: Activate) -> list[Numbers]:
    """Compute z of each layer (n_out, n_samples) from the activations below the first."""
    zs: list[Numbers] = []
    for weight, bias in zip(weights, biases, strict=True):
        zs.append(weight @ (activate(zs[-1]) if zs else a) + bias[:, None])  # (n_out, n_in) @ (n_in, m) -> (n_out, m)
    return zs


def _exp(z: Numbers) -> Numbers:
    """Euler's formula: NumPy's complex exponential takes several times as long."""
    return np.exp(np.real(z)) * (np.cos(np.imag(z)) + 1j * np.sin(np.imag(z))) if np.iscomplexobj(z) else np.exp(z)


def _sigmoid(z: Numbers) -> Numbers:
    positive = np.real(z) > 0
    exp = _exp(np.where(positive, -z, z))  # of a negative real part: no overflow
    return np.where(positive, 1, exp) / (1 + exp)


def _loss(logits: Numbers, signs: Array) -> complex:
    """Sum of log(1 + e^s), s = signs * logits, as max(s, 0) + log(1 + e^-|s|), with one logarithm a sample."""
    s = signs * logits
    positive = np.real(s) > 0
    loss = s[positive].sum()
    factors = 1 + _exp(np.where(positive, -s, s))
    for start in range(0, len(factors), FACTORS_PER_LOGARITHM):
        loss = loss + np.log(np.multiply.reduce(factors[start : start + FACTORS_PER_LOGARITHM], axis=0)).sum()
    return loss


FUNCTIONS: dict[str, Activate] = {
    "sigmoid": _sigmoid,
    "tanh": lambda z: 2 * _sigmoid(2 * z) - 1,
    "relu": lambda z: np.where(np.real(z) > 0, z, 0),
}


def _function(activation: str | Activation) -> Activate:
    if isinstance(activation, Activation):
        return at_complex(activation)
    if activation not in FUNCTIONS:
        raise ValueError(f"`activation` must be one of {', '.join(FUNCTIONS)}, got {activation!r}")
    return FUNCTIONS[activation]


def directional_check(
    fun: Callable[[Array], tuple[float, Array]],
    theta: Array,
    rng: np.random.Generator,
    n_directions: int = 3,
) -> float:
    """Check a gradient along random directions, at the price of two costs each and one gradient.

    Parameters
    ----------
    fun : callable theta -> (cost, gradient)
        Its attribute `dtype`, where it has one, says in which arithmetic it computes; its method `cost`, where it has
        one, gives the cost alone.
    theta : ndarray of shape (n_parameters,)
    rng : numpy.random.Generator
    n_directions : int

    Returns
    -------
    difference : float
        Largest difference between the central difference and the gradient's product with the direction, relative to
        the size that such a product has on average where it is smaller. About 1e-8 for a right gradient in float64,
        1e-3 in float32.
    """
    theta = np.asarray(theta, float)
    gradient = fun(theta)[1]
    eps = float(np.finfo(getattr(fun, "dtype", float)).eps)
    step = np.cbrt(eps) * max(1.0, float(np.linalg.norm(theta)))
    typical = float(np.linalg.norm(gradient)) / np.sqrt(theta.size)
    cost: Callable[[Array], float] = getattr(fun, "cost", lambda theta: fun(theta)[0])
    worst = 0.0
    for _ in range(n_directions):
        direction = rng.standard_normal(theta.size)
        direction /= np.linalg.norm(direction)
        slope = float(gradient @ direction)
        numerical = (cost(theta + step * direction) - cost(theta - step * direction)) / (2 * step)
        size = max(abs(slope), abs(numerical), typical)
        worst = max(worst, float(abs(numerical - slope) / size) if size else 0.0)
    return worst
