"""Benchmarking of optimization methods over a set of problems: performance profiles and data profiles.

Of what each method pays for each problem. A problem is solved at the first theta with f(theta) <= fL + tau (f0 - fL),
where f0 is the cost at the start, the same for all methods, and fL the lowest cost that is known (Moré and Wild,
*Benchmarking derivative-free optimization algorithms*, 2009, equation 2.2).
"""

from __future__ import annotations

import numpy as np

from nnexp.statistics.runtimes import ecdf

TAUS = (1e-1, 1e-2, 1e-3)


def ratios_to_best(costs: np.ndarray) -> np.ndarray:
    """What each method pays in units of what the best one pays for the same problem; infinite where it solves none."""
    best = costs.min(axis=1, keepdims=True)
    return np.divide(costs, best, out=np.full(costs.shape, np.inf), where=np.isfinite(best) & np.isfinite(costs))


def performance_profile(costs: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """Share of the problems that each method solves within `alpha` times what the best method pays.

    rho_s(alpha) = |{p : t_ps <= alpha min_s t_ps}| / n_problems (Dolan and Moré, *Benchmarking optimization software
    with performance profiles*, 2002, section 2). At alpha = 1 it is the share of the problems on which the method is
    the best; for large alpha the share that it solves at all.

    Parameters
    ----------
    costs : ndarray of shape (n_problems, n_methods)
        Infinite where a method does not solve a problem.
    alphas : ndarray of shape (n_alphas,)

    Returns
    -------
    ndarray of shape (n_alphas, n_methods)
    """
    return ecdf(ratios_to_best(costs), alphas)


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
    return ecdf(costs, budgets)
