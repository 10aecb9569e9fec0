"""Newton's method in a trust region, by SciPy's outer iteration with subproblems of our own.

A subproblem takes one Hessian-vector product a direction and never the same twice: SciPy's Steihaug takes more of them
for the value of the model, and all anew for a smaller radius. And it is told when the budget leaves one evaluation, so
that the step found so far is tried instead of being thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize._trustregion import BaseQuadraticSubproblem, _minimize_trust_region

from nnexp.optim.evaluations import Ending, Evaluations
from nnexp.optim.krylov import KrylovSubproblem
from nnexp.optim.options import boolean, real

NEVER = 2**31 - 1  # SciPy's limit on iterations, out of the way of ours

NCG = {
    "initial_trust_radius": real(1.0, "(0, inf)", "radius of the first trust region"),
    "max_trust_radius": real(1000.0, "(0, inf)", "longest step ever proposed"),
    "eta": real(0.15, "[0, 0.25)", "share of the predicted decrease a step must bring to be taken"),
    "gtol": real(1e-4, "[0, inf)", "converged when the gradient's Euclidean norm is smaller"),
}
OPTIONS = {
    "ncg": NCG,
    "krylov": NCG | {"inexact": boolean(True, "solve subproblems roughly: fewer products a step")},
}


def solve(run: Evaluations, theta0: np.ndarray, options: dict, *, subproblem: str) -> Ending:
    """Minimize by steps in a trust region.

    ncg: algorithm 7.2 of Nocedal and Wright 2006 (Steihaug 1983). krylov: Gould, Lucidi, Roma and Toint 1999 (GLTR).
    """
    outer = {name: options[name] for name in NCG}
    inner = {name: value for name, value in options.items() if name not in NCG}
    result = _minimize_trust_region(
        run.cost,
        theta0,
        jac=run.gradient,
        hessp=run.hessp,
        subproblem=partial(SUBPROBLEMS[subproblem], has_budget=lambda: run.n_left > 1, **inner),
        callback=lambda state: run.iterated(state.x),
        maxiter=NEVER,
        **outer,
    )
    return Ending(result.x, bool(result.success), str(result.message))


class SteihaugSubproblem(BaseQuadraticSubproblem):
    """Minimize ``jac @ s + s @ H @ s / 2`` over the steps s of a length up to the trust radius, by conjugate gradients.

    Parameters
    ----------
    *args
        Of SciPy's `BaseQuadraticSubproblem`.
    has_budget : callable
        Whether another product leaves an evaluation for the step; asked before each but the first.
    """

    def __init__(self, *args: Any, has_budget: Callable[[], bool] = lambda: True) -> None:
        super().__init__(*args)
        self._has_budget = has_budget
        self._products: list[np.ndarray] = []  # of the directions in their order, which is that of every radius
        self._step: tuple[np.ndarray, float] | None = None

    def __call__(self, p: np.ndarray) -> float:
        """The model at a step; at the one found last without another product."""
        if self._step is not None and p is self._step[0]:
            return self._step[1]
        return super().__call__(p)

    def solve(self, trust_radius: float) -> tuple[np.ndarray, bool]:
        """The step, and whether it is as long as the trust radius."""
        tolerance = min(0.5, math.sqrt(self.jac_mag)) * self.jac_mag
        z, r = np.zeros_like(self.jac), self.jac  # r = jac + H z
        d = -r
        if self.jac_mag == 0:
            return self._found(z, r), False
        n = 0
        while True:
            if n == len(self._products):
                if n and not self._has_budget():
                    return self._found(z, r), False
                self._products.append(np.asarray(self.hessp(d), dtype=float))
            Bd, n = self._products[n], n + 1
            curvature = d @ Bd
            if curvature <= 0:
                ends = [(z + t * d, r + t * Bd) for t in self.get_boundaries_intersections(z, d, trust_radius)]
                return self._found(*min(ends[::-1], key=lambda end: self._model(*end))), True
            r_squared = r @ r
            alpha = r_squared / curvature
            if np.linalg.norm(z + alpha * d) >= trust_radius:
                t = self.get_boundaries_intersections(z, d, trust_radius)[1]
                return self._found(z + t * d, r + t * Bd), True
            z, r = z + alpha * d, r + alpha * Bd
            r_next_squared = r @ r
            if math.sqrt(r_next_squared) < tolerance:
                return self._found(z, r), False
            d = -r + r_next_squared / r_squared * d

    def _found(self, p: np.ndarray, r: np.ndarray) -> np.ndarray:
        self._step = p, self._model(p, r)
        return p

    def _model(self, p: np.ndarray, r: np.ndarray) -> float:
        """The model at p, where r = jac + H p."""
        return float(self.fun + p @ (self.jac + r) / 2)


SUBPROBLEMS = {"ncg": SteihaugSubproblem, "krylov": KrylovSubproblem}
