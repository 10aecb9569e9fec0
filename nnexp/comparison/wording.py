"""Numbers and lists as sentences write them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnexp.comparison.metric import Metric
from nnexp.comparison.statistics import Summary


def count(n: int, noun: str) -> str:
    """A number with its noun: 1 run, 3 runs."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def listed(items: Sequence[str]) -> str:
    """Items as a sentence lists them: a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def show_p(p: float) -> str:
    """A p-value with two digits."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def with_interval(summary: Summary, metric: Metric) -> str:
    """A mean with its interval in words."""
    mean = metric.show(summary.mean)
    if math.isnan(summary.low):
        return mean if summary.n == 1 else f"{mean} on average over {summary.n} seeds"
    low, high = metric.show(summary.low, unit=False), metric.show(summary.high)
    return f"{mean} on average over {summary.n} seeds (95 % interval {low} to {high})"
