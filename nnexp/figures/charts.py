"""Charts of one run: its curves while training, its confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnexp.figures import scales
from nnexp.figures.chart import Axis, Bar, Box, Chart, Corner, Label, Plot, Raster, Stroke, framed
from nnexp.figures.colors import SHARE

FEW_POINTS = 20  # are drawn as dots, too
DARK = 0.6  # of the scale of colours, from where on text is white


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a panel: `values` of shape (n_rows,), NaN where there are none."""

    label: str
    values: np.ndarray
    color: str
    style: str = "-"  # or --


@dataclass(frozen=True)
class Panel:
    """Lines with one scale: of shares between 0 and 1, which is linear, or of numbers, which is logarithmic."""

    title: str
    ylabel: str
    lines: Sequence[Line]
    is_share: bool = False


def curves(step: np.ndarray, panels: tuple[Panel, Panel]) -> Chart:
    """Two panels side by side over the iterations, the last value of each line in the legend.

    Parameters
    ----------
    step : ndarray of shape (n_rows,)
    panels : pair of Panel
    """
    last = max(1.0, float(np.max(step, initial=0)))
    x = scales.linear(-0.02 * last, 1.02 * last, "iteration", is_whole=True)
    plots = [
        _panel(np.asarray(step), panel, Box(left, 42, 383, 289), x)
        for left, panel in zip((80, 553), panels, strict=True)
    ]
    return Chart(946, 385, plots)


def _panel(step: np.ndarray, panel: Panel, box: Box, x: Axis) -> Plot:
    strokes = [_stroke(step, line, is_share=panel.is_share) for line in panel.lines if np.isfinite(line.values).any()]
    values = np.concatenate([stroke.y for stroke in strokes]) if strokes else np.empty(0)
    y = (scales.of_shares if panel.is_share else scales.of_amounts)(values, panel.ylabel)
    corner: Corner = "lower right" if panel.is_share else "upper right"
    return Plot(box, x, y, panel.title, strokes=strokes, legend=corner, has_frame=True)


def _stroke(step: np.ndarray, line: Line, *, is_share: bool) -> Stroke:
    values = np.asarray(line.values)
    there = np.isfinite(values)
    last = values[there][-1]
    label = f"{line.label}: {_percent(last) if is_share else f'{last:.4g}'}"
    has_dots = int(there.sum()) <= FEW_POINTS
    return Stroke(step[there], values[there], line.color, label, is_dashed=line.style == "--", has_dots=has_dots)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def confusion_matrix(counts: np.ndarray, classes: Sequence[str]) -> Chart:
    """The counts, over colours for their share of the true class.

    Parameters
    ----------
    counts : ndarray of shape (n_classes, n_classes)
        True class by predicted class.
    classes : sequence of str
    """
    counts, n_classes = np.asarray(counts), len(classes)
    right, total = int(np.trace(counts)), int(counts.sum())
    title = f"{right:,} of {total:,} right ({_percent(right / max(total, 1))})"
    cell = 0.8 if n_classes <= 4 else min(0.45, max(0.27, 4.4 / n_classes))  # inches, like all below
    names = 0.07 * max(map(len, classes))
    turned = names > cell
    size = (cell * n_classes, cell * n_classes)
    width, height, box = framed(*size, title, left=0.5 + names, bottom=0.5 + names * turned, bar=True)
    raster = Raster(
        counts / np.maximum(counts.sum(axis=1, keepdims=True), 1),
        SHARE, 0, 1, gamma=0.4,  # a few mistakes among hundreds still show
    )  # fmt: skip
    is_dark = raster.share(raster.values) > DARK
    font_size = min(9.0, 72 * cell * 0.9 / (0.64 * max(2, len(str(counts.max())))))
    labels = [
        Label(column, row, str(counts[row, column]), font_size, "white" if is_dark[row, column] else "black")
        for row, column in np.argwhere(counts).tolist()
    ]
    ticks = list(enumerate(classes))
    x = Axis(-0.5, n_classes - 0.5, ticks, "predicted class", angle=90 * turned)
    y = Axis(n_classes - 0.5, -0.5, ticks, "true class")
    bar = Bar("share of the true class", [(0, "0 %"), (0.01, "1 %"), (0.1, "10 %"), (0.3, "30 %"), (1, "100 %")])
    return Chart(width, height, [Plot(box, x, y, title, raster, bar, labels=labels)])
