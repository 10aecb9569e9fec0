"""The subproblem of trust-krylov: the quadratic model in a trust region, minimized over Krylov subspaces.

Gould, Lucidi, Roma and Toint 1999, "Solving the trust-region subproblem using the Lanczos method" (GLTR). SciPy's own,
TRLIB, draws from a random generator that it seeds with the time of day, so that a run is not repeatable; this one is.
"""

from __future__ import annotations

import numpy as np

from nnexp.arrays import Array
from nnexp.optim.from_scipy import eigh_tridiagonal, root
from nnexp.optim.quadratic import Model, Step

EACH_UP_TO, THEN_EVERY = 64, 8  # dimensions at which the small problem is solved
FORCING = 0.5  # share of the gradient's norm that an inexact solution may leave, at most
EXACT_INSIDE, EXACT_ON_THE_BOUNDARY = 1e-8, 1e-6


class KrylovSubproblem:
    """Minimize a model over the steps of a length up to the trust radius.

    The basis is kept for the next, smaller radius. Each vector is orthogonalized against all before it, so that it
    stays a basis; memory grows by one vector a product. In the basis the Hessian is a tridiagonal matrix.

    Parameters
    ----------
    model : Model
    inexact : bool
        Solve it roughly.
    """

    def __init__(self, model: Model, *, inexact: bool = True) -> None:
        self._model, norm = model, model.norm
        if inexact:  # converges quadratically inside, superlinearly on the boundary
            shares = min(FORCING, norm), min(FORCING, np.sqrt(norm))
        else:
            shares = EXACT_INSIDE, EXACT_ON_THE_BOUNDARY
        self._tolerances = shares[0] * norm, shares[1] * norm
        self._basis = np.empty((8, len(model.gradient)))  # (capacity, n_params), of which the first n rows are filled
        self._basis[0] = model.gradient / (norm or 1.0)  # a zero gradient gives the zero step
        self._diagonal: list[float] = []
        self._off_diagonal: list[float] = []

    def solve(self, radius: float) -> Step:
        """The step; where no evaluation is left for another product, the one found so far."""
        model = self._model
        while True:
            n = len(self._diagonal)
            is_last = bool(n) and (not self._off_diagonal[-1] or not model.has_budget())
            if n and (is_last or n <= EACH_UP_TO or n % THEN_EVERY == 0):
                h, multiplier = smallest(self._diagonal, self._off_diagonal[:-1], model.norm, radius)
                left = self._off_diagonal[-1] * abs(h[-1])
                if is_last or left <= self._tolerances[multiplier > 0]:
                    s = h @ self._basis[:n]  # (n,) @ (n, n_params) -> (n_params,)
                    return Step(s, model.cost + self._change(h), multiplier > 0)
            self._extend()

    def _extend(self) -> None:
        """One more dimension, by a product with the Hessian; a length of 0 says that there are no more."""
        n = len(self._diagonal)
        product = self._model.product(self._basis[n])
        self._diagonal.append(float(self._basis[n] @ product))
        scale = float(np.linalg.norm(product))
        known = self._basis[: n + 1]
        for _ in range(2):  # the second time takes away what rounding left the first time
            # ((n + 1, n_params) @ (n_params,) -> (n + 1,)) @ (n + 1, n_params) -> (n_params,)
            product = product - (known @ product) @ known
        length = float(np.linalg.norm(product))
        is_whole = n + 1 == len(product) or length <= 1e-12 * scale
        self._off_diagonal.append(0.0 if is_whole else length)
        if not is_whole:
            if n + 1 == len(self._basis):
                self._basis = np.concatenate([self._basis, np.empty_like(self._basis)])
            self._basis[n + 1] = product / length

    def _change(self, h: Array) -> float:
        """What the model says of the step ``h @ basis``, less the cost: norm * h[0] + h @ T @ h / 2."""
        curved = np.asarray(self._diagonal) * h
        off_diagonal = np.asarray(self._off_diagonal[:-1])
        curved[:-1] += off_diagonal * h[1:]
        curved[1:] += off_diagonal * h[:-1]
        return float(self._model.norm * h[0] + h @ curved / 2)


def smallest(diagonal: list[float], off_diagonal: list[float], norm: float, radius: float) -> tuple[Array, float]:
    """Minimize ``norm * h[0] + h @ T @ h / 2`` for a tridiagonal T over ``|h| <= radius``.

    Returns
    -------
    h : ndarray of shape (n,)
    multiplier : float
        Of the constraint; 0 where it does not bind.
    """
    values, vectors = eigh_tridiagonal(diagonal, off_diagonal)
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
    multiplier = root(lambda m: 1 / radius - 1 / length(m), least, most)  # nearly linear in m, unlike the length
    h = vectors @ (across / (values + multiplier))
    return h * (radius / np.linalg.norm(h)), multiplier
