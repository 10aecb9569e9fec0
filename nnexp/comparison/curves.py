"""Metrics while training, over each axis that a task has: steps, seconds and others may have different winners."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnexp.comparison.drawing import MOST_LINES, drawn, fitting_columns, line_styles
from nnexp.comparison.metric import Metric
from nnexp.comparison.settings import Group, Setting
from nnexp.comparison.spec import STEPS, Axis, History
from nnexp.figures import scales
from nnexp.figures.chart import Axis as DrawnAxis
from nnexp.figures.sketch import Band, Line, Panel, Sketch, values_of

POINTS = 120
SHORT = 0.01  # seconds; the numbers on a shorter axis are long, and few have room
LOG_FROM = 20  # an axis that spans this factor is drawn on a logarithmic scale
MOST_BANDS = 6
LEGEND_COLUMNS = 4
PANEL_WIDTH = 3.2  # inches
MOST_STEPS = 6  # of an axis
PLAIN_RANGE = 150  # up to which a logarithmic axis of this width has room for 1, 2, 5 of each decade


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


def sketch(group: Group, histories: Mapping[str, History], metrics: Sequence[Metric]) -> Sketch:
    """The curves of the best settings: the median over the seeds, and from the lowest to the highest as a band."""
    histories = having(histories, [metric.key for metric in metrics])
    shown = {s.label for s in group.ranked[:MOST_LINES]}
    settings = [s for s in group.settings if s.label in shown and histories_of(s, histories)]
    width = round(PANEL_WIDTH * len(group.spec.axes), 1)
    columns = fitting_columns([setting.label for setting in settings], width, LEGEND_COLUMNS)
    legend_rows = math.ceil(len(settings) / columns) if len(settings) > 1 else 0
    styles, drawn_x, marks = line_styles(settings), list[DrawnAxis](), list[list[list[Line | Band]]]()
    for axis in group.spec.axes:
        longest = [max(h[axis.column][-1] for h in histories_of(s, histories)) for s in settings]
        grid = _grid(axis, settings, histories, min(longest), max(longest))
        ends = [np.append(grid[grid < end], end) for end in longest]
        drawn_x.append(_x_axis(axis, grid, longest))
        marks.append([
            [
                mark
                for setting, places in zip(settings, ends, strict=True)
                for mark in _marks(setting, histories_of(setting, histories), axis, metric, places,
                                   styles[setting.label], bands=len(settings) <= MOST_BANDS)
            ]
            for metric in metrics
        ])  # fmt: skip
    rows: list[list[Panel]] = []
    for metric, *of_axes in zip(metrics, *marks, strict=True):
        y = _y_axis(metric, [mark for each in of_axes for mark in each])
        rows.append([Panel(x, y, each) for x, each in zip(drawn_x, of_axes, strict=True)])
    height = 2.45 * len(metrics) + 0.3 + 0.19 * legend_rows
    return Sketch(width, height, rows, shares_x=True, shares_y=True, legend=columns)


draw = drawn(sketch)


def _y_axis(metric: Metric, marks: Sequence[Line | Band]) -> DrawnAxis:
    """As far as lines and bands reach."""
    values = np.concatenate([mark.y for mark in marks if isinstance(mark, Line)])
    everything = values_of(marks)
    if _is_log(metric, values):
        return scales.logarithmic(everything[everything > 0], metric.axis_label)
    return scales.of_numbers(everything, metric.axis_label, most=MOST_STEPS)


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


def _x_axis(axis: Axis, grid: np.ndarray, longest: Sequence[float]) -> DrawnAxis:
    """Logarithmic where some run lasted many times as long as another."""
    if max(longest) <= LOG_FROM * max(min(longest), 1e-9):
        most = 5 if axis.is_whole or max(longest) > SHORT else 3
        return scales.of_numbers(grid, axis.label, is_whole=axis.is_whole, most=most)
    if axis.column == STEPS.column:
        return scales.from_zero(max(longest), axis.label)
    return scales.logarithmic(grid, axis.label, plain=PLAIN_RANGE)


def _marks(
    setting: Setting,
    found: Sequence[History],
    axis: Axis,
    metric: Metric,
    grid: np.ndarray,
    look: tuple[Any, Any],
    *,
    bands: bool,
) -> list[Line | Band]:
    color, dash = look
    values = metric.scale * np.array([held(history, axis, metric.key, grid) for history in found])
    middle = np.median(values, axis=0)
    line = Line(grid, middle, color, dash, label=setting.label)
    end = Line(grid[-1:], middle[-1:], color, "", marker="o", size=3.2)
    if not bands or len(found) < 2:
        return [line, end]
    return [Band(grid, values.min(axis=0), values.max(axis=0), color, 0.15), line, end]
