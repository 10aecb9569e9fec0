"""The subproblem of trust-ncg: the quadratic model in a trust region, minimized by conjugate gradients.

Steihaug 1983, "The conjugate gradient method and trust regions in large scale optimization"; algorithm 7.2 of Nocedal
and Wright 2006. A direction takes one product with the Hessian, and none for a smaller radius. SciPy's own takes more
of them for the value of the model, and all anew for a smaller radius.
"""

from __future__ import annotations

import math

import numpy as np

from nnexp.arrays import Array
from nnexp.optim.quadratic import Model, Step


class SteihaugSubproblem:
    """Minimize a model over the steps of a length up to the trust radius, by conjugate gradients."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._products: list[Array] = []  # of the directions in their order, which is that of every radius

    def solve(self, radius: float) -> Step:
        """The step; where no evaluation is left for another product, the one found so far."""
        model = self._model
        tolerance = min(0.5, math.sqrt(model.norm)) * model.norm  # converges superlinearly
        s, r = np.zeros_like(model.gradient), model.gradient  # r = gradient + H s
        d = -r
        if model.norm == 0:
            return self._step(s, r)
        n = 0
        while True:
            if n == len(self._products):
                if n and not model.has_budget():
                    return self._step(s, r)
                self._products.append(model.product(d))
            hd, n = self._products[n], n + 1
            curvature = d @ hd
            if curvature <= 0:
                ends = [self._step(s + t * d, r + t * hd, True) for t in boundary(s, d, radius)]
                return min(ends[::-1], key=lambda end: end.value)
            r_squared = r @ r
            alpha = r_squared / curvature
            if np.linalg.norm(s + alpha * d) >= radius:
                t = boundary(s, d, radius)[1]
                return self._step(s + t * d, r + t * hd, True)
            s, r = s + alpha * d, r + alpha * hd
            r_next_squared = r @ r
            if math.sqrt(r_next_squared) < tolerance:
                return self._step(s, r)
            d = -r + r_next_squared / r_squared * d

    def _step(self, s: Array, r: Array, is_on_boundary: bool = False) -> Step:
        """A step with the value of the model there, which takes no product: H s = r - gradient."""
        return Step(s, float(self._model.cost + s @ (self._model.gradient + r) / 2), is_on_boundary)


def boundary(s: Array, d: Array, radius: float) -> tuple[float, float]:
    """Both t with ``|s + t d| = radius``, in ascending order.

    The roots of a quadratic equation, with the sum of two numbers of one sign: the textbook's formula subtracts two
    that may be nearly equal (Golub and Van Loan 1996, "Matrix computations", p. 97).
    """
    a, b, c = np.dot(d, d), 2 * np.dot(s, d), np.dot(s, s) - radius**2
    larger = b + math.copysign(math.sqrt(b * b - 4 * a * c), b)
    low, high = sorted([-larger / (2 * a), -2 * c / larger])
    return low, high
