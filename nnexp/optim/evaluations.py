"""The objective as a method sees it: counted, bounded by the budgets, remembered, reported.

SciPy's own budgets will not do: its TNC has no limit on iterations, its L-BFGS-B finishes a line search before it looks
at the number of evaluations, and none counts Hessian-vector products. So every method works through one `Evaluations`,
and a budget ends it by an exception. A method that builds a step from many evaluations is also told how many are left,
so that it takes the step that it has while one evaluation is left for it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, NoReturn

import numpy as np

from nnexp.arrays import Array, Indices
from nnexp.optim.results import Iterate, NonFiniteCostError, Status

Objective = Callable[[Array], tuple[float, Array]]
HessianProduct = Callable[[Array, Array], Array]
BatchObjective = Callable[[Array, Indices], tuple[float, Array]]
Callback = Callable[[Iterate], object]

# A method asks again, or reports, only what its latest line search evaluated.
N_REMEMBERED = 8


class Point(NamedTuple):
    """A point that was evaluated; the arrays are read-only."""

    theta: Array
    cost: float
    gradient: Array


class Ending(NamedTuple):
    """How a method ended by itself, and where."""

    theta: Array
    converged: bool
    message: str


class BudgetSpent(BaseException):
    """Raised through a method to end it: `maxiter` is reached, `maxfun` would be exceeded, or the callback says so.

    No `Exception`, so that a method of the user's own that catches the errors of the objective does not catch it.
    """

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status: Status = status
        self.message = message


class Evaluations:
    """Evaluate `fun` at most `maxfun` times and report at most `maxiter` iterations.

    Each call of `fun`, each Hessian-vector product and each epoch of mini-batches counts one. A point asked for again
    is answered from memory and counts nothing; nor does what is measured for the history only, after an epoch or at the
    iterate that a method reports, until the method asks for it itself.

    Attributes
    ----------
    n_fev, n_iter : int
        Evaluations begun and iterations ended so far.
    best : Point or None
        The lowest cost evaluated so far; of equal ones the latest iterate.
    best_iter : int
        The iteration in which it was evaluated.
    reported : Iterate or None
        The last iterate for which the callback returned.
    spent : BudgetSpent or None
        What was raised when a budget was spent; a method may have caught it.
    dtype : numpy.dtype
        The arithmetic of `fun`: its attribute of that name, float64 if it has none.
    """

    def __init__(
        self,
        fun: Objective,
        *,
        maxiter: int,
        maxfun: int,
        hessp: HessianProduct | None = None,
        batch: BatchObjective | None = None,
        n_samples: int | None = None,
        rng: np.random.Generator | None = None,
        callback: Callback | None = None,
    ) -> None:
        self._fun, self._hessp, self._batch = fun, hessp or _not_given, batch or _not_given
        self._rng, self.n_samples = rng or np.random.default_rng(0), n_samples or 0
        self._callback = callback or _unheard
        self.maxiter, self.maxfun = maxiter, maxfun
        self.n_fev = self.n_iter = 0
        self.best: Point | None = None
        self.best_iter = 0
        self._iterate: Point | None = None
        self.reported: Iterate | None = None
        self.spent: BudgetSpent | None = None
        self.has_hessp = hessp is not None
        self._recent: deque[Point] = deque(maxlen=N_REMEMBERED)
        self._measured: deque[Point] = deque(maxlen=N_REMEMBERED)  # for the history only
        self._errstate = np.geterr()
        self.dtype = np.dtype(getattr(fun, "dtype", np.float64))

    def __call__(self, theta: Array) -> Point:
        """Cost and gradient at `theta`, in one pass."""
        point = self._remembered(theta)
        if point is not None and any(point is other for other in self._measured):
            self._spend()
            self._measured = deque((other for other in self._measured if other is not point), N_REMEMBERED)
        if point is None:
            self._spend()
            point = self._evaluate(theta)
            if self.best is None or point.cost < self.best.cost:
                self.best, self.best_iter = point, self.n_iter + (self.reported is not None)
        return point

    def point(self, theta: Array) -> Point:
        """Point at which the method says it is: among those remembered, else evaluated anew, uncounted."""
        point = self._remembered(theta)
        if point is None:
            point = self._evaluate(theta)
            self._measured.append(point)
        return point

    def cost(self, theta: Array) -> float:
        """Cost alone, as SciPy asks for it; the gradient comes with it and is remembered."""
        return self(theta).cost

    def gradient(self, theta: Array) -> Array:
        """Gradient alone, as SciPy asks for it; a copy, into which SciPy may write."""
        return self(theta).gradient.copy()

    def hessp(self, theta: Array, v: Array) -> Array:
        """Product of the Hessian at `theta` with `v`; counts as an evaluation."""
        self._spend()
        product = np.asarray(self._hessp(theta.copy(), v.copy()), dtype=np.float64)
        self._check_finite("Hessian-vector product", product)
        return product

    def epoch(self, batch_size: int) -> list[Indices]:
        """Shuffled indices of one epoch's mini-batches, which count as one evaluation."""
        self._spend()
        order = self._rng.permutation(self.n_samples)
        return np.split(order, range(batch_size, self.n_samples, batch_size))

    def batch(self, theta: Array, indices: Indices) -> Array:
        """Gradient on the samples `indices` alone; counted by `epoch`."""
        cost, gradient = self._batch(theta.copy(), indices)
        self._check_finite("cost of a mini-batch", cost)
        self._check_finite("gradient of a mini-batch", gradient)
        return gradient

    def start(self, theta0: Array) -> None:
        """Evaluate and report the starting point."""
        self._report(self(theta0), n_iter=0)
        if self.maxiter == 0:
            self._end_iterations()

    def iterated(self, theta: Array) -> None:
        """Report that an iteration has ended at `theta`."""
        point = self._iterate = self.point(theta)
        self.n_iter += 1
        if self.best is None or point.cost <= self.best.cost:
            self.best, self.best_iter = point, self.n_iter
        self._report(point, self.n_iter)
        if self.n_iter >= self.maxiter:
            self._end_iterations()

    def finish(self, point: Point, of_iteration: int) -> None:
        """Report what is not yet reported at the end of a run.

        That is an iterate that Ctrl-C kept the callback from hearing, and `point`, the one returned, if it is of an
        iteration that has not ended: it then closes that iteration.
        """
        if self.reported is None or self.reported.n_iter < self.n_iter:
            self._report(self._iterate or point, self.n_iter)
        if of_iteration > self.n_iter:
            self.n_iter += 1
            self._report(point, self.n_iter)

    def _report(self, point: Point, n_iter: int) -> None:
        iterate = Iterate(n_iter, self.n_fev, *point)
        try:
            with np.errstate(**self._errstate):
                self._callback(iterate)
        except BudgetSpent as spent:
            self.spent = spent
            raise
        self.reported = iterate

    def _remembered(self, theta: Array) -> Point | None:
        # A trust region that shrinks stays at an iterate while it evaluates many other points.
        known = (*reversed(self._recent), self._iterate)
        return next((point for point in known if point is not None and np.array_equal(point.theta, theta)), None)

    @property
    def n_left(self) -> int:
        """Evaluations that the budget still allows."""
        return self.maxfun - self.n_fev

    def end_evaluations(self) -> NoReturn:
        """End the run because the budget of evaluations is spent."""
        self.spent = BudgetSpent("maxfun", f"stopped by optimizer.maxfun = {self.maxfun}")
        raise self.spent

    def refuse_if_spent(self) -> None:
        """Raise again what ended the run, for a method that has caught it and goes on."""
        if self.spent is not None:
            raise self.spent

    def _spend(self) -> None:
        if self.n_left < 1:
            self.end_evaluations()
        self.n_fev += 1

    def _end_iterations(self) -> NoReturn:
        self.spent = BudgetSpent("maxiter", f"stopped by optimizer.maxiter = {self.maxiter}")
        raise self.spent

    def _evaluate(self, theta: Array) -> Point:
        theta = np.array(theta, dtype=np.float64)
        cost, gradient = self._fun(theta.copy())
        point = Point(theta, float(cost), np.array(gradient, dtype=np.float64))
        if point.gradient.shape != theta.shape:
            raise ValueError(f"expected a gradient of shape {theta.shape}, got {point.gradient.shape}")
        self._check_finite("cost", point.cost)
        self._check_finite("gradient", point.gradient)
        theta.flags.writeable = point.gradient.flags.writeable = False
        self._recent.append(point)
        return point

    def _check_finite(self, name: str, value: float | Array) -> None:
        if np.ndim(value) == 0:
            if not math.isfinite(value):
                self._raise_non_finite(f"the {name} is {value}")
        elif not (finite := np.isfinite(value)).all():
            self._raise_non_finite(
                f"the {name} has {np.size(value) - np.count_nonzero(finite)} entries that are not finite"
            )

    def _raise_non_finite(self, what: str) -> NoReturn:
        raise NonFiniteCostError(what, self.n_fev, self.n_iter + (self.reported is not None))


def _not_given(*_: object) -> NoReturn:
    raise TypeError("this method needs a function that was not given")


def _unheard(_: Iterate) -> None:
    pass


def count(number: int, noun: str) -> str:
    """Write a number with its noun, as in "400 evaluations"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
