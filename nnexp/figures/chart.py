"""A figure as data: what stands where, with nothing drawn yet.

One description, two ways to draw it: `paint` makes its pixels in a few milliseconds and without matplotlib, `figure_of`
makes a matplotlib Figure, for SVG, PDF and whoever wants to draw into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nnexp.figures.colors import INK

DPI = 110
POINT = DPI / 72  # pixels
DECADES_TO_ONE = 1 / 3
LEAST_BAR, MOST_BAR = 1.1, 2.2  # inches that a colour bar is high

Tick = tuple[float, str]
Corner = Literal["upper right", "lower right"]


@dataclass(frozen=True)
class Axis:
    """The values along an edge: `low` at the left or the bottom, and what is written at which of them."""

    low: float
    high: float
    ticks: Sequence[Tick] = ()
    label: str = ""
    is_log: bool = False
    minor: Sequence[float] = ()
    angle: int = 0  # degrees to which the labels of the ticks are turned
    is_from_zero: bool = False  # logarithmic from 1 on, and linear from there to zero

    def share(self, values: Any) -> np.ndarray:
        """Where values are: 0 at `low`, 1 at `high`; on a logarithmic axis what has no logarithm is below all."""
        if self.is_log:
            values = np.maximum(values, 1e-3 * self.low)
        scale = _from_zero if self.is_from_zero else np.log10 if self.is_log else np.asarray
        low, high = scale(self.low), scale(self.high)
        return (scale(values) - low) / (high - low)


def _from_zero(values: Any) -> np.ndarray:
    """Decades from 1 on, and from 0 to 1 what `DECADES_TO_ONE` says, as matplotlib's symlog has it."""
    values = np.asarray(values, dtype=float)
    return np.where(values <= 1, DECADES_TO_ONE * values, DECADES_TO_ONE + np.log10(np.maximum(values, 1)))


@dataclass(frozen=True, eq=False)
class Raster:
    """A matrix in colours: its first row on top, and no blur between its cells."""

    values: np.ndarray
    colors: str
    low: float
    high: float
    gamma: float = 1.0  # of PowerNorm

    def share(self, values: Any) -> np.ndarray:
        """Where values are on the scale of colours: 0 at `low`, 1 at `high`."""
        scaled = (np.asarray(values, dtype=float) - self.low) / (self.high - self.low)
        return scaled if self.gamma == 1 else np.maximum(scaled, 0) ** self.gamma


@dataclass(frozen=True, eq=False)
class Stroke:
    """A line through points (x, y), which are finite; with a dot at each where they are few."""

    x: np.ndarray
    y: np.ndarray
    color: str
    label: str
    is_dashed: bool = False
    has_dots: bool = False


@dataclass(frozen=True)
class Label:
    """Text centred at a place of the axes."""

    x: float
    y: float
    text: str
    size: float  # points, like all sizes of text
    color: str = "black"


@dataclass(frozen=True)
class Bar:
    """What the colours of a raster mean."""

    label: str
    ticks: Sequence[Tick]


@dataclass(frozen=True)
class Box:
    """Whole pixels from the upper left corner, so that pictures stay sharp."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column beside it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row beneath it."""
        return self.top + self.height


@dataclass(frozen=True, eq=False)
class Plot:
    """A pair of axes and what is drawn into them."""

    box: Box
    x: Axis
    y: Axis
    title: str = ""
    raster: Raster | None = None
    bar: Bar | None = None
    strokes: Sequence[Stroke] = ()
    labels: Sequence[Label] = ()
    legend: Corner = "upper right"  # for the names of the strokes
    has_frame: bool = False  # spines, ticks and a grid
    note: str = ""  # in small letters beneath

    @property
    def bar_box(self) -> Box:
        """A slim bar on the right of the axes and as high as they are, within its limits."""
        high = max(LEAST_BAR * DPI, min(self.box.height, MOST_BAR * DPI))
        slim = round(0.12 * DPI)
        return Box(self.box.right + slim, self.box.top, slim, round(high))


@dataclass(frozen=True, eq=False)
class Chart:
    """A whole figure, its size in pixels."""

    width: int
    height: int
    plots: Sequence[Plot] = ()
    text: str = ""  # alone in the middle

    @property
    def is_gray(self) -> bool:
        """Whether there is no colour in it."""
        return all(plot.raster is not None and plot.raster.colors == INK for plot in self.plots)


def framed(
    width: float,
    height: float,
    title: str,
    *,
    left: float,
    bottom: float,
    bar: bool = False,
    note: str = "",
) -> tuple[int, int, Box]:
    """Lay out axes of this size in inches: with room for a title above, a colour bar on the right, a note beneath.

    Returns
    -------
    int, int
        Width and height of the figure in pixels.
    Box
        Of the axes.
    """
    right = max(1.1 if bar else 0.12, 0.075 * len(title) + 0.1 - width, 0.063 * len(note) + 0.1 - width)
    bottom += 0.2 * bool(note)
    bottom = max(bottom, LEAST_BAR + 0.12 - height) if bar else bottom
    whole_width, whole_height = round((left + width + right) * DPI), round((bottom + height + 0.35) * DPI)
    box = Box(
        round(left * DPI),
        whole_height - round(bottom * DPI) - round(height * DPI),
        round(width * DPI),
        round(height * DPI),
    )
    return whole_width, whole_height, box
