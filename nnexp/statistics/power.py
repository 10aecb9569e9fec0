"""What a number of replicates can show: power of the paired t test, corrected for overlapping held-out parts or not."""

from __future__ import annotations

import math
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
    from scipy.stats import nct

    limit = t_quantile(1 - level / 2, n - 1)
    shift = abs(difference) / standard_error(sd, n, ratio)
    if shift > 30 + 2 * limit:  # where the distribution's tails are not computed well, and the power is 1
        return 1.0
    upper, lower = nct.sf(limit, n - 1, shift), nct.cdf(-limit, n - 1, shift)
    return float(np.nan_to_num(upper) + np.nan_to_num(lower))


def detectable(sd: float, n: int, ratio: float = 0.0, level: float = LEVEL, chance: float = POWER) -> float:
    """The smallest true difference that `n` replicates show with a chance of 80 %; infinite below two."""
    from scipy.optimize import brentq

    if n < 2:
        return math.inf
    if not sd:
        return 0.0
    unit = standard_error(sd, n, ratio)
    high = t_quantile(1 - level / 2, n - 1) + 10.0
    while power(high * unit, sd, n, ratio, level) < chance:
        high *= 2
    found: Any = brentq(lambda shift: power(shift * unit, sd, n, ratio, level) - chance, 0.0, high, xtol=1e-10)
    return unit * float(found)


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
