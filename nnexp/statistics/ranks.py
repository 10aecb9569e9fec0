"""Several methods on several data sets: average ranks, Friedman's test, Wilcoxon's, Nemenyi's critical difference.

Figures of different data sets do not compare, but their order does. A table has shape (n_data_sets, n_methods), one
figure a cell (Demšar, *Statistical comparisons of classifiers over multiple data sets*, 2006).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05
DIGITS = 10  # figures that differ by less than rounding are ties
MOST_ARRANGEMENTS = 400_000  # of sums of ranks, looked at for one more data set
MOST_PERMUTED = 7  # methods, of which there are 5,040 orders


@dataclass(frozen=True)
class Friedman:
    """Friedman's test of the hypothesis that all methods are the same.

    Attributes
    ----------
    ranks : tuple of float
        The average rank of each method, 1 for the best; ties share theirs.
    chi2, p_chi2 : float
        Friedman's statistic, corrected for ties, and its p by the chi-square distribution of k - 1 degrees of freedom.
    f, p_f : float
        Iman and Davenport's statistic, and its p by the F distribution of k - 1 and (k - 1)(n - 1) degrees of freedom.
    p : float
        The p to use: exact where the orders could be counted, else `p_f`.
    is_exact : bool
        Whether they were counted.
    least : float
        The smallest exact p that so many data sets and methods allow: 1 / k!^(n - 1).
    """

    ranks: tuple[float, ...]
    chi2: float
    p_chi2: float
    f: float
    p_f: float
    p: float
    is_exact: bool
    least: float


def ranked(table: np.ndarray, *, higher_is_better: bool = True) -> np.ndarray:
    """The ranks of the methods on each data set, 1 for the best; those with equal figures share the mean of theirs.

    Parameters
    ----------
    table : ndarray of shape (n_data_sets, n_methods)
        All finite.
    higher_is_better : bool

    Returns
    -------
    ndarray of shape (n_data_sets, n_methods)
    """
    from scipy.stats import rankdata

    table = np.asarray(table, dtype=float)
    scale = np.abs(table).max(axis=1, keepdims=True)
    shares = np.round(table / np.where(scale > 0, scale, 1.0), DIGITS)
    return rankdata(-shares if higher_is_better else shares, axis=1)


def friedman(table: np.ndarray, *, higher_is_better: bool = True) -> Friedman:
    """Friedman's test with Iman and Davenport's correction, and its exact p for few data sets.

    With average ranks R_j, n data sets and k methods, chi2 = 12 n / (k (k + 1)) (sum of R_j^2 - k (k + 1)^2 / 4),
    divided by 1 - sum of (t^3 - t) / (n (k^3 - k)) over all groups of t ties, and F = (n - 1) chi2 / (n (k - 1) - chi2)
    (Friedman, *The use of ranks to avoid the assumption of normality*, 1937; Iman and Davenport, *Approximations of the
    critical region of the Friedman statistic*, 1980). The chi-square distribution asks for more data sets than most
    have. The exact p is the share of all orders of the methods within the data sets, ties as they are, that give at
    least this chi2.

    Parameters
    ----------
    table : ndarray of shape (n_data_sets, n_methods)
        At least two of each, all finite.
    higher_is_better : bool
        Which way is better.

    Returns
    -------
    Friedman
        p is 1 where all methods are equal everywhere.

    Raises
    ------
    ValueError
        If the table is smaller, or not finite.
    """
    from scipy.stats import chi2 as chi_square
    from scipy.stats import f as f_distribution

    table = np.asarray(table, dtype=float)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise ValueError(f"expected finite figures of 2 data sets and 2 methods at least, got shape {table.shape}")
    ranks = ranked(table, higher_is_better=higher_is_better)
    n, k = ranks.shape
    means = ranks.mean(axis=0)
    least = float(math.factorial(k)) ** (1 - n)
    # The sum of squares of all ranks is that of 1 to k without ties, and smaller by (t^3 - t) / 12 for t ties.
    within = float((ranks**2).sum()) - n * k * (k + 1) ** 2 / 4
    if within <= 0:
        return Friedman(tuple(map(float, means)), 0.0, 1.0, 0.0, 1.0, 1.0, True, least)
    between = float(n * ((means - (k + 1) / 2) ** 2).sum())
    chi2 = n * (k - 1) * between / within
    rest = n * (k - 1) - chi2
    f = (n - 1) * chi2 / rest if rest > 1e-12 * chi2 else math.inf
    p_f = float(f_distribution.sf(f, k - 1, (k - 1) * (n - 1)))
    exact = _exact_p(np.rint(2 * ranks).astype(np.int64))
    return Friedman(
        tuple(map(float, means)),
        chi2,
        float(chi_square.sf(chi2, k - 1)),
        f,
        p_f,
        max(p_f, least) if exact is None else exact,  # of a perfect agreement F is infinite
        exact is not None,
        least,
    )


def _exact_p(doubled: np.ndarray) -> float | None:
    """Share of the orders with sums of squares as large as these ranks have, or None where there are too many to count.

    The ranks are doubled, and so whole numbers. Which method has which sum does not matter, and each data set adds all
    orders of its ranks, so that sorted sums with their shares are all that is kept from one data set to the next.
    """
    n, k = doubled.shape
    base = 2 * k * n + 1
    if k > MOST_PERMUTED or base**k >= 2**62:
        return None
    powers = base ** np.arange(k, dtype=np.int64)
    sums, shares = np.sort(doubled[:1], axis=1), np.ones(1)
    for row in doubled[1:]:
        orders = np.unique(list(itertools.permutations(row)), axis=0)
        if len(sums) * len(orders) > MOST_ARRANGEMENTS:
            return None
        added = np.sort(sums[:, None, :] + orders[None, :, :], axis=2).reshape(-1, k)
        _, first, place = np.unique(added @ powers, return_index=True, return_inverse=True)
        weights = np.repeat(shares / len(orders), len(orders))
        sums, shares = added[first], np.bincount(place, weights=weights)
    seen = (doubled.sum(axis=0) ** 2).sum()
    return min(1.0, float(shares[(sums**2).sum(axis=1) >= seen].sum()))


def wilcoxon(differences: Sequence[float] | np.ndarray) -> float:
    """Two-sided p-value of the signed-rank test that paired differences have no direction, exact for any number.

    Zeros and ties are kept as Pratt has it: the zeros are ranked with the others and their ranks then left out, ties
    share their ranks, and p is counted over all signs of the differences that are not zero (Wilcoxon, *Individual
    comparisons by ranking methods*, 1945; Pratt, *Remarks on zeros and ties in the Wilcoxon signed rank procedures*,
    1959). Its smallest value is 2 / 2^n for n differences that are not zero.

    Parameters
    ----------
    differences : array_like of shape (n,)
        All finite.

    Returns
    -------
    float
        1 where all differences are zero.
    """
    from scipy.stats import rankdata

    d = np.asarray(differences, dtype=float)
    if not d.any():
        return 1.0
    d = np.round(d / np.abs(d).max(), DIGITS)
    doubled = np.rint(2 * rankdata(np.abs(d))).astype(int)[d != 0]
    share = np.ones(1)  # of the patterns of signs, by the doubled sum of the ranks with a plus
    for rank in doubled:
        share = (np.pad(share, (0, rank)) + np.pad(share, (rank, 0))) / 2
    seen = int(doubled[d[d != 0] > 0].sum())
    return min(1.0, 2 * float(min(share[: seen + 1].sum(), share[seen:].sum())))


def least_p(n: int) -> float:
    """The smallest p-value that :func:`wilcoxon` has for `n` data sets."""
    return 2.0 ** (1 - n)


def data_sets_needed(n_comparisons: int) -> int:
    """The fewest data sets with which each of so many comparisons can reach the 5 % level after Holm's correction."""
    return math.ceil(1 + math.log2(max(1, n_comparisons) / LEVEL))


def critical_difference(n_methods: int, n_data_sets: int, level: float = LEVEL) -> float:
    """Nemenyi's critical difference of average ranks: q sqrt(k (k + 1) / (6 n)).

    q is the quantile of the studentized range of k methods and infinitely many degrees of freedom, divided by sqrt(2)
    (Nemenyi 1963, as Demšar 2006, section 3.2.2, has it).
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - level, n_methods, np.inf)) / math.sqrt(2)
    return q * math.sqrt(n_methods * (n_methods + 1) / (6 * n_data_sets))


def cliques(n_methods: int, differing: Sequence[tuple[int, int]]) -> list[tuple[int, ...]]:
    """The largest groups of methods of which no two were shown to differ; two methods share one if they were not.

    Parameters
    ----------
    n_methods : int
    differing : sequence of (int, int)
        The pairs that were shown to differ.

    Returns
    -------
    list of tuple of int
        Of two methods at least; in the order of their first ones.
    """
    apart = {frozenset(pair) for pair in differing}
    alike = [{b for b in range(n_methods) if b != a and frozenset((a, b)) not in apart} for a in range(n_methods)]
    found: list[tuple[int, ...]] = []

    def extend(group: set[int], candidates: set[int], done: set[int]) -> None:  # Bron and Kerbosch 1973
        if not candidates and not done:
            found.append(tuple(sorted(group)))
        # Without a pivot all 2^k subsets of methods that are all alike would be looked at.
        pivot = max(candidates | done, key=lambda method: len(alike[method] & candidates), default=0)
        for method in sorted(candidates - alike[pivot]):
            extend(group | {method}, candidates & alike[method], done & alike[method])
            candidates, done = candidates - {method}, done | {method}

    extend(set(), set(range(n_methods)), set())
    return sorted(group for group in found if len(group) > 1)
