"""Training one network: data and settings in, one frozen result out.

Knows no Hydra, no MLflow and no files. What wants to follow a fit live passes `on_row`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnexp.blas import blas_threads
from nnexp.datasets import Dataset, Split
from nnexp.nn import (
    Activation,
    Forward,
    Objective,
    cross_entropy,
    directional_check,
    initialize,
    name_of,
    predict,
)
from nnexp.optim import Iterate, minimize
from nnexp.runs.history import Row, columns_of

# Independent streams of one seed. The initial theta is the plain default_rng(seed), the split takes [seed, 1].
SHUFFLE_STREAM, DIRECTION_STREAM = 2, 3


@dataclass(frozen=True)
class FitResult:
    """What a fit gives back.

    Attributes
    ----------
    theta0, theta : ndarray of shape (n_parameters,)
        The start and the best point found, float64, packed as :func:`nnexp.nn.unpack` says.
    cost, loss : float
        Objective with and without the penalty at `theta`, nats per sample, over the training part.
    kept : dict of str to float
        What the history has for an iteration, at `theta`: cost, loss and accuracy of the parts, under the same names.
    kept_iter : int
        The iteration in which `theta` was found; the last, unless the method has gone uphill since.
    n_iter, n_fev : int
        Iterations, and evaluations of cost and gradient (a Hessian-vector product counts as one).
    fit_seconds : float
        Wall time of the optimizer and its history.
    status, message : str
        ``converged``, ``maxiter``, ``maxfun``, ``failed``, ``interrupted`` or ``stopped``, and the reason in words.
    gradient_check : float
        Largest relative difference of the gradient from central differences along random directions, at `theta0`.
    history : dict of str to ndarray of shape (n_rows,)
        One row an iteration from 0 on; NaN where a part was not evaluated. `step` is the iteration, `time` seconds
        since the epoch, `seconds` since the start of the fit; the rest are the names of the logged metrics.
    snapshots : dict of int to ndarray
        `theta` at the iterations of which pictures were asked for.
    """

    theta0: np.ndarray
    theta: np.ndarray
    cost: float
    loss: float
    kept: Row
    kept_iter: int
    n_iter: int
    n_fev: int
    fit_seconds: float
    success: bool
    status: str
    message: str
    gradient_check: float
    layer_sizes: tuple[int, ...]
    activation: str
    history: dict[str, np.ndarray]
    snapshots: dict[int, np.ndarray] = field(default_factory=dict[int, np.ndarray])


class History:
    """Rows of the history as they come; each is handed on when the next one has come, for the last may be completed."""

    def __init__(self, on_row: Callable[[Row], None] | None) -> None:
        self.rows: list[Row] = []
        self._on_row = on_row
        self._handed_on = 0

    def append(self, row: Row) -> None:
        """Add a row and hand on those before it; a second row of one step replaces the first."""
        if self.rows and self.rows[-1]["step"] == row["step"]:
            self.rows.pop()
        self._hand_on()
        self.rows.append(row)

    def close(self, complete: Row) -> None:
        """Complete the last row and hand it on."""
        if self.rows:
            self.rows[-1].update(complete)
        self._hand_on()

    def _hand_on(self) -> None:
        while self._on_row is not None and self._handed_on < len(self.rows):
            self._handed_on += 1
            self._on_row(self.rows[self._handed_on - 1])

    def columns(self) -> dict[str, np.ndarray]:
        """The rows as arrays by name, NaN where a row lacks a value."""
        return columns_of(self.rows)


def _share(predicted: np.ndarray, y: np.ndarray) -> float:
    """The share of the samples that are predicted right."""
    return float(np.mean(np.equal(predicted, y)))


class _HeldOut:
    """A part that training does not see, ready to be evaluated at any theta."""

    def __init__(
        self, part: str, data: Dataset, layer_sizes: Sequence[int], activation: str | Activation, dtype: str
    ) -> None:
        self.part, self.Y, self.y = part, data.Y, data.y
        self.forward = Forward(data.X, layer_sizes, activation=activation, dtype=np.dtype(dtype))

    def metrics(self, theta: np.ndarray) -> Row:
        logits = self.forward(theta)
        return {
            f"loss/{self.part}": cross_entropy(logits, self.Y),
            f"accuracy/{self.part}": _share(predict(logits), self.y),
        }


def fit(
    split: Split,
    *,
    hidden_sizes: list[int],
    activation: str | Activation = "sigmoid",
    l2: float = 1.0,
    init_scale: float | str = 0.12,
    method: str = "TNC",
    maxiter: int = 400,
    maxfun: int = 400,
    options: Mapping[str, Any] | None = None,
    dtype: str = "float64",
    threads: int = 1,
    evaluate_every: int = 1,
    images_every: int = 0,
    seed: int = 0,
    on_row: Callable[[Row], None] | None = None,
    on_iterate: Callable[[Iterate], object] | None = None,
) -> FitResult:
    """Train a network on ``split.train`` and keep the history of every iteration.

    Parameters
    ----------
    split
        The parts; `validation` and `test` are evaluated every `evaluate_every` iterations where they exist.
    hidden_sizes, activation, l2, init_scale
        The network, its penalty and its start; an `Activation` is one of your own; `theta0` is the first draw of
        ``numpy.random.default_rng(seed)``.
    method, maxiter, maxfun, options
        See :func:`nnexp.optim.minimize`.
    dtype
        ``float64`` or ``float32``, the arithmetic of the objective; theta itself is always float64.
    threads
        Among which the objective divides the samples. BLAS has one, and the result does not depend on their number.
    images_every
        Keep `theta` every so many iterations (0: never).
    on_row
        Called with each row of the history, one iteration late.
    on_iterate
        Called with the point of each iteration, at once. A `BudgetSpent` that it raises ends the fit with its status;
        the same iteration is then reported once more.

    Returns
    -------
    FitResult
        Also when a budget ended or Ctrl-C came: then with the best point so far and the `status` that says so.

    Raises
    ------
    nnexp.optim.NonFiniteCostError
        Where the cost stops being a finite number.
    KeyboardInterrupt
        Where Ctrl-C came before the first evaluation was done: there is nothing to keep.
    """
    train = split.train
    layer_sizes = (train.X.shape[1], *hidden_sizes, len(train.classes))
    theta0 = initialize(layer_sizes, init_scale, np.random.default_rng(seed))
    held_out = [
        _HeldOut(part, data, layer_sizes, activation, dtype)
        for part, data in (("validation", split.validation), ("test", split.test))
        if data is not None
    ]
    history, snapshots = History(on_row), {}
    latest: Iterate | None = None

    with blas_threads(1):
        objective = Objective(
            train.X, train.Y, layer_sizes, activation=activation, l2=l2, dtype=np.dtype(dtype), threads=threads
        )
        checked = directional_check(objective, theta0, np.random.default_rng([seed, DIRECTION_STREAM]))
        start = time.perf_counter()

        def on_train(theta: np.ndarray, cost: float) -> Row:
            return {
                "cost/train": cost,
                "loss/train": cost - objective.penalty(theta),
                "accuracy/train": _share(predict(objective.logits(theta)), train.y),
            }

        def on_held_out(theta: np.ndarray) -> Row:
            return {key: value for part in held_out for key, value in part.metrics(theta).items()}

        def follow(iterate: Iterate) -> None:
            nonlocal latest
            row = {
                "step": iterate.n_iter,
                "time": time.time(),
                "seconds": time.perf_counter() - start,
                **on_train(iterate.theta, iterate.cost),
                "optimizer/gradient_norm": float(np.linalg.norm(iterate.gradient)),
                "optimizer/n_fev": iterate.n_fev,
            }
            if iterate.n_iter % evaluate_every == 0:
                row |= on_held_out(iterate.theta)
            if images_every and iterate.n_iter % images_every == 0:
                snapshots[iterate.n_iter] = iterate.theta
            history.append(row)
            latest = iterate
            if on_iterate is not None:
                on_iterate(iterate)

        result = minimize(
            objective,
            theta0,
            method=method,
            maxiter=maxiter,
            maxfun=maxfun,
            options=options,
            hessp=objective.hessp,
            batch=objective.batch,
            n_samples=train.X.shape[0],
            rng=np.random.default_rng([seed, SHUFFLE_STREAM]),
            callback=follow,
        )
        if latest is None:
            raise KeyboardInterrupt
        history.close(on_held_out(latest.theta))
        kept = on_train(result.theta, result.cost) | on_held_out(result.theta)
        seconds = time.perf_counter() - start

    return FitResult(
        theta0=theta0,
        theta=result.theta,
        cost=result.cost,
        loss=kept["loss/train"],
        kept=kept,
        kept_iter=result.kept_iter,
        n_iter=result.n_iter,
        n_fev=result.n_fev,
        fit_seconds=seconds,
        success=result.success,
        status=result.status,
        message=result.message,
        gradient_check=checked,
        layer_sizes=layer_sizes,
        activation=name_of(activation),
        history=history.columns(),
        snapshots=snapshots,
    )
