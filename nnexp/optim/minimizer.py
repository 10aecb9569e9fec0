"""One call for all methods."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np

from nnexp.arrays import Array
from nnexp.optim.evaluations import (
    BatchObjective,
    BudgetSpent,
    Callback,
    Evaluations,
    HessianProduct,
    Objective,
    Point,
    count,
)
from nnexp.optim.methods import METHODS, Method, check_options, find
from nnexp.optim.results import OptimizeResult, Status

INTERRUPTED = "interrupted by Ctrl-C"


def minimize(
    fun: Objective,
    theta0: Array,
    *,
    method: str,
    maxiter: int,
    maxfun: int,
    options: Mapping[str, object] | None = None,
    hessp: HessianProduct | None = None,
    batch: BatchObjective | None = None,
    n_samples: int | None = None,
    rng: np.random.Generator | None = None,
    callback: Callback | None = None,
) -> OptimizeResult:
    """Minimize a function of which cost and gradient come in one pass.

    Parameters
    ----------
    fun : callable
        ``fun(theta) -> (cost, gradient)``. It gets a copy of its own; what it returns is copied.
    theta0 : ndarray of shape (n_params,)
        Where to start. Not changed.
    method : str
        A key of `METHODS`, or the dotted path of a function of the user's own, see :mod:`nnexp.optim.own_method`.
    maxiter : int
        Iterations at most, exactly; with 0 only `theta0` is evaluated. An epoch is one iteration of SGD and Adam.
    maxfun : int
        Evaluations at most, exactly. Each call of `fun` and each Hessian-vector product counts one; so do an epoch's
        mini-batches together. The call of `fun` after an epoch only measures it and counts nothing. A method that asks
        for the same point again is answered from memory, which counts nothing.
    options : Mapping, optional
        Options of the method; see `check_options`.
    hessp : callable, optional
        ``hessp(theta, v) -> product``; for Newton-CG, trust-ncg and trust-krylov.
    batch : callable, optional
        ``batch(theta, indices) -> (cost, gradient)`` on some of the `n_samples` samples; for mini-batches.
    n_samples : int, optional
        Number of samples; for mini-batches.
    rng : numpy.random.Generator, optional
        Shuffles the samples for each epoch of mini-batches. Nothing else is random.
    callback : callable, optional
        Gets an `Iterate` for `theta0` (``n_iter = 0``) and after each iteration. Where a budget, a failure or Ctrl-C
        ends the run half-way through an iteration that had found a better point than all before, that point closes the
        iteration. If Ctrl-C strikes inside the callback, it is called once more for the same `n_iter`: a row already
        kept under that number is to be replaced.

    Returns
    -------
    OptimizeResult
        The method's final point if it converged, else the best point evaluated. Running out of a budget, failing (as
        when rounding leaves a line search no better point) and Ctrl-C (KeyboardInterrupt in `fun` or the callback) are
        results too: see its `status` and `message`.

    Raises
    ------
    ValueError
        If the method, an option, a budget or `theta0` is not allowed, or if the method lacks `hessp` or `batch`.
    NonFiniteCostError
        If a cost, gradient or product is infinite or not a number. Floating-point warnings are off in `fun`, because
        this says more.
    """
    entry, checked = find(method), check_options(method, options)
    _check_budget("optimizer.maxiter", maxiter, 0)
    _check_budget("optimizer.maxfun", maxfun, 1)
    theta0 = _check_start(theta0)
    if entry.needs_hessp and hessp is None:
        raise ValueError(f"`hessp` is needed by `optimizer.method` {method}")
    if (
        method in METHODS
        and checked.get("batch_size") is not None
        and (batch is None or n_samples is None or rng is None)
    ):
        raise ValueError(f"`batch`, `n_samples` and `rng` are needed by {method} unless its batch_size is null")

    run = Evaluations(
        fun,
        maxiter=maxiter,
        maxfun=maxfun,
        hessp=hessp,
        batch=batch,
        n_samples=n_samples,
        rng=rng,
        callback=callback,
    )
    with np.errstate(all="ignore"):
        status, reason, theta = _run(run, entry, theta0, entry.options_type(**checked))
        point, kept_iter = run.best, run.best_iter
        if theta is not None:
            point = run.point(theta)
            is_reported = run.reported is not None and np.array_equal(run.reported.theta, theta)
            kept_iter = run.n_iter + (not is_reported)
        if point is not None:
            try:
                run.finish(point, kept_iter)
            except KeyboardInterrupt:
                status, reason = "interrupted", INTERRUPTED
    if point is None:  # Ctrl-C in the very first evaluation
        point = Point(theta0, np.nan, np.full_like(theta0, np.nan))
    message = (
        f"{method} {reason.rstrip('.')}, after {count(run.n_iter, 'iteration')} and {count(run.n_fev, 'evaluation')}."
    )
    if kept_iter < run.n_iter:
        message += f" Kept is the best point, of iteration {kept_iter}."
    return OptimizeResult(*point, kept_iter, run.n_iter, run.n_fev, status == "converged", status, message)


def _run(run: Evaluations, method: Method[Any], theta0: Array, options: object) -> tuple[Status, str, Array | None]:
    """Run the method to its end: status, reason, and the point to return if that is not the best one."""
    try:
        run.start(theta0)
        ending = method.solve(run, theta0.copy(), options)
    except BudgetSpent as spent:
        return spent.status, spent.message, None
    except KeyboardInterrupt:
        return "interrupted", INTERRUPTED, None
    if ending.converged:
        return "converged", f"converged: {ending.message}", ending.theta
    return "failed", f"failed: {ending.message}", None


def _check_budget(key: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise ValueError(f"`{key}` must be an integer >= {least}, got {value!r}")


def _check_start(theta0: Array) -> Array:
    theta = np.array(theta0, dtype=np.float64)
    if theta.ndim != 1 or theta.size == 0 or not np.isfinite(theta).all():
        raise ValueError(f"`theta0` must be a vector of finite numbers, got shape {theta.shape}")
    theta.flags.writeable = False
    return theta
