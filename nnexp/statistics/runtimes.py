"""Runtimes of optimizers: what it takes to reach targets, and how runtimes over problems are summarized.

After N. Hansen, A. Auger, R. Ros, O. Mersmann, T. Tušar and D. Brockhoff, *COCO: a platform for comparing continuous
optimizers in a black-box setting*, Optimization Methods and Software 36, 2021.
"""

from __future__ import annotations

import numpy as np


def targets(start: float, lowest: float, shares: np.ndarray) -> np.ndarray:
    """Values to be reached, ``lowest + share * (start - lowest)``.

    Parameters
    ----------
    start, lowest : float
        Value at the start, and the lowest value that is known.
    shares : ndarray of shape (n_targets,)
        The shares of the possible decrease that may be missing, in (0, 1].

    Returns
    -------
    ndarray of shape (n_targets,)
    """
    return lowest + np.asarray(shares, dtype=float) * (start - lowest)


def times_to(spent: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """What was spent when a value was first at most each of some targets.

    Parameters
    ----------
    spent : ndarray of shape (n_rows,)
        Evaluations, iterations or seconds until each row of a history, ascending.
    values : ndarray of shape (n_rows,)
        What is minimized; NaN reaches nothing.
    wanted : ndarray of shape (n_targets,)

    Returns
    -------
    ndarray of shape (n_targets,)
        Infinite where a target was not reached.
    """
    best = np.minimum.accumulate(np.where(np.isnan(values), np.inf, values))
    places = np.searchsorted(-best, -np.asarray(wanted, dtype=float), side="left")
    return np.append(np.asarray(spent, dtype=float), np.inf)[places]


def ecdf(runtimes: np.ndarray, budgets: np.ndarray) -> np.ndarray:
    """Share of the runtimes that are at most each of some budgets: their empirical distribution function.

    Of pairs of a problem and a target, this is COCO's runtime distribution; of problems at one target, the data profile
    of Moré and Wild (2009).

    Parameters
    ----------
    runtimes : ndarray of shape (..., n_methods)
        Infinite where the target was not reached, which counts as more than any budget.
    budgets : ndarray of shape (n_budgets,)

    Returns
    -------
    ndarray of shape (n_budgets, n_methods)
    """
    columns = np.sort(runtimes.reshape(-1, runtimes.shape[-1]), axis=0)
    counts = [np.searchsorted(column, budgets, side="right") for column in columns.T]
    return np.stack(counts, axis=-1) / len(columns)


def expected_running_time(runtimes: np.ndarray, spent: np.ndarray) -> np.ndarray:
    """Expected running time (ERT) until a success, where failed attempts are repeated.

    ``ERT = (sum of the runtimes of successes + sum of all that failures spent) / number of successes`` (Hansen et al.
    2021, section 2.4).

    Parameters
    ----------
    runtimes : ndarray of shape (n_runs, n_methods)
        Infinite for a failure.
    spent : ndarray of shape (n_runs, n_methods)
        What each run had spent at its end; read for failures only.

    Returns
    -------
    ndarray of shape (n_methods,)
        Infinite where no run was a success.
    """
    reached = np.isfinite(runtimes)
    total = np.where(reached, runtimes, spent).sum(axis=0)
    successes = reached.sum(axis=0)
    return np.divide(total, successes, out=np.full(len(successes), np.inf), where=successes > 0)
