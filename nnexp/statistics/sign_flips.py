"""The exact permutation test of paired differences, and the interval of all differences that it does not reject."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from nnexp.statistics.intervals import LEVEL
from nnexp.statistics.power import detectable

EXACT_UP_TO = 16  # differences: 65,536 sign patterns
FLIPS = 99_999
SIMULATED_UP_TO, SIMULATIONS = 12, 2000


def sign_flip_test(differences: Sequence[float] | np.ndarray) -> float:
    """Two-sided p-value that paired differences have no direction: the exact permutation test of their mean.

    Were the two settings the same, each difference could as well have had the other sign. p is the share of all 2^n
    sign patterns whose mean is at least as far from zero as the one seen (Fisher, *The Design of Experiments*, 1935,
    section 21). It assumes no distribution, which nobody can check on five seeds, and unlike the sign test and
    Wilcoxon's it uses the sizes of the differences. Its smallest value is 2 / 2^n: 0.0625 for five seeds, so below six
    seeds nothing reaches 0.05.

    Parameters
    ----------
    differences : array_like of shape (n,)
        Independent of each other: seeds on one split of the data, not splits that overlap.

    Returns
    -------
    float
        1 where all differences are zero. Above 16 differences by 99,999 random patterns with a fixed seed.
    """
    d = np.asarray(differences, dtype=float)
    if not d.any():
        return 1.0
    seen = abs(d.sum()) * (1 - 1e-12)  # patterns that tie with the one seen count, whatever their rounding
    if d.size <= EXACT_UP_TO:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=d.size - 1)))
        sums = d[0] + signs @ d[1:]  # the other half mirrors this one
        return float(np.mean(np.abs(sums) >= seen))
    return float((1 + np.sum(np.abs(_random_signs(d.size) @ d) >= seen)) / (1 + FLIPS))


def sign_flip_interval(differences: Sequence[float] | np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The lowest and the highest mean difference that :func:`sign_flip_test` does not reject at a level.

    A pattern flips a set of differences. Shifted by delta, it is as far from zero as the one seen exactly if delta lies
    between the mean of the flipped and the mean of the others, so that p is a count of such intervals (Hartigan, *Using
    subsample values as typical values*, 1969, has the one-sided form).

    Returns
    -------
    tuple of float
        NaN where so few differences reject nothing: below six at the 5 % level.
    """
    d = np.asarray(differences, dtype=float)
    if d.size < 2 or least_p(d.size) > level:
        return math.nan, math.nan
    exact = d.size <= EXACT_UP_TO
    signs = _all_signs(d.size) if exact else _random_signs(d.size)
    flipped = signs < 0
    n_flipped = flipped.sum(axis=1)
    flipped, n_flipped = flipped[(inner := (n_flipped > 0) & (n_flipped < d.size))], n_flipped[inner]
    sums = flipped @ d
    means = np.sort([sums / n_flipped, (d.sum() - sums) / (d.size - n_flipped)], axis=0)
    starts, ends = np.sort(means[0]), np.sort(means[1])
    places = np.unique(means)
    covering = np.searchsorted(starts, places, "right") - np.searchsorted(ends, places, "left")
    # The patterns that flip none or all always count.
    p = (covering + 1) / 2 ** (d.size - 1) if exact else (covering + 1 + (~inner).sum()) / (1 + FLIPS)
    kept = places[p > level * (1 + 1e-12)]
    return (float(kept[0]), float(kept[-1])) if kept.size else (float(d.mean()), float(d.mean()))


def _all_signs(n: int) -> np.ndarray:
    """Half of all sign patterns, shape (2^(n - 1), n); the other half mirrors it."""
    rest = np.array(list(itertools.product((1, -1), repeat=n - 1)), dtype=np.int8).reshape(-1, n - 1)
    return np.hstack([np.ones((len(rest), 1), dtype=np.int8), rest])


def _random_signs(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 2, size=(FLIPS, n), dtype=np.int8) * 2 - 1


def least_p(n: int) -> float:
    """The smallest two-sided p-value that `n` paired differences allow, none of them zero."""
    return 2.0 ** (1 - n) if n <= EXACT_UP_TO else 1 / (1 + FLIPS)


@cache
def detectable_unit(n: int, level: float = LEVEL, chance: float = 0.8) -> float:
    """The mean of normal differences, of standard deviation 1, that the test over `n` shows with a chance of 80 %.

    Infinite where no p-value reaches the level. Of up to twelve differences by simulation with a fixed seed, since so
    few sign patterns have coarse p-values; of more from the t test at the level that the patterns allow.
    """
    patterns = 2 ** (n - 1) if n <= EXACT_UP_TO else FLIPS + 1
    if n < 2 or level * patterns < 1:
        return math.inf
    if n > SIMULATED_UP_TO:
        return detectable(1.0, n, level=math.floor(level * patterns) / patterns)
    noise = np.random.default_rng(0).standard_normal((SIMULATIONS, n))
    signs = _all_signs(n)

    def power(shift: float) -> float:
        d = noise + shift
        seen = np.abs(d.sum(axis=1)) * (1 - 1e-12)
        return float(np.mean((np.abs(d @ signs.T) >= seen[:, None]).mean(axis=1) <= level))

    low, high = 0.0, 4.0
    while power(high) < chance:
        low, high = high, 2 * high
    while high - low > 0.005:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= chance else (middle, high)
    return high


def replicates_needed(n_comparisons: int) -> int:
    """The fewest differences with which each of so many tests can reach the 5 % level after Holm's correction."""
    return math.ceil(1 + math.log2(max(1, n_comparisons) / LEVEL))
