"""Draw a sketch onto a renderer of matplotlib, whose unit is the point, without any of matplotlib's figures and axes.

These cost ten times as much: an artist for each tick, and a layout that asks each for its size, twice.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path
from matplotlib.transforms import Affine2D, Bbox, IdentityTransform

from nnexp.comparison.drawing import GRID, INK
from nnexp.figures.chart import Axis
from nnexp.figures.sketch import (
    COLUMN_GAP,
    HANDLE,
    HANDLE_PAD,
    LABEL_PAD,
    LETTER,
    MARGIN,
    MINOR_TICK,
    ROW,
    SMALL,
    TEXT,
    TICK_PAD,
    TITLE,
    TITLE_PAD,
    Band,
    Bars,
    Image,
    Mark,
    Panel,
    Place,
    Sketch,
    below,
    beside,
    wide,
)

EDGE, GRID_WIDTH = 0.8, 0.6
ASIS = IdentityTransform()


class Pen:
    """Draws on a renderer; places are from the lower left corner."""

    def __init__(self, renderer: Any, height: float) -> None:
        self._renderer, self._height = renderer, height

    def _context(self, color: Any, width: float, alpha: float = 1.0, inside: Place | None = None) -> Any:
        gc = self._renderer.new_gc()
        gc.set_foreground(color)
        gc.set_linewidth(width)
        if alpha != 1:
            gc.set_alpha(alpha)
        if inside is not None:
            gc.set_clip_rectangle(Bbox.from_bounds(*inside[:4]))
        return gc

    def line(self, points: np.ndarray, color: Any, width: float, *, dash: Any = "-", **looks: Any) -> None:
        """Join points, an array of shape (n, 2)."""
        gc = self._context(color, width, **looks)
        gc.set_joinstyle("round")
        gc.set_capstyle("projecting" if dash == "-" else "butt")
        if dash != "-":
            gc.set_dashes(0, [width * length for length in dash[1]])
        self._renderer.draw_path(gc, Path(points), ASIS)

    def pieces(self, points: np.ndarray, color: Any, width: float, **looks: Any) -> None:
        """Many straight lines, an array of shape (n, 2, 2)."""
        codes = np.tile([Path.MOVETO, Path.LINETO], len(points))
        if len(points):
            gc = self._context(color, width, **looks)
            self._renderer.draw_path(gc, Path(points.reshape(-1, 2), codes), ASIS)

    def area(self, points: np.ndarray, color: Any, **looks: Any) -> None:
        """Fill what points go around, those that are numbers."""
        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            return
        path = Path(np.vstack([points, points[:1]]), closed=True)
        self._renderer.draw_path(self._context(color, 0, **looks), path, ASIS, to_rgba(color))

    def markers(self, points: np.ndarray, color: Any, kind: str, size: float, **looks: Any) -> None:
        """A marker of matplotlib's at each point."""
        path, turned = _marker(kind)
        gc = self._context(color, 1, **looks)
        scaled = turned + Affine2D().scale(size)
        self._renderer.draw_markers(gc, path, scaled, Path(points), ASIS, to_rgba(color))

    def text(self, x: float, y: float, text: str, size: float, color: str = INK, *, at: float = 0.5,
             angle: float = 0) -> None:  # fmt: skip
        """A line of text whose baseline begins so far before (x, y), as a share of its length."""
        turn = math.radians(angle)
        back = at * wide(text, size)
        x, y = x - back * math.cos(turn), y - back * math.sin(turn)
        self._renderer.write(x, self._height - y, text, size, color, angle)

    def image(self, place: Place, pixels: np.ndarray) -> None:
        """Pixels as large as the place."""
        self._renderer.picture(place, pixels)


@cache
def _marker(kind: str) -> tuple[Path, Any]:
    style = MarkerStyle(kind)
    return style.get_path(), style.get_transform()


def draw(sketch: Sketch, renderer: Any) -> None:
    """Draw all of it."""
    pen = Pen(renderer, 72 * sketch.height)
    for panel, place in sketch.panels():
        _panel(pen, panel, place)
    _legend(pen, sketch)


def _panel(pen: Pen, panel: Panel, place: Place) -> None:
    xs, ys = (_ticks(axis, *ends) for axis, ends in (
        (panel.x, (place.left, place.width)), (panel.y, (place.bottom, place.height))))  # fmt: skip
    if "x" in panel.grid:
        pen.pieces(_upright(xs, place.bottom, place.top), GRID, GRID_WIDTH)
    if "y" in panel.grid:
        pen.pieces(_upright(ys, place.left, place.right)[..., ::-1], GRID, GRID_WIDTH)
    for mark in sorted(panel.marks, key=_depth):
        _mark(pen, panel, place, mark)
    if panel.frame == "axes":
        corners = [(place.left, place.top), (place.left, place.bottom), (place.right, place.bottom)]
        pen.line(np.array(corners), INK, EDGE)
    if panel.frame:
        pen.pieces(_upright(xs, place.bottom, place.bottom - panel.tick), INK, EDGE)
        pen.pieces(_upright(ys, place.left, place.left - panel.tick)[..., ::-1], INK, EDGE)
        minor = place.bottom + place.height * panel.y.share(np.array(panel.y.minor))
        pen.pieces(_upright(minor, place.left, place.left - MINOR_TICK)[..., ::-1], INK, 0.6)
        minor = place.left + place.width * panel.x.share(np.array(panel.x.minor))
        pen.pieces(_upright(minor, place.bottom, place.bottom - MINOR_TICK), INK, 0.6)
    _written(pen, panel, place, xs, ys)


def _ticks(axis: Axis, start: float, length: float) -> np.ndarray:
    return start + length * axis.share(np.array([place for place, _ in axis.ticks]))


def _upright(xs: np.ndarray, low: float, high: float) -> np.ndarray:
    ends = np.empty((len(xs), 2, 2))
    ends[:, :, 0], ends[:, 0, 1], ends[:, 1, 1] = xs[:, None], low, high
    return ends


def _depth(mark: Mark) -> int:
    """Areas are behind lines, and lines in the order in which they were given."""
    return (Image, Band, Bars).index(type(mark)) if isinstance(mark, Image | Band | Bars) else 3


def _at(panel: Panel, place: Place, x: Any, y: Any) -> np.ndarray:
    """Where values of the axes are: an array of shape (n, 2)."""
    xs, ys = place.left + place.width * panel.x.share(x), place.bottom + place.height * panel.y.share(y)
    return np.stack(np.broadcast_arrays(xs, ys), axis=-1)


def _mark(pen: Pen, panel: Panel, place: Place, mark: Mark) -> None:
    if isinstance(mark, Image):
        pen.image(place, mark.pixels)
    elif isinstance(mark, Band):
        x = np.array([panel.x.low, panel.x.high]) if mark.x is None else mark.x
        low, high = _at(panel, place, x, mark.low), _at(panel, place, x, mark.high)
        pen.area(np.vstack([low, high[::-1]]), mark.color, alpha=mark.alpha, inside=place)
    elif isinstance(mark, Bars):
        starts, ends = _at(panel, place, *mark.starts.T), _at(panel, place, *mark.ends.T)
        looks: Any = {"alpha": mark.alpha, "inside": place}
        pen.pieces(np.stack([starts, ends], axis=1), mark.color, mark.width, **looks)
        for side in (starts, ends) if mark.cap else ():
            pen.pieces(side[:, None] + np.array([(-mark.cap, 0), (mark.cap, 0)]), mark.color, 1, **looks)
    else:
        points = _at(panel, place, mark.x, mark.y)
        if mark.is_on_edge:
            points[:, 1] = place.bottom + place.height * np.asarray(mark.y)
        looks = {"alpha": mark.alpha, "inside": None if mark.is_on_edge else place}
        if mark.dash:
            pen.line(points, mark.color, mark.width, dash=mark.dash, **looks)
        if mark.marker:
            pen.markers(points, mark.color, mark.marker, mark.size, **looks)


def _written(pen: Pen, panel: Panel, place: Place, xs: np.ndarray, ys: np.ndarray) -> None:
    """All texts of a panel."""
    if place.x_written:
        _along_x(pen, panel.x, place, xs, place.bottom - panel.tick - TICK_PAD)
        bottom = place.bottom - below(panel) - LABEL_PAD - 0.9 * TEXT
        if panel.x.label:
            pen.text(place.left + place.width / 2, bottom, panel.x.label, TEXT)
    if place.y_written:
        for y, (_, text) in zip(ys, panel.y.ticks, strict=True):
            pen.text(place.left - panel.tick - TICK_PAD, y - LETTER * TEXT / 2, text, TEXT, at=1)
        left = place.left - beside(panel) - LABEL_PAD - 0.25 * TEXT
        if panel.y.label:
            pen.text(left, place.bottom + place.height / 2, panel.y.label, TEXT, angle=90)
    if panel.title:
        pen.text(place.left, place.top + TITLE_PAD, panel.title, TITLE, at=0)
    for label in panel.labels:
        x, y = place.left + place.width * panel.x.share(label.x), place.bottom + place.height * panel.y.share(label.y)
        pen.text(float(x), float(y) - LETTER * label.size / 2, label.text, label.size, label.color)


def _along_x(pen: Pen, axis: Axis, place: Place, xs: np.ndarray, top: float) -> None:
    for x, (_, text) in zip(xs, axis.ticks, strict=True):
        if not axis.angle:
            pen.text(x, top - 0.76 * TEXT, text, TEXT)
        else:  # its end is at the tick
            turn = math.radians(axis.angle)
            down, aside = LETTER * TEXT * math.cos(turn), LETTER * TEXT * math.sin(turn) / 2
            pen.text(x + aside, top - down, text, TEXT, at=1, angle=axis.angle)


def _legend(pen: Pen, sketch: Sketch) -> None:
    names = sketch.names()
    if not names:
        return
    n_rows = math.ceil(len(names) / sketch.legend)
    columns = [names[i : i + n_rows] for i in range(0, len(names), n_rows)]
    widths = [HANDLE + HANDLE_PAD + max(wide(line.label, SMALL) for line in column) for column in columns]
    x = (72 * sketch.width - sum(widths) - COLUMN_GAP * (len(widths) - 1)) / 2
    for column, width in zip(columns, widths, strict=True):
        for row, line in enumerate(column):
            y = MARGIN + ROW * (n_rows - row - 0.5)
            if line.dash:
                pen.line(np.array([(x, y), (x + HANDLE, y)]), line.color, line.width, dash=line.dash)
            if line.marker:
                pen.markers(np.array([(x + HANDLE / 2, y)]), line.color, line.marker, line.size)
            pen.text(x + HANDLE + HANDLE_PAD, y - LETTER * SMALL / 2, line.label, SMALL, at=0)
        x += width + COLUMN_GAP
