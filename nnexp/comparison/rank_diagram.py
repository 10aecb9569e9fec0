"""The critical-difference diagram: average ranks on a line, bars over what was not shown to differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnexp.comparison.data_sets import OverDataSets
from nnexp.comparison.drawing import COLORS, INK, drawn
from nnexp.figures.style import new_figure

LETTER = 0.082  # inches that a letter of a label takes at most
LEAST_SCALE, MOST_WIDTH = 4.0, 9.6  # inches
ROW, BAR, TOP, EDGE = 0.24, 0.15, 0.62, 0.12  # inches: of a label, of a bar, above the line, at the sides
MOST_TICKS = 12


@drawn
def draw(found: OverDataSets) -> Figure:
    """Draw the settings on the line of average ranks, the best on the left, each with a label in a row of its own.

    The better half has its labels on the left, the other on the right. Everything is placed in inches, so that labels
    stand clear of each other however many there are. A dot on a bar is a setting that the bar joins: one between two
    dots may have none.
    """
    shown, groups = found.n_tested, found.cliques
    ranks, left = found.ranks[:shown], math.ceil(shown / 2)
    labels = [f"{name}  {rank:.2f}" for name, rank in zip(found.names, ranks, strict=False)]
    levels = _levels(groups)
    n_levels = max(levels, default=0)
    margins = [LETTER * max(map(len, some), default=0) + 2 * EDGE for some in (labels[:left], labels[left:])]
    scale = max(LEAST_SCALE, MOST_WIDTH - sum(margins))
    width, height = scale + sum(margins), TOP + BAR * (n_levels + 1) + ROW * (left + 0.5)
    figure = new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    low, high = 1, max(2, math.ceil(found.ranks[shown - 1]) if shown < len(found.names) else len(found.names))

    def place(rank: float) -> float:
        return margins[0] + scale * (rank - low) / (high - low)

    _line(axes, low, high, place)
    axes.text(place((low + high) / 2), 0.14, f"average rank by {found.metric.name}", ha="center", va="center")
    first_row = TOP + BAR * (n_levels + 1)
    for i, (rank, label) in enumerate(zip(ranks, labels, strict=True)):
        is_left = i < left
        y = first_row + ROW * (0.5 + (i if is_left else shown - 1 - i))
        end = margins[0] - EDGE if is_left else width - margins[1] + EDGE
        axes.plot([place(rank), place(rank), end], [TOP, y, y], color=INK, linewidth=0.9, solid_joinstyle="miter")
        side = -0.06 if is_left else 0.06
        axes.text(end + side, y, label, ha="right" if is_left else "left", va="center_baseline")
    for level, group in zip(levels, groups, strict=True):
        x, y = [place(ranks[i]) for i in group], TOP + BAR * level
        axes.plot([x[0], x[-1]], [y, y], color=COLORS[0], linewidth=4, solid_capstyle="round", zorder=3)
        axes.plot(x, [y] * len(x), color=COLORS[0], marker="o", markersize=6.5, linestyle="none", zorder=4)
    return figure


def _levels(groups: Sequence[tuple[int, ...]]) -> list[int]:
    """The level of each bar, 1 the topmost: bars that do not overlap share one."""
    ends: list[int] = []
    levels: list[int] = []
    for group in groups:
        level = next((i for i, end in enumerate(ends) if end < group[0]), len(ends))
        ends[level : level + 1] = [group[-1]]
        levels.append(level + 1)
    return levels


def _line(axes: Axes, low: int, high: int, place: Callable[[float], float]) -> None:
    """The line of ranks with its ticks, the best on the left."""
    axes.plot([place(low), place(high)], [TOP, TOP], color=INK, linewidth=1.2)
    step = math.ceil((high - low) / MOST_TICKS)
    for tick in np.arange(low, high + 0.5, step):
        axes.plot([place(tick)] * 2, [TOP - 0.07, TOP], color=INK, linewidth=1.2)
        axes.text(place(tick), TOP - 0.1, f"{tick:g}", ha="center", va="bottom")
    for tick in np.arange(low, high, step) + step / 2:
        if tick < high:
            axes.plot([place(tick)] * 2, [TOP - 0.04, TOP], color=INK, linewidth=0.9)
