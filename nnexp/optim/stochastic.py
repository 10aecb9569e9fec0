"""Methods of fixed steps that also run on mini-batches: SGD and Adam."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnexp.optim.evaluations import Ending, Evaluations
from nnexp.optim.options import GTOL, boolean, integer, real

BATCH_SIZE = "samples of a mini-batch; null or as many as there are: all of them, one step an iteration"
# The defaults do well on the exercise's network: in 400 epochs on 4,000 images SGD reaches a cost of 0.340, Adam 0.344
# (with the published learning rate, 0.001, it reaches 0.355).
SGD_OPTIONS = {
    "learning_rate": real(0.1, "(0, inf)", "step"),
    "momentum": real(0.9, "[0, 1)", "share of the previous step that is kept"),
    "nesterov": boolean(False, "take the gradient where the momentum leads"),
    "batch_size": integer(32, "[1, inf)", BATCH_SIZE, optional=True),
    "gtol": GTOL,
}
ADAM_OPTIONS = {
    "learning_rate": real(0.003, "(0, inf)", "step, roughly the change of each entry of theta"),
    "beta1": real(0.9, "[0, 1)", "decay of the mean of the gradients"),
    "beta2": real(0.999, "[0, 1)", "decay of the mean of their squares"),
    "epsilon": real(1e-8, "(0, inf)", "added to the root of the mean square"),
    "batch_size": integer(32, "[1, inf)", BATCH_SIZE, optional=True),
    "gtol": GTOL,
}

# Takes theta and the gradient there, returns the next theta; keeps its averages from step to step.
Step = Callable[[np.ndarray, np.ndarray], np.ndarray]


def solve_sgd(run: Evaluations, theta0: np.ndarray, options: dict) -> Ending:
    """Minimize by stochastic gradient descent with classical or Nesterov's momentum (Sutskever et al. 2013)."""
    return _descend(run, theta0, options, momentum(options["learning_rate"], options["momentum"], options["nesterov"]))


def solve_adam(run: Evaluations, theta0: np.ndarray, options: dict) -> Ending:
    """Minimize by Adam, algorithm 1 of Kingma and Ba 2015."""
    return _descend(run, theta0, options, adam(*(options[k] for k in ("learning_rate", "beta1", "beta2", "epsilon"))))


def momentum(learning_rate: float, momentum: float, nesterov: bool) -> Step:
    """Make the step v <- momentum v - learning_rate g; theta <- theta + v.

    With `nesterov`, theta <- theta + momentum v - learning_rate g.
    """
    velocity = np.zeros(1)

    def step(theta: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        nonlocal velocity
        velocity = momentum * velocity - learning_rate * gradient
        return theta + (momentum * velocity - learning_rate * gradient if nesterov else velocity)

    return step


def adam(learning_rate: float, beta1: float, beta2: float, epsilon: float) -> Step:
    """Make the step theta <- theta - learning_rate m / (sqrt(v) + epsilon), m and v corrected for their zero start."""
    mean, mean_square, t = np.zeros(1), np.zeros(1), 0

    def step(theta: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        nonlocal mean, mean_square, t
        t += 1
        mean = beta1 * mean + (1 - beta1) * gradient
        mean_square = beta2 * mean_square + (1 - beta2) * gradient**2
        m, v = mean / (1 - beta1**t), mean_square / (1 - beta2**t)
        return theta - learning_rate * m / (np.sqrt(v) + epsilon)

    return step


def _descend(run: Evaluations, theta0: np.ndarray, options: dict, step: Step) -> Ending:
    """Take one step, or an epoch of them, an iteration, until the full gradient is small."""
    point, batch_size = run(theta0), options["batch_size"] or run.n_samples
    while np.abs(point.gradient).max() > options["gtol"]:
        theta = point.theta
        if batch_size >= run.n_samples:
            theta = run(step(theta, point.gradient)).theta
        else:
            for indices in run.epoch(batch_size):
                theta = step(theta, run.batch(theta, indices))
        run.iterated(theta)  # which measures the cost after an epoch, uncounted
        point = run.point(theta)
    return Ending(point.theta, True, "the gradient is within optimizer.options.gtol")
