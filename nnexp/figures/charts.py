"""Charts of one run: its cost and accuracy, its confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator, PercentFormatter

from nnexp.figures.style import PART_COLORS, add_colorbar, framed_axes, new_figure, styled


@styled
def cost_curves(history: Mapping[str, np.ndarray]) -> Figure:
    """Draw cost and accuracy over the iterations.

    Parameters
    ----------
    history : mapping of str to ndarray of shape (n_rows,)
        ``step``, and what there is of ``cost/train``, ``loss/PART`` and ``accuracy/PART`` for the parts train,
        validation and test; NaN where a part was not evaluated.

    Returns
    -------
    Figure
    """
    figure = new_figure(8.6, 3.5)
    left, right = (figure.add_axes((x, 0.14, 0.405, 0.75)) for x in (0.085, 0.585))
    _curve(left, history, "cost/train", "cost, train", color=PART_COLORS["train"], linestyle="--")
    for part, color in PART_COLORS.items():
        _curve(left, history, f"loss/{part}", f"loss, {part}", color=color)
        _curve(right, history, f"accuracy/{part}", part, _percent, color=color)
    _log_scale(left)
    left.set(title="Cost (with the penalty) and loss (without)", ylabel="nats per sample")
    right.set(title="Accuracy", ylabel="right predictions")
    right.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    last = max(1.0, float(np.max(history["step"], initial=0)))
    for axes in (left, right):
        axes.set(xlabel="iteration", xlim=(-0.02 * last, 1.02 * last))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(visible=True)
    if left.lines:
        left.legend(loc="upper right")
    if right.lines:
        right.legend(loc="lower right")
    return figure


def _curve(
    axes: Axes,
    history: Mapping[str, np.ndarray],
    key: str,
    label: str,
    show: Callable[[float], str] = "{:.4g}".format,
    **line: Any,
) -> None:
    """Draw a column of the history where it has values, its last one in the legend."""
    if key not in history:
        return
    step, values = np.asarray(history["step"]), np.asarray(history[key])
    there = np.isfinite(values)
    if there.any():
        marker = {"marker": "o", "markersize": 3} if there.sum() <= 20 else {}
        axes.plot(step[there], values[there], label=f"{label}: {show(values[there][-1])}", **line, **marker)


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
