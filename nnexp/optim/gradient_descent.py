"""Full-batch gradient descent."""

from __future__ import annotations

import numpy as np

from nnexp.optim.evaluations import Ending, Evaluations, Point
from nnexp.optim.options import C1, GTOL, boolean, real

OPTIONS = {
    "learning_rate": real(1.0, "(0, inf)", "step; with backtracking the first step tried"),
    "backtracking": boolean(False, "shorten each step until it decreases the cost enough"),
    "decrease_factor": real(0.5, "(0, 1)", "factor by which backtracking shortens a step"),
    "c1": C1,
    "gtol": GTOL,
}
# A step that still fails after this many halvings (at 0.5) is below the resolution of the cost.
MAX_BACKTRACKS = 60


def solve(run: Evaluations, theta0: np.ndarray, options: dict) -> Ending:
    """Minimize by theta <- theta - step * gradient.

    The step is `learning_rate`, or with `backtracking` the first of step, step * decrease_factor, ... that fulfils
    Armijo's condition J(theta - step g) <= J(theta) - c1 step |g|^2 (Nocedal and Wright 2006, algorithm 3.1), where
    each iteration begins one notch above the step before.
    """
    step, factor = options["learning_rate"], options["decrease_factor"]
    point = run(theta0)
    while np.abs(point.gradient).max() > options["gtol"]:
        if options["backtracking"]:
            found = _backtrack(run, point, step, factor, options["c1"])
            if found is None:
                return Ending(point.theta, False, "no step along the gradient decreases the cost")
            point, step = found
            step /= factor
        else:
            point = run(point.theta - step * point.gradient)
        run.iterated(point.theta)
    return Ending(point.theta, True, "the gradient is within optimizer.options.gtol")


def _backtrack(run: Evaluations, point: Point, step: float, factor: float, c1: float) -> tuple[Point, float] | None:
    slope = point.gradient @ point.gradient
    for _ in range(MAX_BACKTRACKS):
        trial = run(point.theta - step * point.gradient)
        # Strictly smaller: a decrease below the resolution of the cost is none.
        if trial.cost < point.cost and trial.cost <= point.cost - c1 * step * slope:
            return trial, step
        step *= factor
    return None
