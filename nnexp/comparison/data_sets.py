"""Settings that ran on several data sets: their ranks, and which of them were shown to differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from nnexp.comparison.metric import MISSING, Metric
from nnexp.comparison.settings import Group, Setting, plain, sort_key
from nnexp.statistics.paired import holm
from nnexp.statistics.ranks import LEVEL, Friedman, cliques, friedman, least_p, ranked, wilcoxon

LEAST_DATA_SETS, LEAST_SETTINGS = 2, 2
LEAST_FOR_FRIEDMAN = 3  # settings; two have Wilcoxon's test alone
MOST_TESTED = 24  # settings, of which all pairs are tested; of more pairs Holm's correction leaves nothing
LONGEST_NAME = 34  # letters; longer names do not fit into the diagram


@dataclass(frozen=True)
class Pair:
    """Two settings over the data sets.

    Attributes
    ----------
    first, second : int
        Places among the settings; `first` has the better average rank.
    wins, ties : int
        Data sets on which `first` is the better one, and on which both are equal.
    difference : float
        The median over the data sets of what `first` is better by.
    p, p_holm : float
        Of Wilcoxon's test, alone and after Holm's correction over all pairs.
    """

    first: int
    second: int
    wins: int
    ties: int
    difference: float
    p: float
    p_holm: float

    @property
    def differs(self) -> bool:
        """Whether the difference is beyond luck at the 5 % level."""
        return self.p_holm <= LEVEL


@dataclass(frozen=True, eq=False)
class OverDataSets:
    """The settings that ran on each of several data sets, that with the best average rank first.

    Attributes
    ----------
    metric : Metric
        What they are ranked by on each data set.
    data_sets : tuple of str
    keys : tuple of str
        What differs between the settings.
    names : tuple of str
        Of the settings: in words, or S1, S2, ... where these are long or alike.
    values : tuple of mapping of str to value
        Of the settings, by `keys`.
    means : ndarray of shape (n_data_sets, n_settings)
        Of the metric over the replicates.
    ranks : ndarray of shape (n_settings,)
        Averages over the data sets; 1 would be the best on each.
    friedman : Friedman or None
        From three settings on.
    pairs : tuple of Pair
        All pairs of the first `MOST_TESTED` settings.
    lacking : mapping of str to tuple of str
        Settings that were left out, in words, and the data sets on which they lack runs.
    other_data_sets : tuple of str
        Data sets that were left out, because their settings are not ranked by this metric, or not at all.
    """

    metric: Metric
    data_sets: tuple[str, ...]
    keys: tuple[str, ...]
    names: tuple[str, ...]
    values: tuple[Mapping[str, Any], ...]
    means: np.ndarray
    ranks: np.ndarray
    friedman: Friedman | None
    pairs: tuple[Pair, ...]
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    other_data_sets: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of data sets."""
        return len(self.data_sets)

    @property
    def is_numbered(self) -> bool:
        """Whether the settings are called S1, S2, ..."""
        return self.names[0] == "S1"

    @property
    def least(self) -> float:
        """The smallest p of a pair, after Holm's correction, that so many data sets allow."""
        return min(1.0, len(self.pairs) * least_p(self.n))

    @property
    def n_tested(self) -> int:
        """Number of settings of which all pairs were tested."""
        return min(len(self.names), MOST_TESTED)

    @property
    def cliques(self) -> list[tuple[int, ...]]:
        """The largest groups of the tested settings of which no two were shown to differ."""
        return cliques(self.n_tested, [(pair.first, pair.second) for pair in self.pairs if pair.differs])


def over_data_sets(groups: Sequence[Group]) -> OverDataSets | None:
    """Compare the settings that all data sets have; None where there are not two of each.

    A setting is what was swept on any of the data sets, but for what makes replicates. One that lacks a data set, or
    some of the replicates that others have on it, is left out. Data sets with a single setting are not looked at.
    """
    several = [group for group in groups if len(group.settings) >= LEAST_SETTINGS]
    usable = [group for group in several if group.has_choice and group.final.higher_is_better is not None]
    if len(usable) < LEAST_DATA_SETS:
        return None
    [(metric, _)] = Counter(group.final for group in usable).most_common(1)
    usable = [group for group in usable if group.final == metric]
    keys = tuple(dict.fromkeys(key for group in usable for key in group.keys))
    figures: dict[tuple[Any, ...], list[float]] = {}
    for place, group in enumerate(usable):
        for setting in group.settings:
            means = figures.setdefault(_values(setting, keys), [math.nan] * len(usable))
            if not setting.missing:
                means[place] = float(setting.column(metric.key).mean())
    common = [values for values, means in figures.items() if all(map(math.isfinite, means))]
    if len(usable) < LEAST_DATA_SETS or len(common) < LEAST_SETTINGS:
        return None
    common.sort(key=lambda values: [sort_key(value) for value in values])
    means = np.array([figures[values] for values in common]).T
    ranks = ranked(means, higher_is_better=metric.higher_is_better is True).mean(axis=0)
    order = np.argsort(ranks, kind="stable")
    means, ranks, common = means[:, order], ranks[order], [common[i] for i in order]
    spec, names = usable[0].spec, [group.name for group in usable]
    lacking = {
        spec.label_of(dict(zip(keys, values, strict=True))): tuple(
            name for name, mean in zip(names, found, strict=True) if not math.isfinite(mean)
        )
        for values, found in figures.items()
        if values not in common
    }
    differing = tuple(key for key, column in zip(keys, zip(*common, strict=True), strict=True) if len(set(column)) > 1)
    values = tuple({key: dict(zip(keys, each, strict=True))[key] for key in differing} for each in common)
    return OverDataSets(
        metric,
        tuple(names),
        differing,
        _named([spec.label_of(each) for each in values]),
        values,
        means,
        ranks,
        friedman(means, higher_is_better=metric.higher_is_better is True)
        if len(common) >= LEAST_FOR_FRIEDMAN
        else None,
        _pairs(means if metric.higher_is_better else -means),
        lacking,
        tuple(group.name for group in several if group not in usable),
    )


def _values(setting: Setting, keys: Sequence[str]) -> tuple[Any, ...]:
    """The values of keys that were swept on some data set, if not on this one."""
    runs = setting.runs
    return tuple(
        setting.values[key] if key in setting.values else plain(runs[key].iloc[0]) if key in runs else MISSING
        for key in keys
    )


def _named(words: Sequence[str]) -> tuple[str, ...]:
    """The settings by their words, or numbered: letters are what the settings of a single data set are called by."""
    if len(set(words)) == len(words) and max(map(len, words)) <= LONGEST_NAME:
        return tuple(words)
    return tuple(f"S{place}" for place in range(1, len(words) + 1))


def _pairs(merits: np.ndarray) -> tuple[Pair, ...]:
    """Pairs of the first settings by figures of which the higher is the better one, shape (n_data_sets, n_settings)."""
    merits = _without_rounding(merits)
    places = list(combinations(range(min(merits.shape[1], MOST_TESTED)), 2))
    differences = [merits[:, a] - merits[:, b] for a, b in places]
    p_values = [wilcoxon(d) for d in differences]
    return tuple(
        Pair(a, b, int((d > 0).sum()), int((d == 0).sum()), float(np.median(d)), p, float(corrected))
        for (a, b), d, p, corrected in zip(places, differences, p_values, holm(p_values), strict=True)
    )


def _without_rounding(figures: np.ndarray) -> np.ndarray:
    """Figures of which those of one data set that differ by rounding alone are equal."""
    scale = np.abs(figures).max(axis=1, keepdims=True)
    scale = np.where(scale > 0, 10.0 ** np.ceil(np.log10(np.where(scale > 0, scale, 1.0))), 1.0)
    return np.round(figures / scale, 12) * scale
