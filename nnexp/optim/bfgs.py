"""BFGS with one matrix, updated in place."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.linalg import get_blas_funcs
from scipy.optimize._linesearch import LineSearchWarning, line_search_wolfe1, line_search_wolfe2

from nnexp.optim.evaluations import Ending, Evaluations, Point
from nnexp.optim.options import C1, GTOL, NORM, real

OPTIONS = {
    "gtol": GTOL,
    "norm": NORM,
    "xrtol": real(0.0, "[0, inf)", "converged when a step is smaller, relative to theta"),
    "c1": C1,
    "c2": real(0.9, "(0, 1)", "curvature asked of a step (Wolfe)"),
}

symv, syr2 = get_blas_funcs(("symv", "syr2"), dtype=np.float64)
# What SciPy's BFGS sets.
STEP_LIMITS: dict[str, Any] = {"amin": 1e-100, "amax": 1e100}


def memory_bytes(n_params: int) -> int:
    """Bytes of the one matrix, float64."""
    return 8 * n_params**2


def solve(run: Evaluations, theta0: np.ndarray, options: dict) -> Ending:
    """Minimize by algorithm 6.1 of Nocedal and Wright 2006.

    It takes the steps of SciPy's BFGS, with its line search, to rounding. SciPy multiplies full matrices, six of which
    live at once: O(n^3) an iteration, a minute and 5 GB at 10,000 parameters. The update has rank two, so it is done in
    place here: O(n^2), one matrix.
    """
    point = run(theta0)
    inverse_hessian = np.zeros((theta0.size, theta0.size), order="F")  # only its upper triangle is ever used
    np.fill_diagonal(inverse_hessian, 1.0)
    cost_before = point.cost + float(np.linalg.norm(point.gradient)) / 2  # makes the first step about 1 long
    while np.linalg.norm(point.gradient, options["norm"]) > options["gtol"]:
        direction = -symv(1.0, inverse_hessian, point.gradient)
        step = _line_search(run, point, direction, cost_before, options["c1"], options["c2"])
        if step is None:
            return Ending(point.theta, False, "the line search found no better point, probably for lack of precision")
        before, point = point, run(point.theta + step * direction)
        cost_before = before.cost
        run.iterated(point.theta)
        change = step * direction
        if np.linalg.norm(change) <= options["xrtol"] * (options["xrtol"] + np.linalg.norm(point.theta)):
            return Ending(point.theta, True, "the step is within optimizer.options.xrtol")
        inverse_hessian = _update(inverse_hessian, change, point.gradient - before.gradient)
    return Ending(point.theta, True, "the gradient is within optimizer.options.gtol")


def _line_search(
    run: Evaluations, point: Point, direction: np.ndarray, cost_before: float, c1: float, c2: float
) -> float | None:
    """Step that fulfils the strong Wolfe conditions, by the two line searches that SciPy's BFGS tries in turn."""
    arguments = run.cost, run.gradient, point.theta, direction, point.gradient, point.cost, cost_before
    step = line_search_wolfe1(*arguments, c1=c1, c2=c2, **STEP_LIMITS)[0]
    if step is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LineSearchWarning)
            step = line_search_wolfe2(*arguments, c1=c1, c2=c2, amax=STEP_LIMITS["amax"])[0]
    return step


def _update(inverse_hessian: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Equation 6.17, written as H + s w' + w s', in place."""
    curvature = s @ y
    if curvature <= 0:  # only by rounding: the line search sees to it that it is positive
        return inverse_hessian
    hy = symv(1.0, inverse_hessian, y)
    w = (0.5 * (1 + y @ hy / curvature) * s - hy) / curvature
    return syr2(1.0, s, w, a=inverse_hessian, overwrite_a=1)
