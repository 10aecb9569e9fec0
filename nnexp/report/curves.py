"""Cost and accuracy while training, against iterations, evaluations and seconds: the three give different winners."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nnexp.report.drawing import LOG_FROM, MOST_LINES, drawn, fitting_columns, legend_below, log_axis, looks_of, panels
from nnexp.report.files import AXES, History
from nnexp.report.settings import L2, Group, Metric, Setting

AXIS_LABELS = {"step": "iterations", "n_fev": "evaluations of cost and gradient", "seconds": "seconds of the fit"}
POINTS = 120
MOST_BANDS = 6
LEGEND_COLUMNS = 4
WIDTH = 9.6  # inches


@dataclass(frozen=True)
class Winner:
    """Which setting has the lowest cost, on average over its seeds, when all have had the same budget."""

    axis: str
    budget: float
    setting: str
    value: float


def followed(group: Group, histories: Mapping[str, History]) -> list[Metric]:
    """What is drawn: the cost, or where lambda was swept a loss, which knows no penalty; and an accuracy."""
    with_part = [set(history) for history in histories.values() if f"loss/{group.part}" in history]
    there = set.intersection(*(with_part or [set(history) for history in histories.values()]))
    held_out = next((part for part in ("validation", "test") if f"loss/{part}" in there), "train")
    cost = f"loss/{held_out}" if L2 in group.keys else "cost/train"
    return [Metric(key) for key in (cost, f"accuracy/{held_out}") if key in there]


def having(histories: Mapping[str, History], metrics: Sequence[Metric]) -> dict[str, History]:
    """The histories in which all of these were measured: where runs are mixed, not each has a test part."""
    return {run_id: h for run_id, h in histories.items() if all(metric.key in h for metric in metrics)}


def histories_of(setting: Setting, histories: Mapping[str, History]) -> list[History]:
    """The histories of a setting's runs, those that there are."""
    return [histories[run_id] for run_id in setting.runs["run_id"] if run_id in histories]


def held(history: History, axis: str, key: str, grid: np.ndarray) -> np.ndarray:
    """A column of a history at given places of an axis: the last value seen until then.

    Before its first row a run is at its start and has the first value; one that has ended keeps its last.
    """
    there = np.isfinite(history[key])
    x, y = history[AXES[axis]][there], history[key][there]
    if not len(x):
        return np.full(len(grid), np.nan)
    return y[np.maximum(np.searchsorted(x, grid, side="right") - 1, 0)]


def winners(group: Group, histories: Mapping[str, History], metric: Metric) -> list[Winner]:
    """The winner on each axis, at the budget that every setting has had (its median over the seeds)."""
    histories = having(histories, [metric])
    runs = {setting.label: histories_of(setting, histories) for setting in group.settings}
    runs = {label: found for label, found in runs.items() if found}
    if len(runs) < 2:
        return []
    result = []
    for axis in AXES:
        budget = min(float(np.median([h[AXES[axis]][-1] for h in found])) for found in runs.values())
        means = {label: _mean_at(found, axis, metric.key, budget) for label, found in runs.items()}
        means = {label: mean for label, mean in means.items() if math.isfinite(mean)}
        if means:
            best = min(means, key=lambda label: means[label])
            result.append(Winner(axis, budget, best, means[best]))
    return result


def _mean_at(found: Sequence[History], axis: str, key: str, budget: float) -> float:
    return float(np.mean([held(history, axis, key, np.array([budget]))[0] for history in found]))


@drawn
def draw(group: Group, histories: Mapping[str, History]) -> Figure:
    """Draw the curves of the best settings: the median over the seeds, and from the lowest to the highest as a band."""
    metrics = followed(group, histories)
    histories = having(histories, metrics)
    shown = {s.label for s in group.ranked[:MOST_LINES]}
    settings = [s for s in group.settings if s.label in shown and histories_of(s, histories)]
    columns = fitting_columns([setting.label for setting in settings], WIDTH, LEGEND_COLUMNS)
    legend_rows = math.ceil(len(settings) / columns) if len(settings) > 1 else 0
    figure, axes = panels(
        WIDTH, 2.45 * len(metrics) + 0.3 + 0.19 * legend_rows, len(metrics), 3, sharey="row", sharex="col"
    )
    looks = looks_of(settings)
    for column, axis in enumerate(AXES):
        longest = [max(h[AXES[axis]][-1] for h in histories_of(s, histories)) for s in settings]
        grid = _grid(axis, settings, histories, min(longest), max(longest))
        for row, metric in enumerate(metrics):
            for setting, end in zip(settings, longest, strict=True):
                bands = len(settings) <= MOST_BANDS
                _line(
                    axes[row, column], setting, histories, axis, metric, grid[grid <= end], looks[setting.label], bands
                )
            axes[row, column].grid(visible=True)
        axes[-1, column].set_xlabel(AXIS_LABELS[axis])
        if max(longest) > LOG_FROM * max(min(longest), 1e-9):
            _log_x(axes[-1, column], axis, grid)
        elif axis != "seconds":
            axes[-1, column].xaxis.set_major_locator(MaxNLocator(5, integer=True))
        else:
            axes[-1, column].xaxis.set_major_locator(MaxNLocator(5))
    for row, metric in enumerate(metrics):
        axes[row, 0].set_ylabel(metric.axis_label)
        if not metric.is_share and all(np.min(line.get_ydata()) > 0 for panel in axes[row] for line in panel.lines):
            for panel in axes[row]:
                panel.set_yscale("log")
            log_axis(axes[row, 0].yaxis)
    legend_below(figure, axes[0, 0], columns=columns)
    return figure


def _grid(axis: str, settings: Sequence[Setting], histories: Mapping[str, History], shortest: float, longest: float):
    """Places at which all curves are drawn; as many on a logarithmic axis as on a straight one."""
    if axis == "step" and longest <= 2 * POINTS:
        return np.arange(0, longest + 1)
    first = max(min(h[AXES[axis]][0] for s in settings for h in histories_of(s, histories)), 0)
    if longest > LOG_FROM * max(shortest, 1e-9):
        start = max(first, longest / 1e4) if axis != "step" else 1.0
        return np.geomspace(start, longest, POINTS)
    return np.linspace(first, longest, POINTS)


def _log_x(panel, axis: str, grid: np.ndarray) -> None:
    if axis == "step":
        panel.set_xscale("symlog", linthresh=1, linscale=0.3)
        panel.set_xlim(left=0)
    else:
        panel.set_xscale("log")
        log_axis(panel.xaxis)


def _line(panel, setting, histories, axis, metric, grid, look, bands: bool) -> None:
    color, dash = look
    found = histories_of(setting, histories)
    if not len(grid):
        return
    values = metric.scale * np.array([held(history, axis, metric.key, grid) for history in found])
    middle = np.median(values, axis=0)
    panel.plot(grid, middle, color=color, linestyle=dash, label=setting.label)
    panel.plot(grid[-1:], middle[-1:], color=color, marker="o", markersize=3.2)
    if bands and len(found) > 1:
        panel.fill_between(grid, values.min(axis=0), values.max(axis=0), color=color, alpha=0.15, linewidth=0)
