"""Metrics while training, over each axis that a task has: steps, seconds and others may have different winners."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nnexp.comparison.drawing import (
    MOST_LINES,
    drawn,
    fitting_columns,
    legend_below,
    line_styles,
    log_axis,
    panels,
)
from nnexp.comparison.metric import Metric
from nnexp.comparison.settings import Group, Setting
from nnexp.comparison.spec import STEPS, Axis, History

POINTS = 120
SHORT = 0.01  # seconds; the numbers on a shorter axis are long, and few have room
LOG_FROM = 20  # an axis that spans this factor is drawn on a logarithmic scale
MOST_BANDS = 6
LEGEND_COLUMNS = 4
PANEL_WIDTH = 3.2  # inches


@dataclass(frozen=True)
class Winner:
    """Which setting has the best mean of a metric over its seeds, when all have had the same budget."""

    axis: Axis
    budget: float
    setting: str
    value: float


def having(histories: Mapping[str, History], keys: Sequence[str]) -> dict[str, History]:
    """The histories in which all of these were measured: where runs are mixed, not each has a test part."""
    return {run_id: h for run_id, h in histories.items() if all(key in h for key in keys)}


def histories_of(setting: Setting, histories: Mapping[str, History]) -> list[History]:
    """The histories of a setting's runs, those that there are."""
    return [histories[run_id] for run_id in setting.runs["run_id"] if run_id in histories]


def held(history: History, axis: Axis, key: str, grid: np.ndarray) -> np.ndarray:
    """A column of a history at given places of an axis: the last value seen until then.

    Before its first row a run is at its start and has the first value; one that has ended keeps its last.
    """
    there = np.isfinite(history[key])
    x, y = history[axis.column][there], history[key][there]
    if not len(x):
        return np.full(len(grid), np.nan)
    return y[np.maximum(np.searchsorted(x, grid, side="right") - 1, 0)]


def winners(group: Group, histories: Mapping[str, History], metric: Metric) -> list[Winner]:
    """The winner on each axis, at the budget that every setting has had (its median over the seeds)."""
    histories = having(histories, [metric.key])
    runs = {setting.label: histories_of(setting, histories) for setting in group.settings}
    runs = {label: found for label, found in runs.items() if found}
    if len(runs) < 2 or metric.higher_is_better is None:
        return []
    best_of, result = max if metric.higher_is_better else min, []
    for axis in group.spec.axes:
        budget = min(float(np.median([h[axis.column][-1] for h in found])) for found in runs.values())
        means = {label: _mean_at(found, axis, metric.key, budget) for label, found in runs.items()}
        means = {label: mean for label, mean in means.items() if math.isfinite(mean)}
        if means:
            best = best_of(means, key=lambda label: means[label])
            result.append(Winner(axis, budget, best, means[best]))
    return result


def _mean_at(found: Sequence[History], axis: Axis, key: str, budget: float) -> float:
    return float(np.mean([held(history, axis, key, np.array([budget]))[0] for history in found]))


@drawn
def draw(group: Group, histories: Mapping[str, History], metrics: Sequence[Metric]) -> Figure:
    """Draw the curves of the best settings: the median over the seeds, and from the lowest to the highest as a band."""
    axes_of_task = group.spec.axes
    histories = having(histories, [metric.key for metric in metrics])
    shown = {s.label for s in group.ranked[:MOST_LINES]}
    settings = [s for s in group.settings if s.label in shown and histories_of(s, histories)]
    width = round(PANEL_WIDTH * len(axes_of_task), 1)
    columns = fitting_columns([setting.label for setting in settings], width, LEGEND_COLUMNS)
    legend_rows = math.ceil(len(settings) / columns) if len(settings) > 1 else 0
    figure, axes = panels(
        width,
        2.45 * len(metrics) + 0.3 + 0.19 * legend_rows,
        len(metrics),
        len(axes_of_task),
        sharey="row",
        sharex="col",
    )
    styles, bands = line_styles(settings), len(settings) <= MOST_BANDS
    for column, axis in enumerate(axes_of_task):
        longest = [max(h[axis.column][-1] for h in histories_of(s, histories)) for s in settings]
        grid = _grid(axis, settings, histories, min(longest), max(longest))
        for row, metric in enumerate(metrics):
            for setting, end in zip(settings, longest, strict=True):
                found = histories_of(setting, histories)
                places = np.append(grid[grid < end], end)
                _line(axes[row, column], setting, found, axis, metric, places, styles[setting.label], bands=bands)
            axes[row, column].grid(visible=True)
        axes[-1, column].set_xlabel(axis.label)
        if max(longest) > LOG_FROM * max(min(longest), 1e-9):
            _log_x(axes[-1, column], axis)
        else:
            axes[-1, column].xaxis.set_major_locator(
                MaxNLocator(5 if axis.is_whole or max(longest) > SHORT else 3, integer=axis.is_whole)
            )
    for row, metric in enumerate(metrics):
        axes[row, 0].set_ylabel(metric.axis_label)
        if _is_log(metric, np.concatenate([np.asarray(line.get_ydata()) for p in axes[row] for line in p.lines])):
            for panel in axes[row]:
                panel.set_yscale("log")
            log_axis(axes[row, 0].yaxis)
    legend_below(figure, axes[0, 0], columns=columns)
    return figure


def _is_log(metric: Metric, values: np.ndarray) -> bool:
    """Costs and losses fall by factors; of a metric that may be anything its range decides."""
    if metric.is_share or not (values > 0).all():
        return False
    return metric.higher_is_better is False or values.max() > LOG_FROM * values.min()


def _grid(
    axis: Axis, settings: Sequence[Setting], histories: Mapping[str, History], shortest: float, longest: float
) -> np.ndarray:
    """Places at which all curves are drawn; as many on a logarithmic axis as on a straight one."""
    if axis.column == STEPS.column and longest <= 2 * POINTS:
        return np.arange(0, longest + 1)
    first = max(min(h[axis.column][0] for s in settings for h in histories_of(s, histories)), 0)
    if longest > LOG_FROM * max(shortest, 1e-9):
        start = max(first, longest / 1e4) if axis.column != STEPS.column else 1.0
        return np.geomspace(start, longest, POINTS)
    return np.linspace(first, longest, POINTS)


def _log_x(panel: Axes, axis: Axis) -> None:
    if axis.column == STEPS.column:
        panel.set_xscale("symlog", linthresh=1, linscale=0.3)
        panel.set_xlim(left=0)
    else:
        panel.set_xscale("log")
        log_axis(panel.xaxis)


def _line(
    panel: Axes,
    setting: Setting,
    found: Sequence[History],
    axis: Axis,
    metric: Metric,
    grid: np.ndarray,
    look: tuple,
    *,
    bands: bool,
) -> None:
    color, dash = look
    values = metric.scale * np.array([held(history, axis, metric.key, grid) for history in found])
    middle = np.median(values, axis=0)
    panel.plot(grid, middle, color=color, linestyle=dash, label=setting.label)
    panel.plot(grid[-1:], middle[-1:], color=color, marker="o", markersize=3.2)
    if bands and len(found) > 1:
        panel.fill_between(grid, values.min(axis=0), values.max(axis=0), color=color, alpha=0.15, linewidth=0)
