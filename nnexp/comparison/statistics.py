"""Honest statistics for a handful of seeds: intervals, paired tests, Holm's correction.

The replicates are seeds. A seed draws the split and the start, and runs of one seed share both, so settings are
compared within seeds. What is said holds for more seeds on the same data set, not for other data: the parts of
different seeds overlap, and no test on them can tell more (Nadeau and Bengio, *Inference for the generalization error*,
2003).
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05
RESAMPLES = 4999
LEAST_FOR_INTERVAL = 3  # values; of two, a bootstrap knows nothing
EXACT_UP_TO = 16  # differences: 65,536 sign patterns
FLIPS = 99_999


@dataclass(frozen=True)
class Summary:
    """Mean of some values and its 95 % bootstrap interval; `low` and `high` are NaN for fewer than three values.

    `method` is ``BCa``, ``percentile`` where BCa is not defined, or ``none``.
    """

    n: int
    mean: float
    low: float
    high: float
    method: str


@dataclass(frozen=True)
class Comparison:
    """Two settings over the seeds that both have.

    Attributes
    ----------
    first, second : str
        The settings; `first` has the better mean.
    n, wins, ties : int
        Common seeds, those on which `first` is the better one, and those on which both are equal.
    difference : Summary
        By how much `first` is better.
    p, p_holm : float
        Two-sided, alone and after Holm's correction over all comparisons made with this one; NaN below two seeds.
    least : float
        The smallest `p_holm` that this many seeds and comparisons allow at all.
    """

    first: str
    second: str
    n: int
    wins: int
    ties: int
    difference: Summary
    p: float
    p_holm: float
    least: float

    @property
    def differs(self) -> bool:
        """Whether the difference is beyond luck at the 5 % level."""
        return self.p_holm <= LEVEL


def summarize(values: Sequence[float] | np.ndarray) -> Summary:
    """Mean and 95 % interval by the bootstrap, bias-corrected and accelerated.

    Parameters
    ----------
    values : array_like of shape (n,)
        One a seed; those that are not finite are left out.

    Returns
    -------
    Summary
        The same for the same values: the resamples are drawn with a fixed seed.

    Notes
    -----
    Efron, *Better bootstrap confidence intervals*, 1987, as :func:`scipy.stats.bootstrap` has it. Where all values are
    equal BCa is not defined and the percentile interval, of length zero, is given. Of very few values any bootstrap
    interval is too short.
    """
    kept = np.asarray(values, dtype=float)
    kept = kept[np.isfinite(kept)]
    mean = float(kept.mean()) if kept.size else math.nan
    if kept.size < LEAST_FOR_INTERVAL:
        return Summary(kept.size, mean, math.nan, math.nan, "none")
    for method in ("BCa", "percentile"):
        low, high = _bootstrap(kept, method)
        if math.isfinite(low) and math.isfinite(high):
            return Summary(kept.size, mean, low, high, method)
    return Summary(kept.size, mean, math.nan, math.nan, "none")


def _bootstrap(values: np.ndarray, method: str) -> tuple[float, float]:
    from scipy.stats import bootstrap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a degenerate distribution, which the caller sees as NaN
        found = bootstrap(
            (values,), np.mean, n_resamples=RESAMPLES, method=method, rng=np.random.default_rng(0), vectorized=True
        )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


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
    rng = np.random.default_rng(0)
    signs = rng.integers(0, 2, size=(FLIPS, d.size), dtype=np.int8) * 2 - 1
    return float((1 + np.sum(np.abs(signs @ d) >= seen)) / (1 + FLIPS))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjust p-values so that the chance of any false discovery among them stays below the level.

    With m values, the k-th smallest is multiplied by m - k + 1, and none falls below a smaller one's (Holm, *A simple
    sequentially rejective multiple test procedure*, 1979). NaN stays NaN and does not count.
    """
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]
    factors = np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0) if order.size else []
    return adjusted


def compare(
    values: Mapping[str, Mapping[int, float]], pairs: Sequence[tuple[str, str]], *, higher_is_better: bool = True
) -> list[Comparison]:
    """Compare pairs of settings over their common seeds, corrected for their number.

    Parameters
    ----------
    values : mapping of setting to mapping of seed to figure
    pairs : sequence of (setting, setting)
    higher_is_better : bool
        Which way is better.

    Returns
    -------
    list of Comparison
        In the order of `pairs`; within a comparison the better setting comes first.
    """
    sign = 1.0 if higher_is_better else -1.0
    differences = []
    for a, b in pairs:
        seeds = [seed for seed in values[a] if seed in values[b]]
        d = sign * np.array([values[a][seed] - values[b][seed] for seed in seeds])
        d = d[np.isfinite(d)]
        differences.append((a, b, d) if not d.size or d.mean() >= 0 else (b, a, -d))
    p_values = [sign_flip_test(d) if d.size >= 2 else math.nan for _, _, d in differences]
    tested = sum(map(math.isfinite, p_values))
    return [
        Comparison(
            first=first,
            second=second,
            n=d.size,
            wins=int((d > 0).sum()),
            ties=int((d == 0).sum()),
            difference=summarize(d),
            p=p,
            p_holm=float(corrected),
            least=min(1.0, tested * least_p(d.size)) if d.size >= 2 else math.nan,
        )
        for (first, second, d), p, corrected in zip(differences, p_values, holm(p_values), strict=True)
    ]


def least_p(n: int) -> float:
    """The smallest two-sided p-value that `n` paired differences allow."""
    return 2.0 ** (1 - n) if n <= EXACT_UP_TO else 1 / (1 + FLIPS)


def seeds_needed(n_comparisons: int) -> int:
    """The fewest seeds with which each of so many comparisons can reach the 5 % level after Holm's correction."""
    return math.ceil(1 + math.log2(max(1, n_comparisons) / LEVEL))
