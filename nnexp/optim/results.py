"""What a method reports on its way and what it leaves at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nnexp.arrays import Array

Status = Literal["converged", "maxiter", "maxfun", "failed", "interrupted", "stopped"]


@dataclass(frozen=True, eq=False)
class Iterate:
    """One point of the way, as the callback gets it; the arrays are read-only and never change.

    Attributes
    ----------
    n_iter : int
        Iterations so far; 0 is the starting point.
    n_fev : int
        Evaluations so far.
    theta : ndarray of shape (n_params,)
    cost : float
        Cost at exactly this `theta`.
    gradient : ndarray of shape (n_params,)
        Gradient at exactly this `theta`.
    """

    n_iter: int
    n_fev: int
    theta: Array
    cost: float
    gradient: Array


@dataclass(frozen=True, eq=False)
class OptimizeResult:
    """The point kept, what it took, and why the method ended.

    Attributes
    ----------
    theta : ndarray of shape (n_params,)
        The method's own final point if it converged, otherwise the best point evaluated. Read-only.
    cost : float
    gradient : ndarray of shape (n_params,)
        Cost and gradient at exactly `theta`; not a number only if not even `theta0` was evaluated before Ctrl-C.
    kept_iter : int
        The iteration in which `theta` was evaluated: the last one, unless a method has gone uphill since.
    n_iter, n_fev : int
        Iterations (at most `maxiter`) and evaluations (at most `maxfun`).
    success : bool
        Whether `status` is "converged".
    status : {"converged", "maxiter", "maxfun", "failed", "interrupted", "stopped"}
    message : str
        The reason in a sentence.
    """

    theta: Array
    cost: float
    gradient: Array
    kept_iter: int
    n_iter: int
    n_fev: int
    success: bool
    status: Status
    message: str


class NonFiniteCostError(ArithmeticError):
    """A cost, a gradient or a Hessian-vector product that is infinite or not a number.

    Parameters
    ----------
    what : str
        What is not finite, as in "the cost is nan".
    n_fev, n_iter : int
        The evaluation and the iteration in which it happened, both counted from 1 (iteration 0: the starting point).
    """

    def __init__(self, what: str, n_fev: int, n_iter: int) -> None:
        super().__init__(what, n_fev, n_iter)
        self.what, self.n_fev, self.n_iter = what, n_fev, n_iter

    def __str__(self) -> str:
        return f"{self.what} at evaluation {self.n_fev}, in iteration {self.n_iter}"
