"""Methods of fixed steps that also run on mini-batches: SGD and Adam."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nnexp.arrays import Array
from nnexp.optim.evaluations import Ending, Evaluations
from nnexp.optim.options import GTOL, boolean, integer, real

BATCH_SIZE = "[1, inf)", "samples of a mini-batch; null or as many as there are: all of them, one step an iteration"


# The defaults do well on the exercise's network: in 400 epochs on 4,000 images SGD reaches a cost of 0.340, Adam 0.344
# (with the published learning rate, 0.001, it reaches 0.355).
@dataclass(frozen=True)
class SgdOptions:
    """Options of SGD."""

    learning_rate: float = real(0.1, "(0, inf)", "step")
    momentum: float = real(0.9, "[0, 1)", "share of the previous step that is kept")
    nesterov: bool = boolean(False, "take the gradient where the momentum leads")
    batch_size: int | None = integer(32, *BATCH_SIZE, optional=True)
    gtol: float = real(*GTOL)


@dataclass(frozen=True)
class AdamOptions:
    """Options of Adam."""

    learning_rate: float = real(0.003, "(0, inf)", "step, roughly the change of each entry of theta")
    beta1: float = real(0.9, "[0, 1)", "decay of the mean of the gradients")
    beta2: float = real(0.999, "[0, 1)", "decay of the mean of their squares")
    epsilon: float = real(1e-8, "(0, inf)", "added to the root of the mean square")
    batch_size: int | None = integer(32, *BATCH_SIZE, optional=True)
    gtol: float = real(*GTOL)


# Takes theta and the gradient there, returns the next theta; keeps its averages from step to step.
Step = Callable[[Array, Array], Array]


def solve_sgd(run: Evaluations, theta0: Array, options: SgdOptions) -> Ending:
    """Minimize by stochastic gradient descent with classical or Nesterov's momentum (Sutskever et al. 2013)."""
    step = momentum(options.learning_rate, options.momentum, options.nesterov)
    return _descend(run, theta0, step, options.batch_size, options.gtol)


def solve_adam(run: Evaluations, theta0: Array, options: AdamOptions) -> Ending:
    """Minimize by Adam, algorithm 1 of Kingma and Ba 2015."""
    step = adam(options.learning_rate, options.beta1, options.beta2, options.epsilon)
    return _descend(run, theta0, step, options.batch_size, options.gtol)


def momentum(learning_rate: float, momentum: float, nesterov: bool) -> Step:
    """Make the step v <- momentum v - learning_rate g; theta <- theta + v.

    With `nesterov`, theta <- theta + momentum v - learning_rate g.
    """
    velocity = np.zeros(1)

    def step(theta: Array, gradient: Array) -> Array:
        nonlocal velocity
        velocity = momentum * velocity - learning_rate * gradient
        return theta + (momentum * velocity - learning_rate * gradient if nesterov else velocity)

    return step


def adam(learning_rate: float, beta1: float, beta2: float, epsilon: float) -> Step:
    """Make the step theta <- theta - learning_rate m / (sqrt(v) + epsilon), m and v corrected for their zero start."""
    mean, mean_square, t = np.zeros(1), np.zeros(1), 0

    def step(theta: Array, gradient: Array) -> Array:
        nonlocal mean, mean_square, t
        t += 1
        mean = beta1 * mean + (1 - beta1) * gradient
        mean_square = beta2 * mean_square + (1 - beta2) * gradient**2
        m, v = mean / (1 - beta1**t), mean_square / (1 - beta2**t)
        return theta - learning_rate * m / (np.sqrt(v) + epsilon)

    return step


def _descend(run: Evaluations, theta0: Array, step: Step, batch_size: int | None, gtol: float) -> Ending:
    """Take one step, or an epoch of them, an iteration, until the full gradient is small."""
    point, batch_size = run(theta0), batch_size or run.n_samples
    while np.abs(point.gradient).max() > gtol:
        theta = point.theta
        if batch_size >= run.n_samples:
            theta = run(step(theta, point.gradient)).theta
        else:
            for indices in run.epoch(batch_size):
                theta = step(theta, run.batch(theta, indices))
        run.iterated(theta)  # which measures the cost after an epoch, uncounted
        point = run.point(theta)
    return Ending(point.theta, True, "the gradient is within optimizer.options.gtol")
