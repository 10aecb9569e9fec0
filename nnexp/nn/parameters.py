"""The flat parameter vector theta and its layers.

The exercise's order: for each layer a row-major matrix of shape (n_out, 1 + n_in) with the bias in column 0, one layer
after the other. `layer_sizes` counts the units from the input to the output, (400, 25, 10) for the exercise.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Array, Floats

Scalar = TypeVar("Scalar", bound=np.generic)


def check_layer_sizes(layer_sizes: Sequence[int]) -> tuple[int, ...]:
    """Layer sizes as a tuple of int.

    Raises
    ------
    ValueError
        If there are fewer than two layers, or one of them has no unit.
    """
    sizes = tuple(int(size) for size in layer_sizes)
    if len(sizes) < 2 or min(sizes) < 1 or sizes != tuple(layer_sizes):
        raise ValueError(f"`layer_sizes` must be two or more whole numbers >= 1, got {tuple(layer_sizes)}")
    return sizes


def n_parameters(layer_sizes: Sequence[int]) -> int:
    """Length of theta: the sum of n_out * (1 + n_in) over the layers."""
    return sum(n_out * (1 + n_in) for n_in, n_out in pairwise(layer_sizes))


def unpack(theta: NDArray[Scalar], layer_sizes: Sequence[int]) -> tuple[list[NDArray[Scalar]], list[NDArray[Scalar]]]:
    """Weights and biases of each layer, as views of `theta`, which may hold numbers of any kind.

    Parameters
    ----------
    theta : ndarray of shape (n_parameters,)
    layer_sizes : sequence of int

    Returns
    -------
    weights : list of ndarray of shape (n_out, n_in)
    biases : list of ndarray of shape (n_out,)

    Raises
    ------
    ValueError
        If `theta` has another length.
    """
    if theta.shape != (n_parameters(layer_sizes),):
        raise ValueError(f"expected theta of shape ({n_parameters(layer_sizes)},) for {layer_sizes}, got {theta.shape}")
    weights: list[NDArray[Scalar]] = []
    biases: list[NDArray[Scalar]] = []
    start = 0
    for n_in, n_out in pairwise(layer_sizes):
        layer = theta[start : start + n_out * (1 + n_in)].reshape(n_out, 1 + n_in)
        weights.append(layer[:, 1:])
        biases.append(layer[:, 0])
        start += layer.size
    return weights, biases


def pack(weights: Sequence[Floats], biases: Sequence[Floats]) -> Array:
    """Theta, float64, from the weights (n_out, n_in) and biases (n_out,) of each layer; the inverse of `unpack`.

    Raises
    ------
    ValueError
        If the shapes do not follow from each other.
    """
    layer_sizes = (weights[0].shape[1], *(len(bias) for bias in biases))
    expected = [(n_out, n_in) for n_in, n_out in pairwise(layer_sizes)]
    if [w.shape for w in weights] != expected:
        raise ValueError(f"expected weights of shapes {expected}, got {[w.shape for w in weights]}")
    return np.concatenate([np.column_stack([b, w]).ravel() for w, b in zip(weights, biases, strict=True)], dtype=float)


def initialize(layer_sizes: Sequence[int], init_scale: float | str, rng: np.random.Generator) -> Array:
    """Draw an initial theta.

    Parameters
    ----------
    layer_sizes : sequence of int
    init_scale : float or "glorot"
        A number s draws all of theta, biases too, from U(-s, s) in one call, as the exercise does. "glorot" draws the
        weights of a layer from U(-r, r) with r = sqrt(6 / (n_in + n_out)) and sets the biases to 0 (the normalized
        initialization, equation 16 of Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward
        neural networks").
    rng : numpy.random.Generator

    Returns
    -------
    theta : ndarray of shape (n_parameters,), float64

    Raises
    ------
    ValueError
        If `init_scale` is neither.
    """
    sizes = check_layer_sizes(layer_sizes)
    if init_scale == "glorot":
        theta = np.zeros(n_parameters(sizes))
        for weight in unpack(theta, sizes)[0]:
            limit = np.sqrt(6 / sum(weight.shape))
            weight[...] = rng.uniform(-limit, limit, weight.shape)
        return theta
    if isinstance(init_scale, str) or not 0 <= init_scale < np.inf:
        raise ValueError(f"`init_scale` must be a number >= 0 or 'glorot', got {init_scale!r}")
    return rng.uniform(-init_scale, init_scale, n_parameters(sizes))
