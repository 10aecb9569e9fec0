"""Where variance comes from: how much of it a split and a seed contribute, from runs of every split with every seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05
ROUNDING = 1e-12  # relative; a smaller spread is rounding


@dataclass(frozen=True)
class Component:
    """A part of the variance.

    Attributes
    ----------
    variance : float
        Its estimate, zero where `is_negative`.
    low, high : float
        Its 95 % interval, cut off at zero.
    is_negative : bool
        Whether the unbiased estimate is below zero, which chance does where the part is small.
    """

    variance: float
    low: float
    high: float
    is_negative: bool = False

    @property
    def sd(self) -> float:
        """The standard deviation, in the unit of the figures."""
        return math.sqrt(self.variance)


@dataclass(frozen=True)
class Components:
    """The parts of the variance of a figure: of rows (splits), of columns (seeds), and what neither explains.

    Attributes
    ----------
    row, column, rest : Component
        `rest` is the interaction of the two, with what differs from run to run.
    n_rows, n_columns : int
    """

    row: Component
    column: Component
    rest: Component
    n_rows: int
    n_columns: int

    @property
    def total(self) -> float:
        """The variance of one run with a row and a column of its own."""
        return self.row.variance + self.column.variance + self.rest.variance

    def share(self, part: Component) -> float:
        """Of the total; NaN where nothing varies."""
        return part.variance / self.total if self.total > 0 else math.nan

    def standard_errors(self, n: int) -> tuple[float, float]:
        """Of a mean over `n` columns on one row: what such runs show of it, and what it is with the row's share.

        The runs share the row, so their spread shows nothing of its variance, and no number of them averages it out:
        sqrt((column + rest) / n) and sqrt(row + (column + rest) / n).
        """
        within = (self.column.variance + self.rest.variance) / n
        return math.sqrt(within), math.sqrt(self.row.variance + within)


def crossed(table: np.ndarray) -> Components:
    """Variance components of a two-way layout with random rows and columns and one run a cell.

    y_ij = m + r_i + c_j + e_ij. With the mean squares of the analysis of variance, of a rows and b columns, the
    estimates are rest = MS_e, row = (MS_r - MS_e) / b, column = (MS_c - MS_e) / a (Searle, Casella and McCulloch,
    *Variance Components*, 1992, chapter 4). The interval of `rest` is by the chi-square distribution, those of the
    others are the modified large-sample intervals of a difference of mean squares (Ting et al., *Confidence intervals
    on linear combinations of variance components that are unrestricted in sign*, 1990).

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
        At least two of each.

    Returns
    -------
    Components

    Raises
    ------
    ValueError
        If the table is smaller, or a cell is missing: then shares of rows and of columns do not separate so.
    """
    from scipy.stats import chi2

    y = np.asarray(table, dtype=float)
    if y.ndim != 2 or min(y.shape) < 2 or not np.isfinite(y).all():
        raise ValueError(f"expected a finite figure of each of 2 rows and 2 columns at least, got shape {y.shape}")
    a, b = y.shape
    rows, columns, mean = y.mean(axis=1), y.mean(axis=0), y.mean()
    n_rest = (a - 1) * (b - 1)
    least = (ROUNDING * np.abs(y).max()) ** 2

    def mean_square(deviations: np.ndarray, n: int) -> float:
        found = float((deviations**2).sum()) / n
        return found if found > least else 0.0

    of_rows = b * mean_square(rows - mean, a - 1)
    of_columns = a * mean_square(columns - mean, b - 1)
    of_rest = mean_square(y - rows[:, None] - columns + mean, n_rest)
    ends = [n_rest * of_rest / float(chi2.ppf(q, n_rest)) for q in (1 - LEVEL / 2, LEVEL / 2)]
    return Components(
        _difference(of_rows, a - 1, of_rest, n_rest, b),
        _difference(of_columns, b - 1, of_rest, n_rest, a),
        Component(of_rest, ends[0], ends[1]),
        a,
        b,
    )


def _difference(first: float, n1: int, second: float, n2: int, factor: int) -> Component:
    """The component (first - second) / factor of two mean squares with their degrees of freedom, with its interval."""
    from scipy.stats import chi2, f

    def bound(q: float) -> float:
        """Of `first - second`: at q = 0.975 how far below the estimate its end is, at 0.025 how far above."""
        own, other = abs(1 - n1 / chi2.ppf(q, n1)), abs(1 - n2 / chi2.ppf(1 - q, n2))
        ratio = f.ppf(q, n1, n2)
        both = ((ratio - 1) ** 2 - (own * ratio) ** 2 - other**2) / ratio
        return math.sqrt(max(0.0, (own * first) ** 2 + (other * second) ** 2 + both * first * second))

    estimate = first - second
    low, high = estimate - bound(1 - LEVEL / 2), estimate + bound(LEVEL / 2)
    return Component(max(0.0, estimate) / factor, max(0.0, low) / factor, max(0.0, high) / factor, estimate < 0)
