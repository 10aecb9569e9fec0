"""The quadratic model of the cost around a point, and what a trust-region method asks of those who minimize it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from nnexp.arrays import Array
from nnexp.optim.evaluations import Evaluations, Point
from nnexp.optim.from_scipy import norm


@dataclass(frozen=True)
class Model:
    """``cost + gradient @ s + s @ H @ s / 2`` for steps s from the point.

    Attributes
    ----------
    cost : float
    gradient : ndarray of shape (n_params,)
    norm : float
        Euclidean norm of the gradient.
    product : callable v -> H @ v
        Each call counts as an evaluation.
    has_budget : callable
        Whether another product leaves an evaluation for the step; asked before each but the first.
    """

    cost: float
    gradient: Array
    norm: float
    product: Callable[[Array], Array]
    has_budget: Callable[[], bool]

    @classmethod
    def at(cls, run: Evaluations, point: Point) -> Model:
        """The model of the objective at a point that was evaluated."""
        return cls(
            cost=point.cost,
            gradient=point.gradient,
            norm=norm(point.gradient),
            product=lambda v: run.hessp(point.theta, v),
            has_budget=lambda: run.n_left > 1,
        )


class Step(NamedTuple):
    """A step that minimizes the model within a radius, well enough."""

    s: Array
    value: float  # of the model there
    is_on_boundary: bool
