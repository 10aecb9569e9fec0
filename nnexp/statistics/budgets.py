"""What is to be expected of the best of several trials of a search.

After J. Dodge, S. Gururangan, D. Card, R. Schwartz and N. A. Smith, *Show your work: improved reporting of experimental
results*, EMNLP 2019, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ExpectedBest:
    """The best of n trials: its mean and its standard deviation.

    Attributes
    ----------
    n : ndarray of int of shape (n_budgets,)
    mean, spread : ndarray of shape (n_budgets,)
    """

    n: np.ndarray
    mean: np.ndarray
    spread: np.ndarray


def expected_best(values: np.ndarray, n: np.ndarray | None = None, *, higher_is_better: bool = True) -> ExpectedBest:
    """The best of n trials drawn independently from the trials that were made.

    With V the distinct values, ``E[best of n] = sum over v in V of v (F(v)^n - F(v-)^n)``, F the empirical distribution
    function: the plug-in estimate, exact with ties. It draws with replacement, so that the best of all N is expected to
    be below the best one seen; Tang et al. (2020) discuss this bias.

    Parameters
    ----------
    values : ndarray of shape (n_trials,)
        Finite.
    n : ndarray of int of shape (n_budgets,), optional
        Default: from 1 to the number of trials, beyond which the formula would extrapolate.
    higher_is_better : bool
        Whether the best is the highest value.

    Returns
    -------
    ExpectedBest

    Raises
    ------
    ValueError
        If there are no values, or some are not finite.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"`values` must be a vector of finite numbers with at least one entry, got {values!r}")
    sign = 1.0 if higher_is_better else -1.0
    distinct, counts = np.unique(sign * values, return_counts=True)
    share = np.append(0.0, np.cumsum(counts) / len(values))  # F, from before the lowest value on
    n = np.arange(1, len(values) + 1) if n is None else np.asarray(n)
    weights = np.diff(share[None, :] ** n[:, None], axis=1)  # (n_budgets, n_distinct): the chance that this is the best
    mean = weights @ distinct
    # Centred before it is squared: the difference of two large squares would lose the spread of close values.
    spread = np.sqrt((weights * (distinct[None, :] - mean[:, None]) ** 2).sum(axis=1))
    return ExpectedBest(n, sign * mean, spread)
