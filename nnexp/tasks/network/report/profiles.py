"""Benchmarking of optimization methods over a set of problems: performance profiles and data profiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TAUS = (1e-1, 1e-2, 1e-3)


def evaluations_to_solve(n_fev: np.ndarray, cost: np.ndarray, target: float) -> float:
    """Evaluations at the end of the first iteration whose cost is at most `target`; infinite where there is none.

    Parameters
    ----------
    n_fev, cost : ndarray of shape (n_rows,)
        The history of one run, ascending in `n_fev`.
    target : float
    """
    reached = np.flatnonzero(cost <= target)
    return float(n_fev[reached[0]]) if reached.size else np.inf


def solve_costs(histories: Sequence[Sequence[tuple[np.ndarray, np.ndarray] | None]], tau: float) -> np.ndarray:
    """What each method pays for each problem, in evaluations of cost and gradient.

    A problem is solved at the first theta with f(theta) <= fL + tau (f0 - fL), where f0 is the cost at the start, the
    same for all methods, and fL the lowest cost that any method reached (Moré and Wild, *Benchmarking derivative-free
    optimization algorithms*, 2009, equation 2.2).

    Parameters
    ----------
    histories : sequence over problems of sequences over methods
        Each (n_fev, cost), two ndarrays of one length; None where there is no such run.
    tau : float
        The share of the possible decrease that may be missing.

    Returns
    -------
    ndarray of shape (n_problems, n_methods)
        Infinite where a method does not solve a problem.
    """
    costs = np.full((len(histories), len(histories[0])), np.inf)
    for problem, runs in enumerate(histories):
        there = [run for run in runs if run is not None]
        start = max(cost[0] for _, cost in there)
        lowest = min(cost.min() for _, cost in there)
        for method, run in enumerate(runs):
            if run is not None:
                costs[problem, method] = evaluations_to_solve(*run, lowest + tau * (start - lowest))
    return costs


def performance_profile(costs: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """Share of the problems that each method solves within `alpha` times what the best method pays.

    rho_s(alpha) = |{p : t_ps <= alpha min_s t_ps}| / n_problems (Dolan and Moré, *Benchmarking optimization software
    with performance profiles*, 2002, section 2). At alpha = 1 it is the share of the problems on which the method is
    the best; for large alpha the share that it solves at all.

    Parameters
    ----------
    costs : ndarray of shape (n_problems, n_methods)
        As :func:`solve_costs` gives.
    alphas : ndarray of shape (n_alphas,)

    Returns
    -------
    ndarray of shape (n_alphas, n_methods)
    """
    best = costs.min(axis=1, keepdims=True)
    ratios = np.divide(costs, best, out=np.full(costs.shape, np.inf), where=np.isfinite(best) & np.isfinite(costs))
    return _shares(ratios, alphas)


def data_profile(costs: np.ndarray, budgets: np.ndarray) -> np.ndarray:
    """Share of the problems that each method solves within a budget of evaluations.

    d_s(k) = |{p : t_ps <= k}| / n_problems. Moré and Wild count in units of n + 1 evaluations, what a simplex gradient
    takes; here each evaluation brings the gradient, so that the unit is one evaluation.

    Parameters
    ----------
    costs : ndarray of shape (n_problems, n_methods)
    budgets : ndarray of shape (n_budgets,)

    Returns
    -------
    ndarray of shape (n_budgets, n_methods)
    """
    return _shares(costs, budgets)


def _shares(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    return (values[None] <= np.asarray(limits)[:, None, None]).mean(axis=1)
