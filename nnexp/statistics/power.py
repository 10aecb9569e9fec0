"""What a number of replicates can show: power of the paired t test, corrected for overlapping held-out parts or not."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from nnexp.statistics.intervals import LEVEL, standard_error, t_quantile

POWER = 0.8
MOST_REPLICATES = 1000


def power(difference: float, sd: float, n: int, ratio: float = 0.0, level: float = LEVEL) -> float:
    """Chance that a two-sided paired t test over `n` replicates shows a true difference.

    Parameters
    ----------
    difference, sd : float
        The true mean of the differences and their standard deviation.
    n : int
        At least two.
    ratio : float
        n_test / n_train where each replicate holds out a part of its own, see
        :func:`nnexp.statistics.intervals.standard_error`; else 0.
    level : float
        Of the test.
    """
    return _power(abs(difference) / standard_error(sd, n, ratio), n, level)


def _power(shift: float, n: int, level: float) -> float:
    """The same of a difference in units of its standard error."""
    from scipy.special import nctdtr  # scipy.stats, which has the same function, takes half a second to import

    limit = t_quantile(1 - level / 2, n - 1)
    if shift > 30 + 2 * limit:  # where the distribution's tails are not computed well, and the power is 1
        return 1.0
    upper, lower = 1.0 - nctdtr(n - 1, shift, limit), nctdtr(n - 1, shift, -limit)
    return float(np.nan_to_num(upper) + np.nan_to_num(lower))


def detectable(sd: float, n: int, ratio: float = 0.0, level: float = LEVEL, chance: float = POWER) -> float:
    """The smallest true difference that `n` replicates show with a chance of 80 %; infinite below two."""
    if n < 2:
        return math.inf
    if not sd:
        return 0.0
    return standard_error(sd, n, ratio) * _detectable(n, level, chance)


@lru_cache(4096)  # many pairs of settings have as many replicates
def _detectable(n: int, level: float, chance: float) -> float:
    """The smallest true difference in units of its standard error."""
    from scipy.optimize import brentq

    high = t_quantile(1 - level / 2, n - 1) + 10.0
    while _power(high, n, level) < chance:
        high *= 2
    found: Any = brentq(lambda shift: _power(shift, n, level) - chance, 0.0, high, xtol=1e-10)
    return float(found)


def needed(difference: float, sd: float, ratio: float = 0.0, level: float = LEVEL, at_least: int = 2) -> int | None:
    """The fewest replicates that show a true difference with a chance of 80 %.

    None where not even a thousand do: where the held-out parts are of the same samples, the standard error stays above
    ``sd * sqrt(ratio)`` however many replicates there are, and only more data help.
    """
    if not difference:
        return None

    def is_enough(n: int) -> bool:
        return detectable(sd, n, ratio, level) <= abs(difference)

    low, high = at_least, max(at_least, 2)
    while not is_enough(high):
        low, high = high + 1, high * 2
        if high > 2 * MOST_REPLICATES:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return high if high <= MOST_REPLICATES else None
