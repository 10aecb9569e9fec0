"""Charts of one run: its curves while training, its confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator, PercentFormatter

from nnexp.figures.style import add_colorbar, framed_axes, new_figure, styled


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a panel: `values` of shape (n_rows,), NaN where there are none."""

    label: str
    values: np.ndarray
    color: str
    style: str = "-"


@dataclass(frozen=True)
class Panel:
    """Lines with one scale: of shares between 0 and 1, which is linear, or of numbers, which is logarithmic."""

    title: str
    ylabel: str
    lines: Sequence[Line]
    is_share: bool = False


@styled
def curves(step: np.ndarray, panels: tuple[Panel, Panel]) -> Figure:
    """Draw two panels side by side over the iterations, the last value of each line in the legend.

    Parameters
    ----------
    step : ndarray of shape (n_rows,)
    panels : pair of Panel

    Returns
    -------
    Figure
    """
    figure = new_figure(8.6, 3.5)
    last = max(1.0, float(np.max(step, initial=0)))
    for x, panel in zip((0.085, 0.585), panels, strict=True):
        axes = figure.add_axes((x, 0.14, 0.405, 0.75))
        for line in panel.lines:
            _draw(axes, np.asarray(step), line, is_share=panel.is_share)
        axes.set(title=panel.title, ylabel=panel.ylabel, xlabel="iteration", xlim=(-0.02 * last, 1.02 * last))
        if panel.is_share:
            axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        else:
            _log_scale(axes)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(visible=True)
        if axes.lines:
            axes.legend(loc="lower right" if panel.is_share else "upper right")
    return figure


def _draw(axes: Axes, step: np.ndarray, line: Line, *, is_share: bool) -> None:
    values = np.asarray(line.values)
    there = np.isfinite(values)
    if there.any():
        last = values[there][-1]
        label = f"{line.label}: {_percent(last) if is_share else f'{last:.4g}'}"
        marker = {"marker": "o", "markersize": 3} if there.sum() <= 20 else {}
        axes.plot(step[there], values[there], label=label, color=line.color, linestyle=line.style, **marker)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _log_scale(axes: Axes) -> None:
    """Scale y logarithmically with plain numbers at the ticks, if all that is drawn is positive."""
    lowest = [np.min(np.asarray(line.get_ydata())) for line in axes.lines]
    if not lowest or min(lowest) <= 0:
        return
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < 1000 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())


@styled
def confusion_matrix(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw the counts, over colours for their share of the true class.

    Parameters
    ----------
    counts : ndarray of shape (n_classes, n_classes)
        True class by predicted class.
    classes : sequence of str

    Returns
    -------
    Figure
    """
    counts, n_classes = np.asarray(counts), len(classes)
    right, total = int(np.trace(counts)), int(counts.sum())
    title = f"{right:,} of {total:,} right ({_percent(right / max(total, 1))})"
    cell = 0.8 if n_classes <= 4 else min(0.45, max(0.27, 4.4 / n_classes))  # inches, like all below
    names = 0.07 * max(map(len, classes))
    turned = names > cell
    size = (cell * n_classes, cell * n_classes)
    figure, axes = framed_axes(*size, title, left=0.5 + names, bottom=0.5 + names * turned, bar=True)
    norm = PowerNorm(0.4, 0, 1)  # a few mistakes among hundreds still show
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    drawn = axes.imshow(shares, cmap="Blues", norm=norm, aspect="auto")
    font_size = min(9.0, 72 * cell * 0.9 / (0.64 * max(2, len(str(counts.max())))))
    for row, column in np.argwhere(counts):
        color = "white" if norm(shares[row, column]) > 0.6 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color, fontsize=font_size)
    axes.set_xticks(range(n_classes), classes, rotation=90 * turned)
    axes.set_yticks(range(n_classes), classes)
    axes.set(xlabel="predicted class", ylabel="true class")
    bar = add_colorbar(axes, drawn, "share of the true class")
    bar.set_ticks([0, 0.01, 0.1, 0.3, 1], labels=["0 %", "1 %", "10 %", "30 %", "100 %"])
    return figure
