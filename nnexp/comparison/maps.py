"""Final figures over several swept keys: a map for two, parallel coordinates for more, points for a search."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from nnexp.comparison.drawing import INK, drawn, panels
from nnexp.comparison.metric import Metric
from nnexp.comparison.scales import KeyScale
from nnexp.comparison.settings import Group, show_value

MAP = "cividis"  # even to colour-blind eyes
MOST_CELLS = 15
MOST_VECTOR_LINES = 150
FULL_ENOUGH = 0.5  # share of the cells that have a value


def grid_of(group: Group, metric: Metric) -> tuple[list, list, np.ndarray]:
    """The values of the two swept keys and the means over the seeds, shape (n_second, n_first), NaN where none is."""
    first, second = (KeyScale.of([s.values[key] for s in group.settings]).values for key in group.keys)
    means = np.full((len(second), len(first)), np.nan)
    for setting in group.settings:
        x, y = (setting.values[key] for key in group.keys)
        means[second.index(y), first.index(x)] = setting.column(metric.key).mean()
    return list(first), list(second), means


def is_grid(group: Group) -> bool:
    """Whether two keys were swept against each other, so that a heat map is mostly filled and can be read."""
    if len(group.keys) != 2 or len(group.settings) < 2:
        return False
    n_first, n_second = (len({s.values[key] for s in group.settings}) for key in group.keys)
    full = len(group.settings) >= FULL_ENOUGH * n_first * n_second
    return full and max(n_first, n_second) <= MOST_CELLS and min(n_first, n_second) >= 2


def is_full(group: Group) -> bool:
    """Whether every pair of values of the two keys was run."""
    return len(group.settings) == np.prod([len({s.values[key] for s in group.settings}) for key in group.keys])


@drawn
def heat_map(group: Group) -> Figure:
    """Draw the mean over the seeds for each pair of values of two keys; the best one is framed."""
    metric = group.by
    first, second, means = grid_of(group, metric)
    width, height = max(3.2, 0.62 * len(first) + 2.2), max(2.0, 0.42 * len(second) + 1.2)
    figure, axes = panels(width, height, 1, 1)
    panel = axes[0, 0]
    cmap = matplotlib.colormaps[MAP if metric.higher_is_better else MAP + "_r"].with_extremes(bad="#bbbbbb")
    shown = metric.scale * means
    drawn_map = panel.imshow(shown, cmap=cmap, origin="lower", aspect="auto")
    for row, column in np.argwhere(np.isfinite(means)):
        red, green, blue, _ = drawn_map.to_rgba(shown[row, column])
        dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        text = metric.show(float(means[row, column]), unit=False)
        ink = "white" if dark else "black"
        panel.text(column, row, text, ha="center", va="center", color=ink, fontsize=8, in_layout=False)
    best = group.best.values
    x, y = first.index(best[group.keys[0]]), second.index(best[group.keys[1]])
    frame = Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, fill=False, edgecolor="#D55E00", linewidth=2.4)
    panel.add_patch(frame)
    panel.set_xticks(range(len(first)), [show_value(v) for v in first], rotation=30 if len(str(first)) > 60 else 0)
    panel.set_yticks(range(len(second)), [show_value(v) for v in second])
    panel.set(xlabel=group.spec.axis_name(group.keys[0]), ylabel=group.spec.axis_name(group.keys[1]))
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)
    bar = figure.colorbar(drawn_map, ax=panel, label=metric.axis_label, aspect=14, pad=0.03)
    bar.outline.set_visible(False)
    return figure


@drawn
def scatter(group: Group) -> Figure:
    """Draw the chosen metric over one or two numeric keys each, for a search that has no grid; the best is ringed."""
    metric = group.by
    figure, axes = panels(4.3 * len(group.keys) + 0.5, 3.1, 1, len(group.keys), sharey=True)
    means = metric.scale * np.array([setting.column(metric.key).mean() for setting in group.settings])
    for panel, key in zip(axes[0], group.keys, strict=True):
        scale = KeyScale.of([setting.values[key] for setting in group.settings])
        places = np.array([scale(setting.values[key]) for setting in group.settings])
        panel.plot(places, means, color="#0072B2", marker="o", markersize=4, linestyle="none", alpha=0.6)
        best = scale(group.best.values[key]), metric.scale * group.best.column(metric.key).mean()
        panel.plot(*best, color="#D55E00", marker="o", markersize=9, fillstyle="none", markeredgewidth=1.6)
        panel.set_xlabel(group.spec.axis_name(key))
        panel.grid(visible=True)
        scale.put_on(panel)
    axes[0, 0].set_ylabel(metric.axis_label)
    return figure


@drawn
def parallel_coordinates(group: Group) -> Figure:
    """Draw each setting as a line over the axes of what was swept to its result, coloured by it; the best is bold."""
    metric = group.by
    keys = list(group.keys)
    means = metric.scale * np.array([setting.column(metric.key).mean() for setting in group.settings])
    finite = np.isfinite(means)
    settings, means = [s for s, ok in zip(group.settings, finite, strict=True) if ok], means[finite]
    low, high = float(means.min()), float(means.max())
    columns, scales = [], []
    for key in keys:
        scale = KeyScale.of([setting.values[key] for setting in settings])
        scales.append(scale)
        columns.append([_share(scale(s.values[key]), scale.positions[0], scale.positions[-1]) for s in settings])
    columns.append([_share(mean, low, high) for mean in means])
    lines = np.stack(
        [np.broadcast_to(np.arange(len(columns)), (len(settings), len(columns))), np.array(columns).T], axis=2
    )

    figure, axes = panels(min(12.0, 1.6 * len(columns) + 1.2), 3.7, 1, 1)
    panel = axes[0, 0]
    norm, cmap = Normalize(low, high), matplotlib.colormaps[MAP if metric.higher_is_better else MAP + "_r"]
    order = np.argsort(means if metric.higher_is_better else -means)
    many = len(settings) > MOST_VECTOR_LINES
    panel.add_collection(
        LineCollection(
            list(lines[order]),
            colors=cmap(norm(means[order])),
            linewidths=0.8 if many else 1.1,
            alpha=0.75,
            rasterized=many,
        )
    )
    best = next(i for i, setting in enumerate(settings) if setting.label == group.best.label)
    panel.plot(*lines[best].T, color="#D55E00", linewidth=2.6)
    panel.set(xlim=(-0.25, len(columns) - 0.75), ylim=(-0.04, 1.04))
    panel.set_xticks(
        range(len(columns)), [*(group.spec.axis_name(key) for key in keys), metric.axis_label.replace(" (", "\n(")]
    )
    panel.set_yticks([])
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)
    for place, scale in enumerate(scales):
        ticks, labels = scale.ticks(8)
        _ruler(panel, place, [_share(t, scale.positions[0], scale.positions[-1]) for t in ticks], labels)
    marks = np.asarray(MaxNLocator(5).tick_values(low, high))
    marks = marks[(marks >= low) & (marks <= high)]
    _ruler(panel, len(keys), [_share(mark, low, high) for mark in marks], [f"{mark:.4g}" for mark in marks])
    return figure


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _ruler(panel: Axes, place: float, ticks: Sequence[float], labels: Sequence[str]) -> None:
    panel.plot([place, place], [0, 1], color=INK, linewidth=0.9)
    ground = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8}
    for tick, label in zip(ticks, labels, strict=True):
        panel.plot([place - 0.015, place + 0.015], [tick, tick], color=INK, linewidth=0.9)
        panel.text(place - 0.04, tick, label, ha="right", va="center", fontsize=7.5, bbox=ground, color="#111111")
