"""Settings compared replicate by replicate, by the test that fits what the replicates vary."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnexp.statistics.intervals import (
    LEAST_FOR_INTERVAL,
    LEVEL,
    Summary,
    finite,
    spread,
    standard_error,
    summarize,
    t_quantile,
    t_tail,
)
from nnexp.statistics.power import detectable, needed
from nnexp.statistics.sign_flips import (
    SIMULATED_UP_TO,
    detectable_unit,
    least_p,
    replicates_needed,
    sign_flip_interval,
    sign_flip_test,
)


@dataclass(frozen=True)
class Design:
    """What differs from one replicate of a setting to the next, and the statistics that follow from it.

    Where each replicate holds out another part of the same samples, the replicates are not independent, and a test that
    takes them for independent finds differences where there are none: three to six times too often at 10 seeds. There
    the corrected resampled t-test serves (Nadeau and Bengio, 2003; Bouckaert and Frank, 2004, for repeated
    cross-validation), which speaks of other samples of the same kind. Where all share one split, or nothing is known of
    one, the seeds are independent, and the exact sign-flip test speaks of further seeds.

    Attributes
    ----------
    noun : str
        What a replicate is called.
    ratio : float or None
        n_test / n_train where each replicate has a held-out part of its own, else None.
    scope : str
        Of what a claim is true, as the beginning of a sentence.
    within : str
        What is averaged within a replicate; "" where it is a single run.
    per_seed : int
        Replicates that a seed has: more than one where they are folds.
    ratios : tuple of (str, float)
        The ratio of figures whose key has this ending, where they are of another part.
    """

    noun: str = "seed"
    ratio: float | None = None
    scope: str = "Over seeds"
    within: str = ""
    per_seed: int = 1
    ratios: tuple[tuple[str, float], ...] = ()

    @property
    def resamples(self) -> bool:
        """Whether each replicate has a held-out part of its own."""
        return self.ratio is not None

    def summary(self, values: Sequence[float] | np.ndarray, key: str = "") -> Summary:
        """Mean and interval of a figure, one a replicate; `key` says of which part it is."""
        own = [ratio for ending, ratio in self.ratios if key.endswith(ending)]
        return summarize(values, (own or [self.ratio or 0.0])[0])

    def p(self, differences: np.ndarray) -> float:
        """Two-sided p-value that the mean of finite paired differences is zero.

        NaN below two, and where all are equal, but not zero, and no t is defined.
        """
        if differences.size < 2:
            return math.nan
        if self.ratio is None or not differences.any():
            return sign_flip_test(differences)
        if not (sd := spread(differences)):
            return math.nan
        return t_tail(differences.mean() / standard_error(sd, differences.size, self.ratio), differences.size - 1)

    def interval(self, differences: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
        """Interval of the mean difference: the differences that the test does not reject at the level."""
        n, sd = differences.size, spread(differences)
        if n < LEAST_FOR_INTERVAL:
            return math.nan, math.nan
        if self.ratio is None:
            return sign_flip_interval(differences, level)
        if not sd:
            return math.nan, math.nan
        half = t_quantile(1 - level / 2, n - 1) * standard_error(sd, n, self.ratio)
        return float(differences.mean() - half), float(differences.mean() + half)

    def least_p(self, n: int, ties: int = 0) -> float:
        """The smallest p-value that `n` differences allow, of which some are zero."""
        return 0.0 if self.resamples else least_p(max(1, n - ties))

    def detectable(self, sd: float, n: int, n_comparisons: int = 1) -> float:
        """The true difference that `n` replicates show with a chance of 80 %, among so many comparisons."""
        level = LEVEL / max(1, n_comparisons)
        if self.ratio is None:
            return detectable_unit(n, level) * sd if sd else math.nan
        return detectable(sd, n, self.ratio, level)

    def needed(self, difference: float, sd: float, n_comparisons: int = 1) -> int | None:
        """The replicates that would show a difference with a chance of 80 %; None where no number does."""
        level = LEVEL / max(1, n_comparisons)
        if self.ratio is not None:
            return needed(difference, sd, self.ratio, level)
        n = needed(difference, sd, 0.0, level, replicates_needed(n_comparisons))
        while n is not None and n <= SIMULATED_UP_TO and detectable_unit(n, level) * sd > difference:
            n += 1
        return n


@dataclass(frozen=True)
class Comparison:
    """Two settings over the replicates that both have.

    Attributes
    ----------
    first, second : str
        The settings; `first` has the better mean.
    n, wins, ties : int
        Common replicates, those on which `first` is the better one, and those on which both are equal.
    difference : Summary
        By how much `first` is better; its interval is that of this comparison alone.
    sd : float
        Standard deviation of the differences; NaN below two.
    p, p_holm : float
        Two-sided, alone and after Holm's correction over all comparisons made with this one; NaN below two replicates,
        and where all differences are equal and no t is defined.
    least : float
        The smallest `p_holm` that this many replicates and comparisons allow at all.
    detectable : float
        The difference that these replicates would have shown with a chance of 80 %; infinite where they show none.
    needed : int or None
        The replicates with which the difference that was seen would be shown with that chance, if it were the true one.
    margin : float or None
        Up to which a difference is of no account.
    is_equivalent : bool
        Whether the difference is shown to be within the margin: by two one-sided tests, corrected by Bonferroni.
    """

    first: str
    second: str
    n: int
    wins: int
    ties: int
    difference: Summary
    sd: float
    p: float
    p_holm: float
    least: float
    detectable: float
    needed: int | None
    margin: float | None = None
    is_equivalent: bool = False

    @property
    def differs(self) -> bool:
        """Whether the difference is beyond luck at the 5 % level."""
        return self.p_holm <= LEVEL

    @property
    def losses(self) -> int:
        """Replicates on which `first` is the worse one."""
        return self.n - self.wins - self.ties


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
    values: Mapping[str, Mapping[Hashable, float]],
    pairs: Sequence[tuple[str, str]],
    design: Design,
    *,
    higher_is_better: bool = True,
    margin: float | None = None,
) -> list[Comparison]:
    """Compare pairs of settings over their common replicates, corrected for their number.

    Parameters
    ----------
    values : mapping of setting to mapping of replicate to figure
    pairs : sequence of (setting, setting)
    design : Design
        What the replicates vary.
    higher_is_better : bool
        Which way is better.
    margin : float, optional
        Up to which a difference is of no account, in the unit of the figures.

    Returns
    -------
    list of Comparison
        In the order of `pairs`; within a comparison the better setting comes first.
    """
    sign = 1.0 if higher_is_better else -1.0
    differences: list[tuple[str, str, np.ndarray]] = []
    for a, b in pairs:
        d = finite([sign * (values[a][each] - values[b][each]) for each in values[a] if each in values[b]])
        differences.append((a, b, d) if not d.size or d.mean() >= 0 else (b, a, -d))
    p_values = [design.p(d) for _, _, d in differences]
    tested = max(1, sum(map(math.isfinite, p_values)))
    return [
        _comparison(first, second, np.sort(d), p, float(corrected), design, tested, margin)
        for (first, second, d), p, corrected in zip(differences, p_values, holm(p_values), strict=True)
    ]


def _comparison(
    first: str, second: str, d: np.ndarray, p: float, p_holm: float, design: Design, tested: int, margin: float | None
) -> Comparison:
    n, ties = d.size, int((d == 0).sum())
    mean = float(d.mean()) if n else math.nan
    low, high = design.interval(d)
    sd = spread(d) if n > 1 else math.nan
    is_equivalent = False
    if margin is not None and n >= LEAST_FOR_INTERVAL:
        within = design.interval(d, 2 * LEVEL / tested)
        is_equivalent = -margin < within[0] and within[1] < margin
    method = "none" if math.isnan(low) else "corrected t" if design.resamples else "sign flip"
    return Comparison(
        first=first,
        second=second,
        n=n,
        wins=int((d > 0).sum()),
        ties=ties,
        difference=Summary(n, mean, low, high, method),
        sd=sd,
        p=p,
        p_holm=p_holm,
        least=min(1.0, tested * design.least_p(n, ties)) if n > 1 else math.nan,
        detectable=design.detectable(sd, n, tested) if n > 1 and sd else math.inf,
        needed=design.needed(mean, sd, tested) if n > 1 and sd else None,
        margin=margin,
        is_equivalent=is_equivalent,
    )
