"""The same evaluation by other libraries. Each function prepares it and returns a call that gives the cost."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from unittest import mock

import numpy as np

from benchmarks import notebook
from nnexp.nn import Objective, unpack

Call = Callable[[], float]


def ours(theta, layers, X, Y, l2, threads: int = 1) -> Call:
    objective = Objective(X, Y, layers, l2=l2, dtype=X.dtype, threads=threads)
    return lambda: objective(theta)[0]


def notebook_loop(theta, layers, X, Y, l2) -> Call:
    return lambda: notebook.loop(theta, layers, X, Y, l2)[0]


def notebook_vectorised(theta, layers, X, Y, l2) -> Call:
    return lambda: notebook.vectorised(theta, layers, X, Y, l2)[0]


def torch_autograd(theta, layers, X, Y, l2, threads: int = 1) -> Call:
    """PyTorch's autograd on its own weight tensors, so that packing theta is not counted."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(threads)
    weights, biases = unpack(theta, layers)
    parameters = [torch.tensor(np.array(a).astype(X.dtype), requires_grad=True) for a in (*weights, *biases)]
    (w1, w2), (b1, b2) = parameters[:2], parameters[2:]
    # Copies: PyTorch would warn of memory that cannot be written to.
    x, y, m = torch.from_numpy(X.copy()), torch.from_numpy(Y.astype(X.dtype)), len(X)

    def call() -> float:
        logits = functional.linear(torch.sigmoid(functional.linear(x, w1, b1)), w2, b2)
        loss = functional.binary_cross_entropy_with_logits(logits, y, reduction="sum") / m
        cost = loss + l2 / (2 * m) * ((w1 * w1).sum() + (w2 * w2).sum())
        torch.autograd.grad(cost, parameters)
        return cost.item()

    return call


def jax_jit(theta, layers, X, Y, l2) -> Call:
    """JAX's compiled value_and_grad. It uses as many threads as there are cores for this process."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    n_in, n_hidden, n_out = layers
    cut, m = n_hidden * (n_in + 1), len(X)

    def cost(theta, x, y):
        theta1, theta2 = theta[:cut].reshape(n_hidden, n_in + 1), theta[cut:].reshape(n_out, n_hidden + 1)
        hidden = jax.nn.sigmoid(x @ theta1[:, 1:].T + theta1[:, 0])
        logits = hidden @ theta2[:, 1:].T + theta2[:, 0]
        loss = jnp.sum(jax.nn.softplus((1 - 2 * y) * logits)) / m
        return loss + l2 / (2 * m) * (jnp.sum(theta1[:, 1:] ** 2) + jnp.sum(theta2[:, 1:] ** 2))

    compiled = jax.jit(jax.value_and_grad(cost))
    arrays = [jnp.asarray(a, X.dtype) for a in (theta, X, Y)]

    def call() -> float:
        value, gradient = compiled(*arrays)
        gradient.block_until_ready()
        return float(value)

    call()  # the client and its threads are made here
    return call


class _CaughtError(Exception):
    pass


def sklearn_mlp(theta, layers, X, Y, l2) -> Call:
    """scikit-learn's own cost and gradient, captured where its lbfgs solver passes them to SciPy."""
    from sklearn.neural_network import MLPClassifier

    caught = {}

    def catch(fun, x0, args=(), **_):
        caught.update(fun=fun, args=args)
        raise _CaughtError

    model = MLPClassifier(layers[1:-1], activation="logistic", solver="lbfgs", alpha=l2)
    with warnings.catch_warnings(), mock.patch("scipy.optimize.minimize", catch):
        warnings.simplefilter("ignore")
        try:
            model.fit(X, Y.astype(int))
        except _CaughtError:
            pass
    weights, biases = unpack(theta, layers)  # scikit-learn's order: all weights (n_in, n_out), then all biases
    packed = np.concatenate([*(w.T.ravel() for w in weights), *biases]).astype(X.dtype)
    return lambda: float(caught["fun"](packed, *caught["args"])[0])


class OneCore:
    """Restrict the process to one core, so that libraries start one thread."""

    def __enter__(self) -> None:
        self._cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        if self._cores:
            os.sched_setaffinity(0, {max(self._cores)})

    def __exit__(self, *_: object) -> None:
        if self._cores:
            os.sched_setaffinity(0, self._cores)
