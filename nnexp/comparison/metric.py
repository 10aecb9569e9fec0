"""A metric of runs, and how people read its values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nnexp.terminal import clock

MISSING = "—"
SMALL, LARGE = 0.01, 1e5  # outside, three decimals show nothing or too much
LONG_SECONDS = 10


@dataclass(frozen=True)
class Metric:
    """A metric by its key, with what its task says of it (:class:`nnexp.tasks.interface.MetricSpec`)."""

    key: str
    name: str = ""  # in words; the key where there are none
    unit: str = ""
    higher_is_better: bool | None = None
    is_share: bool = False
    is_clock: bool = False
    is_count: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.key)

    @classmethod
    def of(cls, key: str, spec: Any) -> Metric:
        """The metric of a key, as its task specifies it."""
        return cls(key, **vars(spec))

    @property
    def is_figure(self) -> bool:
        """Whether it says how good a run is, and not how long it took."""
        return not self.is_clock and not self.is_count

    @property
    def axis_label(self) -> str:
        """In words, with the unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def best(self) -> str:
        """What the best value is called."""
        return "highest" if self.higher_is_better else "lowest"

    @property
    def scale(self) -> float:
        """What a value is multiplied by to have the unit of `axis_label`."""
        return 100.0 if self.is_share else 1.0

    def show(self, value: float, *, unit: bool = True) -> str:
        """Write a value as a reader wants it."""
        if not math.isfinite(value):
            return MISSING
        if self.is_share:
            return f"{100 * value:.2f}{' %' if unit else ''}"
        if self.is_clock:
            return clock(value) if value >= LONG_SECONDS else f"{value:.2g} s"
        if self.is_count or abs(value) >= LARGE:
            return f"{value:g}"
        return f"{value:.3f}" if abs(value) >= SMALL or not value else f"{value:.2e}"

    def can_differ_by(self, value: float) -> bool:
        """Whether two values can be so far apart: those of a share by less than 1."""
        return math.isfinite(value) and not (self.is_share and abs(value) >= 1)

    def show_difference(self, value: float, *, unit: bool = True) -> str:
        """Write the difference of two values; of shares in percentage points. Never as zero where it is none."""
        if not math.isfinite(value):
            return MISSING
        number = f"{value:.3g}"
        if self.is_share:
            points = 100 * value
            number = f"{points:.2f}" if abs(points) >= SMALL or not points else f"{points:.1g}"
        name = "points" if self.is_share else self.unit.partition(" per ")[0]
        return (f"{number} {name}".rstrip() if unit else number).replace("-", "−")
