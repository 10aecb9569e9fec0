"""What is done with the logits of a network: the forward pass over fixed samples, loss, probabilities, classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from nnexp.arrays import Floats, Indices
from nnexp.nn.activations import ACTIVATIONS, Activation, get_activation
from nnexp.nn.engine.passes import FoldedWeights, Passes
from nnexp.nn.engine.products import aligned_copy, float_type
from nnexp.nn.parameters import check_layer_sizes


class Forward:
    """Forward pass over fixed samples, ready to be repeated for many theta.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    layer_sizes : sequence of int
    activation : str or Activation
        Of the hidden units: a key of `ACTIVATIONS`, or one of your own.
    dtype : float64 or float32
        Arithmetic of the pass.

    Raises
    ------
    ValueError
        If the arguments do not fit each other.
    """

    def __init__(
        self,
        X: ArrayLike,
        layer_sizes: Sequence[int],
        *,
        activation: str | Activation = "sigmoid",
        dtype: DTypeLike = np.float64,
    ) -> None:
        samples, sizes, kind = np.asarray(X), check_layer_sizes(layer_sizes), float_type(dtype)
        if samples.ndim != 2 or samples.shape[1] != sizes[0]:
            raise ValueError(f"expected X of shape (n, {sizes[0]}) for layer_sizes {sizes}, got {samples.shape}")
        act = get_activation(activation)
        self._folded = FoldedWeights(sizes, act, kind)
        self._passes = Passes(aligned_copy(samples, kind), sizes, act)

    def __call__(self, theta: ArrayLike) -> Floats:
        """Logits of the samples, a new array of shape (n_samples, n_outputs)."""
        self._folded.load(np.asarray(theta, np.float64))
        self._passes.forward(self._folded)
        return 2 * self._passes.half_logits.T


def cross_entropy(logits: Floats, Y: Floats) -> float:
    """Mean over the samples of the loss summed over the outputs, in nats per sample.

    ``softplus((1 - 2 Y) * logits)``, which does not overflow.

    Parameters
    ----------
    logits : ndarray of shape (n_samples, n_outputs)
    Y : ndarray of shape (n_samples, n_outputs)
        Zeros and ones.
    """
    losses = np.logaddexp(0, (1 - 2 * Y) * logits)
    return float(losses.sum(axis=1, dtype=np.float64).mean())


def probabilities(logits: Floats) -> Floats:
    """Sigmoid of each logit; the outputs are independent, so the row of a sample need not sum to 1."""
    return ACTIVATIONS["sigmoid"](logits)


def predict(logits: Floats) -> Indices:
    """Index of the largest output of each sample, (n_samples,); the first one of equals."""
    return np.argmax(logits, axis=1)
