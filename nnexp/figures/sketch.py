"""A figure of a report as data: a grid of panels with what stands in each, and where on the page each has its place.

One description, two ways to draw it, as of a `Chart`: :mod:`nnexp.report.rendering` draws it in some milliseconds onto
matplotlib's renderers, `sketch_figure` makes a matplotlib Figure, for PDF and whoever wants to draw into it. All
lengths are in points, but for the size of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from nnexp.figures.canvas import text_width
from nnexp.figures.chart import POINT, Axis, Label

# In points, as in matplotlib's defaults and the project's style.
TEXT, TITLE, SMALL = 9.0, 10.0, 8.0
TITLE_PAD, LABEL_PAD, TICK_PAD, TICK, MINOR_TICK = 6.0, 4.0, 3.5, 3.5, 2.0
LINE, LETTER = 1.2, 0.73  # of the size of a text: from line to line, height of a capital letter
MARGIN, GAP = 4.3, 9.0  # around all, and between panels beside what is written there
HANDLE, HANDLE_PAD, COLUMN_GAP, ROW = 2.4 * SMALL, 0.8 * SMALL, 2 * SMALL, 13.0  # of the legend
LEGEND_PAD = 8.0

Dash = Any  # as matplotlib has it: "-", or (0, (on, off)) in widths of the line


@dataclass(frozen=True, eq=False)
class Line:
    """Points (x, y), joined in their order unless `dash` is "", with a marker at each if there is one.

    `is_on_edge`: y is 0 at the lower and 1 at the upper edge of the panel, where it may stand over.
    """

    x: Any
    y: Any
    color: Any
    dash: Dash = "-"
    width: float = 1.6
    marker: str = ""
    size: float = 4.0
    alpha: float = 1.0
    label: str = ""
    is_on_edge: bool = False


@dataclass(frozen=True, eq=False)
class Band:
    """The area between two lines over x, without gaps, or between two heights over the whole width: `x` is None."""

    x: Any
    low: Any
    high: Any
    color: Any
    alpha: float


@dataclass(frozen=True, eq=False)
class Bars:
    """Straight lines from place to place, arrays of shape (n, 2), with caps across the ends of upright ones."""

    starts: np.ndarray
    ends: np.ndarray
    color: Any
    width: float = 1.1
    alpha: float = 1.0
    cap: float = 0.0  # to each side


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels of shape (n_rows, n_columns, 3), or 4 with how much they cover, over the whole panel without a blur."""

    pixels: np.ndarray


Mark = Line | Band | Bars | Image


@dataclass(frozen=True, eq=False)
class Panel:
    """A pair of axes and what is drawn into them.

    `grid` names the axes from whose ticks lines go. `frame`: the axes with their ticks, the ticks alone, or none.
    """

    x: Axis
    y: Axis
    marks: Sequence[Mark] = ()
    labels: Sequence[Label] = ()
    title: str = ""
    grid: str = "xy"
    frame: Literal["axes", "ticks", ""] = "axes"

    @property
    def tick(self) -> float:
        """How long its ticks are."""
        return TICK if self.frame else 0.0

    def named(self) -> list[Line]:
        """What the legend names."""
        return [mark for mark in self.marks if isinstance(mark, Line) and mark.label]


@dataclass(frozen=True, eq=False)
class Sketch:
    """A whole figure, its size in inches.

    The panels of a row, or of a column, may share what is written along them. They keep clear of each other, unless
    `boxes` says for each, row by row, where it is: inches from the left, from the bottom, width, height.
    """

    width: float
    height: float
    rows: Sequence[Sequence[Panel]]
    shares_x: bool = False
    shares_y: bool = False
    heights: Sequence[float] = ()  # of the rows, to each other
    legend: int = 0  # columns of the names of the first panel's lines, beneath all
    boxes: Sequence[tuple[float, float, float, float]] = ()

    def names(self) -> list[Line]:
        """What the legend beneath all has."""
        named = self.rows[0][0].named() if self.legend else []
        return named if len(named) > 1 else []

    def panels(self) -> Iterator[tuple[Panel, Place]]:
        """Each panel with its place."""
        if self.boxes:
            for panel, (left, bottom, width, height) in zip(
                (panel for row in self.rows for panel in row), self.boxes, strict=True
            ):
                yield panel, Place(72 * left, 72 * bottom, 72 * width, 72 * height, True, True)
            return
        widths, heights = 72 * self.width, 72 * self.height
        n_columns = len(self.rows[0])
        size = 0.85 * widths / n_columns, 0.8 * heights / len(self.rows)  # near enough to say what stands over an edge
        margins = [[self._margins(row, column, *size) for column in range(n_columns)] for row in range(len(self.rows))]
        left, right = ([max(row[i][k] for row in margins) for i in range(n_columns)] for k in (0, 1))
        top, bottom = ([max(each[k] for each in row) for row in margins] for k in (2, 3))
        names = self.names()
        legend = ROW * math.ceil(len(names) / self.legend) + LEGEND_PAD if names else 0.0
        width = (widths - 2 * MARGIN - GAP * (n_columns - 1) - sum(left) - sum(right)) / n_columns
        height = heights - 2 * MARGIN - GAP * (len(self.rows) - 1) - sum(top) - sum(bottom) - legend
        shares = np.array(self.heights or [1.0] * len(self.rows))
        y = heights - MARGIN
        for i, (row, share) in enumerate(zip(self.rows, height * shares / shares.sum(), strict=True)):
            x, y = MARGIN, y - top[i] - share
            for j, panel in enumerate(row):
                place = Place(x + left[j], y, width, share, *self._written(i, j))
                x = place.right + right[j] + GAP
                yield panel, place
            y -= bottom[i] + GAP

    def _written(self, row: int, column: int) -> tuple[bool, bool]:
        """Whether anything is written along the x and the y axis of a panel."""
        return not self.shares_x or row == len(self.rows) - 1, not self.shares_y or column == 0

    def _margins(self, row: int, column: int, width: float, height: float) -> tuple[float, float, float, float]:
        """What a panel of about this size needs on its left, its right, above and beneath."""
        panel, (x_written, y_written) = self.rows[row][column], self._written(row, column)
        left, right = panel.tick * bool(panel.y.ticks), 0.0
        if y_written:
            left = beside(panel) + (LABEL_PAD + LINE * TEXT) * bool(panel.y.label)
        bottom = panel.tick
        if x_written:
            bottom = below(panel) + (LABEL_PAD + LINE * TEXT) * bool(panel.x.label)
            for place, text in panel.x.ticks:
                share, half = float(panel.x.share(place)), wide(text, TEXT) / 2
                left, right = max(left, half - share * width), max(right, half - (1 - share) * width)
        top = [TITLE_PAD + LINE * TITLE] if panel.title else [0.0]
        top += [LETTER * TEXT / 2 - (1 - float(panel.y.share(place))) * height for place, _ in panel.y.ticks]
        top += [mark.size / 2 for mark in panel.marks if isinstance(mark, Line) and mark.is_on_edge]
        return left, right, max(top), bottom


class Place(NamedTuple):
    """Where a panel is, from the lower left corner of the figure, and whether its axes are written along."""

    left: float
    bottom: float
    width: float
    height: float
    x_written: bool
    y_written: bool

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + self.width

    @property
    def top(self) -> float:
        """Its upper edge."""
        return self.bottom + self.height


@lru_cache(1024)
def wide(text: str, size: float) -> float:
    """How wide a text of one line is."""
    return text_width(text, size) / POINT


def below(panel: Panel) -> float:
    """How far the labels of the ticks reach below a panel."""
    if not any(text for _, text in panel.x.ticks):
        return panel.tick
    angle = math.radians(panel.x.angle)
    widest = max(wide(text, TEXT) for _, text in panel.x.ticks)
    return panel.tick + TICK_PAD + widest * math.sin(angle) + TEXT * math.cos(angle)


def beside(panel: Panel) -> float:
    """How far the labels of the ticks reach out on the left of a panel."""
    widest = max((wide(text, TEXT) for _, text in panel.y.ticks), default=0.0)
    return panel.tick + (TICK_PAD + widest) * bool(widest)


def values_of(marks: Sequence[Mark]) -> np.ndarray:
    """All finite heights of lines, bands and bars, from which an axis is made."""
    found: list[Any] = [np.empty(0)]
    for mark in marks:
        if isinstance(mark, Line):
            found += [] if mark.is_on_edge else [mark.y]
        elif isinstance(mark, Band):
            found += [mark.low, mark.high]
        elif isinstance(mark, Bars):
            found += [mark.starts[:, 1], mark.ends[:, 1]]
    values = np.concatenate([np.atleast_1d(np.asarray(each, dtype=float)) for each in found])
    return values[np.isfinite(values)]
