"""What a metric is: its name, its unit, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MetricSpec:
    """What a metric is, for tables, axes and comparisons. `higher_is_better` is None for one that ranks nothing."""

    name: str = ""  # in words; "" for the key itself
    unit: str = ""
    higher_is_better: bool | None = None
    is_share: bool = False  # between 0 and 1, shown in percent
    is_clock: bool = False  # left out of comparisons
    is_count: bool = False  # compared exactly
