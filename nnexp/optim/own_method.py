"""A method of the user's own: whatever fits `scipy.optimize.minimize` as a callable `method`, within our budgets."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np

from nnexp import own, readers
from nnexp.arrays import Array
from nnexp.optim.evaluations import Ending, Evaluations

KEY, OPTIONS, GROUP = "optimizer.method", "optimizer.options", "optimizers"
# What SciPy hands to a callable method beside its options.
GIVEN = ("fun", "x0", "args", "jac", "hess", "hessp", "bounds", "constraints", "callback")
ELSEWHERE = (
    "the objective cannot be sent to another process, where its evaluations would not be counted; "
    "evaluate it in this one (threads may)"
)
NO_ITERATIONS = "it never called `callback`, so there were no iterations for optimizer.maxiter to bind"


def find(method: str, builtin: Collection[str]) -> Callable[..., Any]:
    """The function of a dotted path or registered name.

    Raises
    ------
    nnexp.readers.ConfigError
        If there is none that can be called.
    """
    return own.find_function(KEY, GROUP, method, builtin).found


def check_options(method: str, function: Callable[..., Any], options: object) -> dict[str, Any]:
    """The options that were given, as the signature of the function has them; a ConfigError if it cannot be called."""
    if lacking := [name for name in GIVEN[2:] if not own.takes(function, name)]:
        raise readers.ConfigError(
            f"`{KEY}` {method} must take what SciPy hands to a method, by name or by **kwargs; it does not take "
            + ", ".join(lacking)
        )
    given = readers.options(OPTIONS, options)
    return own.check_options(OPTIONS, method, function, given, reserved=GIVEN)


class OwnMethod:
    """The `solve` of a function in SciPy's convention.

    It is called as ``method(fun, x0, args=(), jac=, hess=None, hessp=, bounds=None, constraints=(), callback=,
    **options)`` and returns a `scipy.optimize.OptimizeResult`. Source: `scipy.optimize.minimize`, "Custom minimizers".
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name, self.function = name, function

    def __call__(self, run: Evaluations, theta0: Array, options: Mapping[str, Any]) -> Ending:
        """Minimize.

        Raises
        ------
        nnexp.optim.evaluations.BudgetSpent
            Where a budget was spent, also if the function caught that itself.
        TypeError, ValueError
            If what it returns is no result of an optimization.
        """
        seen = _Seen(run)
        try:
            result: Any = self.function(
                seen.cost,
                theta0,
                args=(),
                jac=seen.gradient,
                callback=seen.iterated,
                **({"hessp": seen.hessp} if run.has_hessp else self._absent("hessp")),
                **self._absent("hess", "bounds", "constraints"),
                **options,
            )
        except Exception:
            if run.spent is not None:  # it stumbled over what it had caught
                raise run.spent from None
            raise
        finally:
            seen.end()
        if run.spent is not None:
            raise run.spent
        return self._ending(result, theta0, seen)

    def _absent(self, *names: str) -> dict[str, Any]:
        """What there is none of, as SciPy hands it over; not where the function has a default of its own for it."""
        wanted = [name for name in names if not own.has_default(self.function, name)]
        return {name: () if name == "constraints" else None for name in wanted}

    def _ending(self, result: Any, theta0: Array, seen: _Seen) -> Ending:
        x = getattr(result, "x", None)
        if x is None:
            got = type(result).__name__
            raise TypeError(f"{self.name} must return a scipy.optimize.OptimizeResult with its `x`, got {got}")
        theta = _vector(x).copy()
        if theta.shape != theta0.shape:
            raise ValueError(f"{self.name} must return an `x` of shape {theta0.shape}, got {theta.shape}")
        said = " ".join(str(getattr(result, "message", "")).split()) or "it returned"
        if not seen.n_iterations:
            said = f"{said.rstrip('.')}; {NO_ITERATIONS}"
        return Ending(theta, bool(getattr(result, "success", True)), said)


class _Seen:
    """The objective as the function sees it: in this process alone, for elsewhere nobody would count."""

    def __init__(self, run: Evaluations) -> None:
        self._run, self._lock = run, threading.RLock()  # the work arrays of the objective are those of one thread
        self._process, self._is_over = os.getpid(), False
        self.n_iterations = 0
        self.cost, self.gradient, self.hessp = (_Here(f) for f in (self._cost, self._gradient, self._hessp))

    @contextmanager
    def _evaluations(self) -> Generator[Evaluations]:
        if os.getpid() != self._process:
            raise RuntimeError(ELSEWHERE)
        with self._lock:
            self._run.refuse_if_spent()
            if self._is_over:
                raise RuntimeError("the method has returned, and nothing is evaluated for it any more")
            yield self._run

    def end(self) -> None:
        """Answer nothing more, as to a thread that the function has left behind."""
        with self._lock:
            self._is_over = True

    def _cost(self, theta: Array, *args: object) -> float:
        with self._evaluations() as run:
            return run.cost(_vector(theta))

    def _gradient(self, theta: Array, *args: object) -> Array:
        with self._evaluations() as run:
            return run.gradient(_vector(theta))

    def _hessp(self, theta: Array, v: Array, *args: object) -> Array:
        with self._evaluations() as run:
            return run.hessp(_vector(theta), _vector(v))

    def iterated(self, xk: Any = None, *further: object, intermediate_result: Any = None, **more: object) -> bool:
        """Report an iteration, by either signature of SciPy's; False: go on."""
        at = xk if intermediate_result is None else intermediate_result
        with self._evaluations() as run:
            self.n_iterations += 1
            run.iterated(_vector(getattr(at, "x", at)))
        return False


class _Here:
    """A function of this process, which cannot be sent to another."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __reduce__(self) -> NoReturn:
        raise TypeError(ELSEWHERE)


def _vector(theta: Any) -> Array:
    if np.iscomplexobj(theta):  # whose imaginary part would be dropped, as by a complex step
        raise TypeError("the objective takes real numbers, got complex ones")
    return np.asarray(theta, dtype=np.float64)
