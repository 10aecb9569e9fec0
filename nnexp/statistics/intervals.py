"""Means with intervals that hold what they promise for three values as for thirty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05
LEAST_FOR_INTERVAL = 3  # values; of two, Student's factor is 12.7 and the interval says nothing
ROUNDING = 1e-12  # relative; a smaller spread is rounding


@dataclass(frozen=True)
class Summary:
    """Mean of some values and its 95 % interval; `low` and `high` are NaN where none can be given.

    `method` is ``t``, ``corrected t``, ``sign flip``, ``Wilson`` or ``none``.
    """

    n: int
    mean: float
    low: float
    high: float
    method: str

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The finite ones of some values, as floats of shape (n,)."""
    kept = np.asarray(values, dtype=float)
    return kept[np.isfinite(kept)]


def spread(values: np.ndarray) -> float:
    """Standard deviation with n - 1; exactly zero where the values differ by no more than rounding."""
    if values.size < 2 or np.ptp(values) <= ROUNDING * np.abs(values).max():
        return 0.0
    return float(values.std(ddof=1))


def standard_error(sd: float, n: int, ratio: float = 0.0) -> float:
    """Standard error of a mean over `n` replicates, of which each holds out a part of its own of the same samples.

    ``sd * sqrt(1 / n + ratio)`` with ``ratio = n_test / n_train`` (Nadeau and Bengio, *Inference for the generalization
    error*, 2003, section 3): the parts overlap, so that more replicates tell less than independent ones would. A ratio
    of 0 is the usual standard error, of independent replicates.
    """
    return sd * math.sqrt(1 / n + ratio)


def summarize(values: Sequence[float] | np.ndarray, ratio: float = 0.0, level: float = LEVEL) -> Summary:
    """Mean and Student's t interval, corrected for overlapping held-out parts.

    Parameters
    ----------
    values : array_like of shape (n,)
        One a replicate; those that are not finite are left out.
    ratio : float
        As for :func:`standard_error`.
    level : float
        One minus the coverage.

    Returns
    -------
    Summary
        Without an interval for fewer than three values, and where all are equal: a spread of zero says that the
        replicates were too few or too coarse, not that there is none.
    """
    kept = finite(values)
    mean, sd = (float(kept.mean()) if kept.size else math.nan), spread(kept)
    if kept.size < LEAST_FOR_INTERVAL or not sd:
        return Summary(kept.size, mean, math.nan, math.nan, "none")
    half = float(t_quantile(1 - level / 2, kept.size - 1)) * standard_error(sd, kept.size, ratio)
    return Summary(kept.size, mean, mean - half, mean + half, "corrected t" if ratio else "t")


def wilson(right: float, total: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval of a share from `right` of `total` independent samples (Wilson, *Probable inference*, 1927).

    What a single run's accuracy tells of the accuracy of its weights on further samples. Unlike the textbook's
    ``p +- 1.96 sqrt(p (1 - p) / n)`` it neither leaves [0, 1] nor has length zero at 0 and 1.
    """
    from scipy.special import ndtri

    z2 = float(ndtri(1 - level / 2)) ** 2
    share = right / total
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = math.sqrt(z2 * (share * (1 - share) / total + z2 / (4 * total**2))) / (1 + z2 / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def t_tail(t: float, df: float) -> float:
    """Two-sided tail of Student's distribution."""
    from scipy.special import stdtr

    return float(2 * stdtr(df, -abs(t)))
