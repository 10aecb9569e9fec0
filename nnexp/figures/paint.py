"""A chart as pixels, and as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnexp.figures.canvas import Canvas, png, text_width
from nnexp.figures.chart import POINT, Bar, Box, Chart, Plot, Raster, Stroke
from nnexp.figures.colors import colored
from nnexp.figures.matplot import figure_of
from nnexp.figures.style import save

# Points, as in matplotlib's defaults: what `figure_of` draws by.
TEXT, TITLE, SMALL, ALONE = 9.0, 10.0, 8.0, 11.0
TITLE_PAD, LABEL_PAD, TICK_PAD, TICK, MINOR_TICK = 6 * POINT, 4 * POINT, 3.5 * POINT, 3.5 * POINT, 2 * POINT
LINE_WIDTH, DASHES, DOT = 1.6 * POINT, (1.6 * 3.7 * POINT, 1.6 * 1.6 * POINT), 2 * POINT
GRID_COLOR = "#e0e0e0"
N_SHADES = 256  # of a colour bar


def paint(chart: Chart) -> np.ndarray:
    """Draw a chart.

    Returns
    -------
    ndarray of shape (height, width, 3), or (height, width) where nothing has a colour
        uint8. Equal charts give equal pixels.
    """
    canvas = Canvas(chart.width, chart.height, is_gray=chart.is_gray)
    if chart.text:
        canvas.text(chart.width / 2, chart.height / 2, chart.text, ALONE, "center center")
    for plot in chart.plots:
        _paint_plot(canvas, plot)
    return canvas.pixels()


def _paint_plot(canvas: Canvas, plot: Plot) -> None:
    box = plot.box
    if plot.raster is not None:
        canvas.picture(box, _colors(plot.raster))
        if plot.bar is not None:
            _paint_bar(canvas, plot.bar_box, plot.bar, plot.raster)
    _paint_axes(canvas, plot)
    for stroke in plot.strokes:
        points = np.stack(_place(plot, stroke.x, stroke.y), axis=1)
        _paint_stroke(canvas, box, points, stroke, points)
    for label in plot.labels:
        x, y = _place(plot, label.x, label.y)
        canvas.text(float(x), float(y), label.text, label.size, "center center", label.color)
    canvas.text(box.left, box.top - TITLE_PAD, plot.title, TITLE, "left baseline")
    _paint_legend(canvas, plot)


def _place(plot: Plot, x: object, y: object) -> tuple[np.ndarray, np.ndarray]:
    """Where values of the axes are in the figure."""
    box = plot.box
    return box.left + plot.x.share(x) * box.width, box.bottom - plot.y.share(y) * box.height


def _paint_stroke(canvas: Canvas, box: Box, points: np.ndarray, stroke: Stroke, dots: np.ndarray) -> None:
    dashes, dots_if_any = DASHES if stroke.is_dashed else None, dots if stroke.has_dots else None
    canvas.line(box, points, LINE_WIDTH, stroke.color, dashes=dashes, dots=dots_if_any, dot=DOT)


def _colors(raster: Raster) -> np.ndarray:
    return colored(raster.share(raster.values), raster.colors)


def _paint_axes(canvas: Canvas, plot: Plot) -> None:
    """Grid, spines, ticks, and what is written along them."""
    box, tick = plot.box, TICK if plot.has_frame else 0
    xs, ys = (np.array([value for value, _ in axis.ticks]) for axis in (plot.x, plot.y))
    xs, ys = _place(plot, xs, ys)
    if plot.has_frame:
        for x in xs:
            canvas.rectangle(x - 0.5, box.top, 1, box.height, GRID_COLOR)
            canvas.rectangle(x - 0.5, box.bottom, 1, tick, "black")
        for y in ys:
            canvas.rectangle(box.left, y - 0.5, box.width, 1, GRID_COLOR)
            canvas.rectangle(box.left - tick, y - 0.5, tick, 1, "black")
        for y in _place(plot, 0, plot.y.minor)[1]:
            canvas.rectangle(box.left - MINOR_TICK, y - 0.5, MINOR_TICK, 1, "black")
        canvas.rectangle(box.left, box.top, 1, box.height, "black")
        canvas.rectangle(box.left, box.bottom, box.width, 1, "black")
    below, beside = box.bottom + tick + TICK_PAD, box.left - tick - TICK_PAD
    for x, (_, text) in zip(xs, plot.x.ticks, strict=True):
        canvas.text(x, below, text, TEXT, "center top", turned=plot.x.angle == 90)
    for y, (_, text) in zip(ys, plot.y.ticks, strict=True):
        canvas.text(beside, y, text, TEXT, "right center")
    widths = [[text_width(text, TEXT) for _, text in axis.ticks] for axis in (plot.x, plot.y)]
    if plot.x.label:
        below += LABEL_PAD + (max(widths[0], default=0) if plot.x.angle else 1.2 * TEXT * POINT)
        canvas.text(box.left + box.width / 2, below, plot.x.label, TEXT, "center top")
    if plot.y.label:
        beside -= max(widths[1], default=0) + LABEL_PAD
        canvas.text(beside, box.top + box.height / 2, plot.y.label, TEXT, "right center", turned=True)
    if plot.note:
        canvas.text(box.left, box.bottom + LABEL_PAD, plot.note, SMALL, "left top")


def _paint_bar(canvas: Canvas, box: Box, bar: Bar, raster: Raster) -> None:
    canvas.picture(box, colored(np.linspace(1, 0, N_SHADES)[:, None], raster.colors))
    for value, text in bar.ticks:
        y = box.bottom - float(raster.share(value)) * box.height
        canvas.rectangle(box.right, y - 0.5, TICK, 1, "black")
        canvas.text(box.right + TICK + TICK_PAD, y, text, TEXT, "left center")
    beside = box.right + TICK + TICK_PAD + max(text_width(text, TEXT) for _, text in bar.ticks) + LABEL_PAD
    canvas.text(beside, box.top + box.height / 2, bar.label, TEXT, "left center", turned=True)


def _paint_legend(canvas: Canvas, plot: Plot) -> None:
    """The names of the strokes in a corner, by matplotlib's measures in ems of the text."""
    if not plot.strokes:
        return
    box, em = plot.box, SMALL * POINT
    row = 1.57 * em  # from one name to the next
    left = box.right - 0.9 * em - max(text_width(stroke.label, SMALL) for stroke in plot.strokes)
    top = box.top + 0.9 * em if plot.legend == "upper right" else box.bottom - 0.4 * em - row * len(plot.strokes)
    for n, stroke in enumerate(plot.strokes):
        y = top + (n + 0.3) * row
        handle = np.array([(left - 2.8 * em, y), (left - 0.8 * em, y)])
        _paint_stroke(canvas, box, handle, stroke, handle.mean(axis=0, keepdims=True))
        canvas.text(left, y, stroke.label, SMALL, "left center")


def save_chart(chart: Chart, path: str | Path) -> None:
    """Write a chart in the format of the path's suffix: png, svg or pdf. Equal charts give equal bytes.

    Raises
    ------
    ValueError
        For another suffix.
    """
    if Path(path).suffix.lower() == ".png":
        Path(path).write_bytes(png(paint(chart)))
    else:
        save(figure_of(chart), path)
