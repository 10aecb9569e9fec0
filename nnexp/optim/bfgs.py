"""BFGS with one matrix, updated in place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnexp.arrays import Array
from nnexp.optim.evaluations import Ending, Evaluations
from nnexp.optim.from_scipy import add_symmetric_rank_two, symmetric_product, wolfe_step
from nnexp.optim.options import C1, C2, GTOL, NORM, real


@dataclass(frozen=True)
class Options:
    """Options of BFGS, with SciPy's defaults."""

    gtol: float = real(*GTOL)
    norm: float = real(*NORM)
    xrtol: float = real(0.0, "[0, inf)", "converged when a step is smaller, relative to theta")
    c1: float = real(*C1)
    c2: float = real(0.9, *C2)


def memory_bytes(n_params: int) -> int:
    """Bytes of the one matrix, float64."""
    return 8 * n_params**2


def solve(run: Evaluations, theta0: Array, options: Options) -> Ending:
    """Minimize by algorithm 6.1 of Nocedal and Wright 2006.

    It takes the steps of SciPy's BFGS, with its line search, to rounding. SciPy multiplies full matrices, six of which
    live at once: O(n^3) an iteration, a minute and 5 GB at 10,000 parameters. The update has rank two, so it is done in
    place here: O(n^2), one matrix.
    """
    point = run(theta0)
    inverse_hessian = np.zeros((theta0.size, theta0.size), order="F")  # only its upper triangle is ever used
    np.fill_diagonal(inverse_hessian, 1.0)
    cost_before = point.cost + float(np.linalg.norm(point.gradient)) / 2  # makes the first step about 1 long
    while np.linalg.norm(point.gradient, options.norm) > options.gtol:
        direction = -symmetric_product(inverse_hessian, point.gradient)  # (n, n) @ (n,) -> (n,)
        step = wolfe_step(run.cost, run.gradient, point, direction, cost_before, c1=options.c1, c2=options.c2)
        if step is None:
            return Ending(point.theta, False, "the line search found no better point, probably for lack of precision")
        before, point = point, run(point.theta + step * direction)
        cost_before = before.cost
        run.iterated(point.theta)
        change = step * direction
        if np.linalg.norm(change) <= options.xrtol * (options.xrtol + np.linalg.norm(point.theta)):
            return Ending(point.theta, True, "the step is within optimizer.options.xrtol")
        inverse_hessian = _update(inverse_hessian, change, point.gradient - before.gradient)
    return Ending(point.theta, True, "the gradient is within optimizer.options.gtol")


def _update(inverse_hessian: Array, s: Array, y: Array) -> Array:
    """Equation 6.17, written as H + s w' + w s', in place: (n, n) + (n, 1) @ (1, n) + (n, 1) @ (1, n) -> (n, n)."""
    curvature = s @ y
    if curvature <= 0:  # only by rounding: the line search sees to it that it is positive
        return inverse_hessian
    hy = symmetric_product(inverse_hessian, y)  # (n, n) @ (n,) -> (n,)
    w = (0.5 * (1 + y @ hy / curvature) * s - hy) / curvature
    return add_symmetric_rank_two(inverse_hessian, s, w)
