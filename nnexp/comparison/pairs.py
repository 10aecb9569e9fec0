"""Which settings are compared with which."""

from __future__ import annotations

from itertools import combinations

from nnexp.comparison.metric import Metric
from nnexp.comparison.settings import Group
from nnexp.comparison.statistics import Comparison, compare

ALL_PAIRS_UP_TO = 4  # settings; of more, the best is compared with the next best
MOST_COMPARED = 12


def compare_settings(group: Group, metric: Metric) -> list[Comparison]:
    """All pairs of few settings, or the best of many against the next best, by a metric."""
    measured = [setting for setting in group.ranked if setting.has(metric.key)]
    if len(measured) < 2 or group.most_seeds < 2:
        return []
    ranked = measured[:MOST_COMPARED]
    labels = [setting.label for setting in ranked]
    pairs = [(labels[0], other) for other in labels[1:]]
    if len(measured) <= ALL_PAIRS_UP_TO:
        pairs = list(combinations(labels, 2))
    values = {setting.label: setting.by_seed(metric.key) for setting in ranked}
    return compare(values, pairs, higher_is_better=metric.higher_is_better is not False)
