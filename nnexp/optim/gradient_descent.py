"""Full-batch gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnexp.arrays import Array
from nnexp.optim.evaluations import Ending, Evaluations, Point
from nnexp.optim.options import C1, GTOL, boolean, real


@dataclass(frozen=True)
class Options:
    """Options of gradient descent."""

    learning_rate: float = real(1.0, "(0, inf)", "step; with backtracking the first step tried")
    backtracking: bool = boolean(False, "shorten each step until it decreases the cost enough")
    decrease_factor: float = real(0.5, "(0, 1)", "factor by which backtracking shortens a step")
    c1: float = real(*C1)
    gtol: float = real(*GTOL)


# A step that still fails after this many halvings (at 0.5) is below the resolution of the cost.
MAX_BACKTRACKS = 60


def solve(run: Evaluations, theta0: Array, options: Options) -> Ending:
    """Minimize by theta <- theta - step * gradient.

    The step is `learning_rate`, or with `backtracking` the first of step, step * decrease_factor, ... that fulfils
    Armijo's condition J(theta - step g) <= J(theta) - c1 step |g|^2 (Nocedal and Wright 2006, algorithm 3.1), where
    each iteration begins one notch above the step before.
    """
    step = options.learning_rate
    point = run(theta0)
    while np.abs(point.gradient).max() > options.gtol:
        if options.backtracking:
            found = _backtrack(run, point, step, options)
            if found is None:
                return Ending(point.theta, False, "no step along the gradient decreases the cost")
            point, step = found
            step /= options.decrease_factor
        else:
            point = run(point.theta - step * point.gradient)
        run.iterated(point.theta)
    return Ending(point.theta, True, "the gradient is within optimizer.options.gtol")


def _backtrack(run: Evaluations, point: Point, step: float, options: Options) -> tuple[Point, float] | None:
    slope = point.gradient @ point.gradient
    for _ in range(MAX_BACKTRACKS):
        trial = run(point.theta - step * point.gradient)
        # Strictly smaller: a decrease below the resolution of the cost is none.
        if trial.cost < point.cost and trial.cost <= point.cost - options.c1 * step * slope:
            return trial, step
        step *= options.decrease_factor
    return None
