"""The regularized cost of a network with sigmoid outputs, its gradient, its Hessian times a vector; what they cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from nnexp.arrays import Array, Floats, Indices
from nnexp.nn.activations import Activation, get_activation
from nnexp.nn.engine.passes import FoldedWeights, Passes, Sums
from nnexp.nn.engine.products import aligned, aligned_copy, float_type
from nnexp.nn.parameters import check_layer_sizes, n_parameters, unpack

SAMPLES_PER_PASS = 2500  # their work arrays stay in the second-level cache, their X in the third
MOST_SUMS = 8  # partial sums; as many threads can share the work


class Objective:
    r"""Cost of the exercise, with any number of hidden layers.

    .. math::
        J(\theta) = -\frac1m \sum_{i=1}^m \sum_k \left[ y_{ik} \log h_{ik} + (1 - y_{ik}) \log(1 - h_{ik}) \right]
                    + \frac{\lambda}{2m} \sum_l \lVert W_l \rVert^2

    in nats per sample. The outputs h are sigmoids; the biases are not penalized. Exercise 4 of the Machine Learning
    course by Andrew Ng, sections 1.3 to 2.5; back-propagation after Rumelhart, Hinton & Williams 1986.

    Calling the objective gives cost and gradient in one go. It is finite, without a warning, for every theta of entries
    up to 1e6 and more. Equal arguments give equal results, bit for bit, whatever `threads` is; leave BLAS one thread.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Copied, unless it is read-only, row-major, of this dtype and aligned to 64 bytes.
    Y : array of shape (n_samples, n_outputs)
        Zeros and ones.
    layer_sizes : sequence of int
        Units from the input to the output; the first is n_features, the last n_outputs.
    activation : str or Activation
        Of the hidden units: a key of `ACTIVATIONS`, or one of your own.
    l2 : float
        The penalty's lambda.
    dtype : float64 or float32
        Arithmetic of the passes. Theta, cost and gradient are float64 always.
    threads : int
        Threads among which the samples are divided, where there are more than 2,500 of them.

    Attributes
    ----------
    n_samples : int
    layer_sizes, activation, l2, dtype, threads
        As given.

    Raises
    ------
    ValueError
        If the arguments do not fit each other.
    """

    def __init__(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        layer_sizes: Sequence[int],
        *,
        activation: str | Activation = "sigmoid",
        l2: float = 0.0,
        dtype: DTypeLike = np.float64,
        threads: int = 1,
    ) -> None:
        samples, truth = np.asarray(X), np.asarray(Y)
        self.layer_sizes, self.dtype = check_layer_sizes(layer_sizes), float_type(dtype)
        self.activation, self.l2, self.n_samples, self.threads = activation, float(l2), len(samples), index(threads)
        self._check(samples, truth)
        self._X = aligned_copy(samples, self.dtype)
        self._signs = aligned((truth.shape[1], len(truth)), self.dtype)
        np.subtract(1, 2.0 * truth.T, out=self._signs, casting="same_kind")
        self._kind = self.layer_sizes, get_activation(activation), self.dtype
        self._folded, self._direction, self._batch_folded = (FoldedWeights(*self._kind) for _ in range(3))
        self._theta: Array | None = None  # the last one evaluated on all samples
        self._batch: Passes | None = None
        self._batch_sums = Sums(*self._kind)

        # How the samples are cut and summed does not depend on the number of threads, so neither does the result.
        m = self.n_samples
        n_passes = 1 if m <= SAMPLES_PER_PASS else 2 * -(-m // (2 * SAMPLES_PER_PASS))  # even, for two threads
        self._width = -(-m // n_passes // 16) * 16  # whole cache lines
        n_passes = -(-m // self._width)
        self._sums = [Sums(*self._kind) for _ in range(min(n_passes, MOST_SUMS))]
        self._n_workers = min(self.threads, len(self._sums))
        self._pool = ThreadPoolExecutor(self._n_workers - 1) if self._n_workers > 1 else None
        self._passes = self._make_passes(keep=False)

    def _check(self, X: NDArray[Any], Y: NDArray[Any]) -> None:
        expected = self.layer_sizes[0], self.layer_sizes[-1]
        if X.ndim != 2 or Y.ndim != 2 or not len(X) or len(X) != len(Y) or (X.shape[1], Y.shape[1]) != expected:
            raise ValueError(
                f"expected X of shape (n, {expected[0]}) and Y of shape (n, {expected[1]}) with n >= 1 for "
                f"layer_sizes {self.layer_sizes}, got {X.shape} and {Y.shape}"
            )
        if not np.all((Y == 0) | (Y == 1)):
            raise ValueError("`Y` must hold zeros and ones only")
        if not 0 <= self.l2 < np.inf:
            raise ValueError(f"`l2` must be >= 0 and finite, got {self.l2}")
        if self.threads < 1:
            raise ValueError(f"`threads` must be >= 1, got {self.threads}")

    def _make_passes(self, *, keep: bool) -> list[Passes]:
        """Make passes over all samples; those that one worker does share their work arrays, unless they `keep` them."""
        passes: list[Passes] = []
        for i, start in enumerate(range(0, self.n_samples, self._width)):
            rows, worker = slice(start, start + self._width), i % len(self._sums) % self._n_workers
            work = passes[worker] if worker < i and not keep else None
            parts = self._X[rows], self.layer_sizes, self._kind[1], self._signs[:, rows]
            passes.append(Passes(*parts, work=work, keep=keep))
        return passes

    def _run(self, step: Callable[[Passes, Sums], None]) -> Sums:
        """Take a step with all passes, on all threads, and sum up in an order that does not depend on them."""

        def run(worker: int) -> None:
            for i in range(worker, len(self._sums), self._n_workers):
                self._sums[i].clear()
                for passes in self._passes[i :: len(self._sums)]:
                    step(passes, self._sums[i])

        others: list[Future[None]] = []
        try:
            if self._pool is not None:  # NumPy's error state goes with the context
                others = [self._pool.submit(copy_context().run, run, i) for i in range(1, self._n_workers)]
            run(0)
        finally:
            wait(others)  # after Ctrl-C too: they must not write into the next evaluation
        for other in others:
            other.result()
        total, *rest = self._sums
        for sums in rest:
            total.merge(sums)
        return total

    def __call__(self, theta: ArrayLike) -> tuple[float, Array]:
        """Cost and gradient.

        Parameters
        ----------
        theta : array of shape (n_parameters,)
            Not changed.

        Returns
        -------
        cost : float
            J, with the penalty.
        gradient : ndarray of shape (n_parameters,), float64
            A new array.
        """
        theta = np.asarray(theta, np.float64)
        self._theta = None
        self._folded.load(theta)
        sums = self._run(self._evaluate)
        self._theta = theta.copy()
        return self._cost_and_gradient(sums, theta, self.n_samples)

    def _evaluate(self, passes: Passes, sums: Sums) -> None:
        passes.forward(self._folded)
        passes.backward(self._folded, sums)

    def _cost_and_gradient(self, sums: Sums, theta: Array, n_rows: int) -> tuple[float, Array]:
        gradient = sums.gradient(theta, n_rows, self.l2 / self.n_samples)
        return sums.loss / n_rows + self.penalty(theta), gradient

    def cost(self, theta: ArrayLike) -> float:
        """The cost alone: to the last bit what calling the objective gives, in about half of the time."""
        theta = np.asarray(theta, np.float64)
        self._theta = None
        self._folded.load(theta)
        sums = self._run(self._evaluate_cost)
        return sums.loss / self.n_samples + self.penalty(theta)

    def _evaluate_cost(self, passes: Passes, sums: Sums) -> None:
        passes.forward(self._folded)
        sums.loss += passes.loss()

    def penalty(self, theta: ArrayLike) -> float:
        """l2 / (2 n_samples) times the sum of the squared weights, without the biases; cost = loss + penalty."""
        weights, _ = unpack(np.asarray(theta, np.float64), self.layer_sizes)
        return self.l2 / (2 * self.n_samples) * float(sum(np.einsum("ij,ij", w, w) for w in weights))

    def logits(self, theta: ArrayLike) -> Floats:
        """Logits of the samples, (n_samples, n_outputs); no pass is made for the theta evaluated last."""
        theta = np.asarray(theta, np.float64)
        if not self._is_last(theta):
            self._theta = None
            self._folded.load(theta)
            self._run(lambda passes, _: passes.forward(self._folded))
        return 2 * np.concatenate([passes.half_logits for passes in self._passes], axis=1).T

    def _is_last(self, theta: Array) -> bool:
        return self._theta is not None and np.array_equal(theta, self._theta)

    def batch(self, theta: ArrayLike, indices: ArrayLike) -> tuple[float, Array]:
        """Cost and gradient on some of the samples: their mean loss plus `penalty(theta)`, the full one.

        Parameters
        ----------
        theta : array of shape (n_parameters,)
        indices : array of int, of shape (n_rows,)
            Rows of X; over an epoch of equal batches the mean of these gradients is the full gradient.

        Returns
        -------
        cost, gradient
            As from calling the objective.
        """
        theta = np.asarray(theta, np.float64)
        rows: Indices = np.asarray(indices)
        passes, sums = self._load_batch(rows), self._batch_sums
        self._batch_folded.load(theta)
        sums.clear()
        passes.forward(self._batch_folded)
        passes.backward(self._batch_folded, sums)
        return self._cost_and_gradient(sums, theta, len(rows))

    def _load_batch(self, indices: Indices) -> Passes:
        n = len(indices)
        if self._batch is None or len(self._batch.ones) != n:
            X, signs = aligned((n, self.layer_sizes[0]), self.dtype), np.empty((self.layer_sizes[-1], n))
            self._batch = Passes(X, self.layer_sizes, self._kind[1], signs)
        np.take(self._X, indices, axis=0, out=self._batch.inputs.X)
        np.take(self._signs, indices, axis=1, out=self._batch.signs)
        return self._batch

    def hessp(self, theta: ArrayLike, v: ArrayLike) -> Array:
        """Hessian of the cost at `theta` times `v`, by the R-operator of Pearlmutter 1994.

        At the theta evaluated last no forward pass is made; from the first call on, the objective keeps what that takes
        (three arrays of n_hidden x n_samples for each hidden layer).

        Parameters
        ----------
        theta, v : array of shape (n_parameters,)

        Returns
        -------
        product : ndarray of shape (n_parameters,), float64
            A new array. For relu the bends, where the second derivative is no function, count as 0.

        Raises
        ------
        ValueError
            If the activation has no second derivative.
        """
        if isinstance(self.activation, Activation) and self.activation.second_derivative is None:
            raise ValueError(f"the activation {self.activation.name} has no second derivative, which a Hessian needs")
        theta, v = np.asarray(theta, np.float64), np.asarray(v, np.float64)
        if not self._passes[0].keep:
            self._passes, self._theta = self._make_passes(keep=True), None
        if not self._is_last(theta):
            self(theta)
        self._direction.load(v)
        sums = self._run(lambda passes, sums: passes.curvature(self._folded, self._direction, sums))
        return sums.gradient(v, self.n_samples, self.l2 / self.n_samples)


TEMPORARIES = 6  # complex arrays of one layer that live at once in a gradient check
ELEMENTS_PER_SECOND = 1e8  # that a gradient check gets through, roughly
EVALUATIONS_PER_PARAMETER = 4  # two for the central difference, and a complex one, which takes as long as two


def objective_bytes(layer_sizes: Sequence[int], n_samples: int, dtype: np.dtype) -> int:
    """Bytes that an objective takes, roughly: folded weights, sums of the gradient, samples and work arrays."""
    n_params, item = n_parameters(layer_sizes), np.dtype(dtype).itemsize
    n_sums = min(MOST_SUMS, -(-n_samples // SAMPLES_PER_PASS))
    work = 3 * sum(layer_sizes[1:]) * min(n_samples, SAMPLES_PER_PASS)
    return item * (n_params * (3 * 2 + n_sums) + layer_sizes[0] * n_samples + work)


def gradient_check_bytes(layer_sizes: Sequence[int], n_samples: int) -> int:
    """Bytes that a full gradient check takes, roughly: z of all layers twice, and the temporaries of the widest."""
    widest = max(layer_sizes[2:], default=1)
    return n_samples * (8 * 2 * sum(layer_sizes[1:]) + 16 * TEMPORARIES * widest)


def gradient_check_seconds(layer_sizes: Sequence[int], n_samples: int) -> float:
    """Seconds that a full gradient check takes, within a factor of a few: a parameter changes every later layer."""
    elements = 0.0
    for layer in range(1, len(layer_sizes)):
        n_units_after = sum(layer_sizes[layer + 1 :])
        elements += (1 + layer_sizes[layer - 1]) * layer_sizes[layer] * (1 + n_units_after)
    return EVALUATIONS_PER_PARAMETER * elements * n_samples / ELEMENTS_PER_SECOND
