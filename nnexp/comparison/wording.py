"""Numbers and lists as sentences write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nnexp.comparison.metric import Metric
from nnexp.statistics.intervals import Summary


def count(n: int, noun: str) -> str:
    """A number with its noun: 1 run, 3 runs."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def listed(items: Sequence[str]) -> str:
    """Items as a sentence lists them: a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def show_p(p: float) -> str:
    """A p-value with two digits."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def with_interval(summary: Summary, metric: Metric, noun: str = "seed") -> str:
    """A mean with its interval in words."""
    mean = metric.show(summary.mean)
    average = "" if summary.n == 1 else f" on average over {count(summary.n, noun)}"
    if not summary.has_interval:
        return mean + average
    return f"{mean}{average} (95 % interval {bounds(summary, metric)})"


def bounds(summary: Summary, metric: Metric) -> str:
    """An interval of a mean in words; that of a share ends at 0 and 100 %."""
    low, high = ends(summary, metric)
    return f"{metric.show(low, unit=False)} to {metric.show(high)}"


def ends(summary: Summary, metric: Metric) -> tuple[float, float]:
    """The ends of an interval of a mean, of a share within 0 and 1; NaN where there is none."""
    if metric.is_share and summary.has_interval:
        return max(0.0, summary.low), min(1.0, summary.high)
    return summary.low, summary.high


def replicates(found: Iterable[tuple[tuple[str, Any], ...]]) -> str:
    """Replicates in words: seeds 3 and 4; split 1 seed 2 and split 1 seed 3."""
    each = sorted(found, key=lambda replicate: [(name, str(type(value)), value) for name, value in replicate])
    names = {tuple(name for name, _ in replicate) for replicate in each}
    if len(each) > 1 and len(names) == 1 and len(each[0]) == 1:
        return f"{each[0][0][0]}s {listed([str(value) for ((_, value),) in each])}"
    return listed([" ".join(f"{name} {value}" for name, value in replicate) for replicate in each])
