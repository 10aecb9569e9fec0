"""Newton's method in a trust region: one outer iteration, two ways to solve its subproblems.

The outer iteration is SciPy's, step for step. The subproblems are our own: they take no product with the Hessian twice,
and use the step found so far when the budget leaves one evaluation, so that it is tried instead of being thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nnexp.arrays import Array
from nnexp.optim.evaluations import Ending, Evaluations
from nnexp.optim.krylov import KrylovSubproblem
from nnexp.optim.options import boolean, real
from nnexp.optim.quadratic import Model
from nnexp.optim.steihaug import SteihaugSubproblem


@dataclass(frozen=True)
class NcgOptions:
    """Options of trust-ncg, with SciPy's defaults."""

    initial_trust_radius: float = real(1.0, "(0, inf)", "radius of the first trust region")
    max_trust_radius: float = real(1000.0, "(0, inf)", "longest step ever proposed")
    eta: float = real(0.15, "[0, 0.25)", "share of the predicted decrease a step must bring to be taken")
    gtol: float = real(1e-4, "[0, inf)", "converged when the gradient's Euclidean norm is smaller")


@dataclass(frozen=True)
class KrylovOptions(NcgOptions):
    """Options of trust-krylov."""

    inexact: bool = boolean(True, "solve subproblems roughly: fewer products a step")


def solve_ncg(run: Evaluations, theta0: Array, options: NcgOptions) -> Ending:
    """Minimize with subproblems solved by conjugate gradients (Steihaug)."""
    return _solve(run, theta0, options, SteihaugSubproblem)


def solve_krylov(run: Evaluations, theta0: Array, options: KrylovOptions) -> Ending:
    """Minimize with subproblems solved by Lanczos's method (GLTR)."""
    return _solve(run, theta0, options, lambda model: KrylovSubproblem(model, inexact=options.inexact))


def _solve(
    run: Evaluations,
    theta0: Array,
    options: NcgOptions,
    make_subproblem: Callable[[Model], SteihaugSubproblem | KrylovSubproblem],
) -> Ending:
    """Minimize by algorithm 4.1 of Nocedal and Wright 2006."""
    point, radius = run(theta0), options.initial_trust_radius
    model = Model.at(run, point)
    subproblem = make_subproblem(model)
    while model.norm >= options.gtol:
        try:
            step = subproblem.solve(radius)
        except np.linalg.LinAlgError:
            return Ending(point.theta, False, "A linalg error occurred, such as a non-psd Hessian.")
        proposed = run(point.theta + step.s)
        predicted_decrease = point.cost - step.value
        if predicted_decrease <= 0:
            return Ending(point.theta, False, "A bad approximation caused failure to predict improvement.")
        ratio = (point.cost - proposed.cost) / predicted_decrease  # equation 4.4
        if ratio < 0.25:
            radius *= 0.25
        elif ratio > 0.75 and step.is_on_boundary:
            radius = min(2 * radius, options.max_trust_radius)
        if ratio > options.eta:  # else the same subproblem, within the smaller radius
            point, model = proposed, Model.at(run, proposed)
            subproblem = make_subproblem(model)
        run.iterated(point.theta)
    return Ending(point.theta, True, "Optimization terminated successfully.")
