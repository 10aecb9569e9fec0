"""Scales of swept keys on the axes of figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from nnexp.comparison.drawing import INK
from nnexp.comparison.settings import is_number, show_value, sort_key
from nnexp.figures.chart import Axis, Label

LOG_FROM = 10  # a key whose values span this factor stands on a logarithmic scale
AXIS_LETTERS = 52  # along an axis
MOST_LETTERS = 42  # of all labels, to stand upright
ROOM = 0.06  # of the values' range, on each side
LEAST_GAP = 0.045  # of an axis, between labels one above another


@dataclass(frozen=True)
class KeyScale:
    """Where the values of a swept key stand on an axis.

    Texts stand side by side; numbers on a straight scale, or on a logarithmic one where they span a factor of 10. There
    a zero stands by itself left of the others, behind a break.
    """

    values: tuple[Any, ...]
    positions: tuple[float, ...]
    is_log: bool
    is_broken: bool

    @classmethod
    def of(cls, values: Sequence[Any]) -> KeyScale:
        """The scale of these values."""
        ordered = sorted(set(values), key=sort_key)
        if not all(map(is_number, ordered)):
            return cls(tuple(ordered), tuple(float(i) for i in range(len(ordered))), False, False)
        positive = [value for value in ordered if value > 0]
        negative = any(value < 0 for value in ordered)
        if negative or len(positive) < 2 or positive[-1] < LOG_FROM * positive[0]:
            return cls(tuple(ordered), tuple(map(float, ordered)), False, False)
        logs = [math.log10(value) for value in positive]
        broken = ordered[0] == 0
        before = [logs[0] - max(0.5, 0.18 * (logs[-1] - logs[0]))] if broken else []
        return cls(tuple(ordered), (*before, *logs), True, broken)

    def __call__(self, value: Any) -> float:
        """The place of a value."""
        return self.positions[self.values.index(value)]

    @property
    def is_numeric(self) -> bool:
        """Whether values are numbers."""
        return all(map(is_number, self.values))

    def ticks(self, most: int = 12, room: float | None = None) -> tuple[list[float], list[str]]:
        """Places and labels on the axis: the values, or round numbers where the values stand too close.

        Parameters
        ----------
        most
            Labels at most. Of more texts some are chosen evenly, the first and the last always.
        room
            How many letters the axis has room for, where labels stand side by side; None: they stand one above another.
        """
        labels = [show_value(value) for value in self.values]
        if not self.is_numeric or not self._is_crowded(labels, most, room):
            n = len(self.values)
            chosen = sorted({round(i) for i in np.linspace(0, n - 1, min(n, most))})
            return [self.positions[i] for i in chosen], [labels[i] for i in chosen]
        places = self._round_places(min(most, 6))
        shown = [f"{10.0**place if self.is_log else place:.4g}" for place in places]
        return ([self.positions[0], *places], ["0", *shown]) if self.is_broken else (places, shown)

    def _is_crowded(self, labels: Sequence[str], most: int, room: float | None) -> bool:
        """Whether labels of all values would stand on top of each other."""
        if len(labels) > most or len(labels) < 2:
            return len(labels) > most
        gaps = np.diff(self.positions) / ((self.positions[-1] - self.positions[0]) or 1.0)
        if room is None:
            return bool(gaps.min() < LEAST_GAP)
        needed = [(len(a) + len(b)) / 2 + 1 for a, b in pairwise(labels)]
        return bool((gaps * room < needed).any())

    def _round_places(self, most: int) -> list[float]:
        """Places of round numbers: 1, 2, 5 of each decade or the decades alone, or even steps on a straight scale."""
        low, high = self.positions[1 if self.is_broken else 0], self.positions[-1]
        if not self.is_log:
            return [float(t) for t in MaxNLocator(most).tick_values(low, high) if low <= t <= high]
        decades = range(math.floor(low), math.ceil(high) + 1)
        fine = [d + math.log10(m) for d in decades for m in (1, 2, 5)]
        found = [place for place in fine if low - 1e-9 <= place <= high + 1e-9]
        if len(found) <= most:
            return found
        step = math.ceil((high - low) / most)
        return [float(d) for d in decades if low - 1e-9 <= d <= high + 1e-9 and d % step == 0]

    def axis(self, places: np.ndarray, label: str) -> Axis:
        """The x axis with room for what stands at these places."""
        (ticks, labels), margin = self.ticks(room=AXIS_LETTERS), ROOM * (float(np.ptp(places)) or 1.0)
        low, high = float(places.min()) - margin, float(places.max()) + margin
        return Axis(low, high, list(zip(ticks, labels, strict=True)), label, angle=30 * _is_crowded(labels))

    def break_marks(self, y: float) -> list[Label]:
        """What marks the break before zero on the axis at the height `y`."""
        return [Label((self.positions[0] + self.positions[1]) / 2, y, "//", 9, INK)] if self.is_broken else []

    def put_on(self, axes: Axes) -> None:
        """Label the x axis of `axes`, and mark the break before zero."""
        places, labels = self.ticks(room=AXIS_LETTERS)
        crowded = _is_crowded(labels)
        axes.set_xticks(places, labels, rotation=30 if crowded else 0, ha="right" if crowded else "center")
        axes.xaxis.set_minor_locator(NullLocator())
        if self.is_broken:
            middle = (self.positions[0] + self.positions[1]) / 2
            transform = axes.get_xaxis_transform()
            axes.text(middle, 0, "//", transform=transform, ha="center", va="center", fontsize=9, clip_on=False)


def _is_crowded(labels: Sequence[str]) -> bool:
    """Whether the labels of an x axis are to be turned."""
    return sum(map(len, labels)) > MOST_LETTERS
