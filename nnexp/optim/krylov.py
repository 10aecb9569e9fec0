"""The subproblem of trust-krylov: the quadratic model in a trust region, minimized over Krylov subspaces.

Gould, Lucidi, Roma and Toint 1999, "Solving the trust-region subproblem using the Lanczos method" (GLTR). SciPy's own,
TRLIB, draws from a random generator that it seeds with the time of day, so that a run is not repeatable; this one is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import brentq
from scipy.optimize._trustregion import BaseQuadraticSubproblem

EACH_UP_TO, THEN_EVERY = 64, 8  # dimensions at which the small problem is solved
FORCING = 0.5  # share of the gradient's norm that an inexact solution may leave, at most
EXACT_INSIDE, EXACT_ON_THE_BOUNDARY = 1e-8, 1e-6


class KrylovSubproblem(BaseQuadraticSubproblem):
    """Minimize ``jac @ s + s @ H @ s / 2`` over the steps s of a length up to the trust radius.

    The basis is kept for the next, smaller radius. Each vector is orthogonalized against all before it, so that it
    stays a basis; memory grows by one vector a product.

    Parameters
    ----------
    *args
        Of SciPy's `BaseQuadraticSubproblem`.
    inexact : bool
        Solve it roughly.
    has_budget : callable
        Whether another product leaves an evaluation for the step; asked before each but the first.
    """

    def __init__(self, *args: Any, inexact: bool = True, has_budget: Callable[[], bool] = lambda: True) -> None:
        super().__init__(*args)
        self._has_budget = has_budget
        norm = self.jac_mag
        if inexact:  # converges quadratically inside, superlinearly on the boundary
            shares = min(FORCING, norm), min(FORCING, np.sqrt(norm))
        else:
            shares = EXACT_INSIDE, EXACT_ON_THE_BOUNDARY
        self._tolerances = shares[0] * norm, shares[1] * norm
        self._basis = np.empty((8, len(self.jac)))
        self._basis[0] = self.jac / (norm or 1.0)  # a zero gradient gives the zero step
        self._diagonal: list[float] = []
        self._beside: list[float] = []  # the diagonal
        self._step: tuple[np.ndarray, float] | None = None

    def __call__(self, p: np.ndarray) -> float:
        """The model at a step; at the one found last without another product."""
        if self._step is not None and p is self._step[0]:
            return self.fun + self._step[1]
        return super().__call__(p)

    def solve(self, trust_radius: float) -> tuple[np.ndarray, bool]:
        """The step, and whether it is as long as the trust radius."""
        while True:
            n = len(self._diagonal)
            is_last = bool(n) and (not self._beside[-1] or not self._has_budget())
            if n and (is_last or n <= EACH_UP_TO or n % THEN_EVERY == 0):
                h, multiplier = smallest(self._diagonal, self._beside[:-1], self.jac_mag, trust_radius)
                left = self._beside[-1] * abs(h[-1])
                if is_last or left <= self._tolerances[multiplier > 0]:
                    step = h @ self._basis[:n]
                    self._step = step, self._model(h)
                    return step, multiplier > 0
            self._extend()

    def _extend(self) -> None:
        """One more dimension, by a product with the Hessian; a length of 0 says that there are no more."""
        n = len(self._diagonal)
        product = np.asarray(self.hessp(self._basis[n]), dtype=float)
        self._diagonal.append(float(self._basis[n] @ product))
        scale = float(np.linalg.norm(product))
        known = self._basis[: n + 1]
        for _ in range(2):
            product = product - (known @ product) @ known
        length = float(np.linalg.norm(product))
        is_whole = n + 1 == len(product) or length <= 1e-12 * scale
        self._beside.append(0.0 if is_whole else length)
        if not is_whole:
            if n + 1 == len(self._basis):
                self._basis = np.concatenate([self._basis, np.empty_like(self._basis)])
            self._basis[n + 1] = product / length

    def _model(self, h: np.ndarray) -> float:
        curved = np.asarray(self._diagonal) * h
        beside = np.asarray(self._beside[:-1])
        curved[:-1] += beside * h[1:]
        curved[1:] += beside * h[:-1]
        return float(self.jac_mag * h[0] + h @ curved / 2)


def smallest(diagonal: list[float], beside: list[float], norm: float, radius: float) -> tuple[np.ndarray, float]:
    """Minimize ``norm * h[0] + h @ T @ h / 2`` for a tridiagonal T over ``|h| <= radius``.

    Returns
    -------
    h : ndarray of shape (n,)
    multiplier : float
        Of the constraint; 0 where it does not bind.
    """
    values, vectors = eigh_tridiagonal(diagonal, beside)
    across = -norm * vectors[0]
    lowest, scale = float(values[0]), float(np.abs(values).max()) or 1.0

    def length(multiplier: float) -> float:
        return float(np.linalg.norm(across / (values + multiplier)))

    least = 0.0
    if lowest <= 1e-14 * scale:
        least = -lowest + 1e-14 * scale
    if length(least) <= radius:
        h = vectors @ (across / (values + least))
        if least == 0:
            return h, 0.0
        # The hard case: what is missing to the boundary goes along the direction of the least curvature.
        along = vectors[:, 0]
        b, c = float(h @ along), float(h @ h) - radius**2
        return h + (-b + np.sqrt(b * b - c)) * along, least
    most = least + norm / radius + 2 * scale
    excess: Any = brentq(lambda m: 1 / radius - 1 / length(m), least, most, xtol=1e-300, maxiter=500)
    multiplier = float(excess)
    h = vectors @ (across / (values + multiplier))
    return h * (radius / np.linalg.norm(h)), multiplier
