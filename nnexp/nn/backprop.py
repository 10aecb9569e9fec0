r"""The network and back-propagation as the course writes them: whole matrices, no reuse, nothing folded.

This file is for reading beside exercise 4 of the Machine Learning course by Andrew Ng, sections 1.3 to 2.5, and it is
what the tests hold `nnexp.nn.Objective` against, which computes the same several times as fast. It takes real and
complex theta of any precision, for derivatives by complex step; it makes no effort where exp overflows.

m samples, layers l = 0 ... L of n_0 (the pixels), n_1, ..., n_L (the classes) units:

.. math::
    a^{(0)} = X, \qquad z^{(l)} = a^{(l-1)} W_l^T + b_l, \qquad a^{(l)} = g(z^{(l)}), \qquad h = \sigma(z^{(L)})

    J(\theta) = \frac1m \sum_i \sum_k \left[ -y_{ik} \log h_{ik} - (1 - y_{ik}) \log(1 - h_{ik}) \right]
                + \frac{\lambda}{2m} \sum_l \lVert W_l \rVert^2

The exercise has one hidden layer, and g is the sigmoid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nnexp.arrays import Array, Numbers
from nnexp.nn.activations import Activation
from nnexp.nn.own_activation import at_complex, slope_at_complex
from nnexp.nn.parameters import unpack


@dataclass(frozen=True)
class Hidden:
    """An activation g of hidden units, with its slope g'."""

    value: Callable[[Numbers], Numbers]
    slope: Callable[[Numbers], Numbers]


def sigmoid(z: Numbers) -> Numbers:
    """1 / (1 + e^-z), elementwise."""
    return 1 / (1 + np.exp(-z))


def relu(z: Numbers) -> Numbers:
    """max(z, 0), elementwise, by the real part of a complex z."""
    return np.where(z.real > 0, z, 0)


HIDDEN = {
    "sigmoid": Hidden(sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": Hidden(np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": Hidden(relu, lambda z: np.where(z.real > 0, 1.0, 0.0)),  # at the kink: 0
}


def hidden(activation: str | Activation) -> Hidden:
    """A built-in activation by its name, or a user's own."""
    if isinstance(activation, Activation):
        return Hidden(at_complex(activation), slope_at_complex(activation))
    return HIDDEN[activation]


def feed_forward(
    theta: Numbers, X: Array, layer_sizes: Sequence[int], *, activation: str | Activation = "sigmoid"
) -> tuple[list[Numbers], Numbers]:
    """Activations a of the layers 0 ... L-1, (m, n_l) each, and z of the output layer, the logits (m, n_L)."""
    weights, biases = unpack(theta, layer_sizes)
    activations: list[Numbers] = [X]
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        z = activations[-1] @ w.T + b  # (m, n_in) @ (n_in, n_out) + (n_out,) -> (m, n_out)
        activations.append(hidden(activation).value(z))
    return activations, activations[-1] @ weights[-1].T + biases[-1]  # (m, n_in) @ (n_in, n_L) + (n_L,) -> (m, n_L)


def cost(
    theta: Numbers,
    X: Array,
    Y: Array,
    layer_sizes: Sequence[int],
    *,
    activation: str | Activation = "sigmoid",
    l2: float = 0.0,
) -> np.inexact:
    """J of X (m, n_0) and Y (m, n_L) of zeros and ones, in nats per sample; `l2` is the lambda of the penalty.

    With h = 1 / (1 + e^-z), -log h is log(1 + e^-z) and -log(1 - h) is log(1 + e^z): no digits are lost where h is
    close to 1.
    """
    m = len(X)
    _, z = feed_forward(theta, X, layer_sizes, activation=activation)  # (m, n_L)
    loss = np.sum(Y * np.log1p(np.exp(-z)) + (1 - Y) * np.log1p(np.exp(z))) / m
    weights, _ = unpack(theta, layer_sizes)  # the biases are not penalized
    return loss + l2 / (2 * m) * sum(np.sum(w * w) for w in weights)


def gradient(
    theta: Numbers,
    X: Array,
    Y: Array,
    layer_sizes: Sequence[int],
    *,
    activation: str | Activation = "sigmoid",
    l2: float = 0.0,
) -> Numbers:
    """dJ/dtheta by back-propagation, packed as `theta`; the arguments are those of `cost`.

    ``deltas`` are dJ/dz of one layer after the other, from the outputs down. Rumelhart, Hinton and Williams 1986,
    "Learning representations by back-propagating errors".
    """
    m = len(X)
    weights, biases = unpack(theta, layer_sizes)
    activations, z = feed_forward(theta, X, layer_sizes, activation=activation)
    result = np.empty_like(theta)
    d_weights, d_biases = unpack(result, layer_sizes)  # views: what is written into them is written into `result`

    deltas = (sigmoid(z) - Y) / m  # (m, n_L): the slope of the sigmoid cancels against that of the logarithms
    for layer in reversed(range(len(weights))):
        # (n_out, m) @ (m, n_in) -> (n_out, n_in)
        d_weights[layer][...] = deltas.T @ activations[layer] + l2 / m * weights[layer]
        d_biases[layer][...] = deltas.sum(axis=0)  # (n_out,)
        if layer > 0:  # X has no deltas
            below = activations[layer - 1] @ weights[layer - 1].T + biases[layer - 1]  # z of this layer, (m, n_in)
            # (m, n_out) @ (n_out, n_in) -> (m, n_in)
            deltas = deltas @ weights[layer] * hidden(activation).slope(below)
    return result
