"""Final figures over what was swept: a curve for one key, a map for two, parallel coordinates for more."""

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

from nnexp.figures.style import PART_COLORS
from nnexp.report.drawing import INK, KeyScale, drawn, legend_below, panels
from nnexp.report.settings import Group, Metric, Setting, is_number, name_of, show_value, sort_key

MAP = "cividis"  # even to colour-blind eyes
LEAST_NUMBERS, LEAST_TEXTS = 3, 2
MOST_CELLS = 15
MOST_VECTOR_LINES = 150
FULL_ENOUGH = 0.5  # share of the cells that have a value


def slice_through_best(group: Group, key: str) -> list[Setting]:
    """The settings that differ from the best one in this key alone, in the order of its values."""
    others = [other for other in group.keys if other != key]
    best = group.best.values
    found = [s for s in group.settings if all(s.values[other] == best[other] for other in others)]
    return sorted(found, key=lambda setting: sort_key(setting.values[key]))


def curve_keys(group: Group) -> list[str]:
    """The swept keys with a validation curve: enough values on the slice through the best setting."""

    def is_enough(key: str) -> bool:
        values = [setting.values[key] for setting in slice_through_best(group, key)]
        return len(values) >= (LEAST_NUMBERS if all(map(is_number, values)) else LEAST_TEXTS)

    return [key for key in group.keys if is_enough(key)]


@drawn
def validation_curve(group: Group, key: str) -> Figure:
    """Draw accuracy and loss of each part over the values of a key, with the spread over the seeds.

    The line joins the means over numbers; the bars are 95 % bootstrap intervals, the small dots single seeds. Other
    keys stay as in the best setting.
    """
    settings = slice_through_best(group, key)
    scale = KeyScale.of([setting.values[key] for setting in settings])
    kinds = [k for k in ("accuracy", "loss") if any(_there(settings, f"{k}/{part}") for part in PART_COLORS)]
    figure, axes = panels(4.5 * len(kinds) + 0.6, 3.2, 1, len(kinds))
    for panel, kind in zip(axes[0], kinds, strict=True):
        parts = [part for part in PART_COLORS if _there(settings, f"{kind}/{part}")]
        for shift, part in zip(_shifts(len(parts), scale), parts, strict=True):
            _part_line(panel, settings, scale, key, Metric(f"{kind}/{part}"), shift)
        panel.set(xlabel=axis_name(key), ylabel="accuracy (%)" if kind == "accuracy" else "loss (nats per sample)")
        panel.grid(visible=True)
        panel.margins(x=0.06)
        scale.put_on(panel)
        if group.has_choice:
            _mark_best(panel, scale(group.best.values[key]))
    legend_below(figure, axes[0, 0], columns=3)
    return figure


def axis_name(key: str) -> str:
    """A swept key as the label of an axis."""
    return {"model.l2": "λ, the penalty", "model.hidden_size": "hidden units"}.get(key, name_of(key))


def _there(settings: Sequence[Setting], key: str) -> bool:
    return any(setting.column(key).notna().any() for setting in settings)


def _shifts(n: int, scale: KeyScale) -> np.ndarray:
    """Small steps aside, so that the bars of several parts do not hide each other."""
    width = scale.positions[-1] - scale.positions[0] or 1.0
    return (np.arange(n) - (n - 1) / 2) * (0.008 if scale.is_numeric else 0.02) * width


def _part_line(
    panel: Axes, settings: Sequence[Setting], scale: KeyScale, key: str, metric: Metric, shift: float
) -> None:
    part = metric.key.partition("/")[2]
    color = PART_COLORS[part]
    places = np.array([scale(setting.values[key]) for setting in settings]) + shift
    summaries = [setting.summary(metric.key) for setting in settings]
    means = metric.scale * np.array([summary.mean for summary in summaries])
    errors = metric.scale * np.array([[s.mean - s.low, s.high - s.mean] for s in summaries]).T
    if scale.is_numeric:
        first = 1 if scale.is_broken else 0
        panel.plot(places[: first + 1], means[: first + 1], color=color, linestyle=(0, (1, 2)))
        panel.plot(places[first:], means[first:], color=color)
    panel.plot(places, means, color=color, marker="o", markersize=4, linestyle="none", label=metric.name.split()[0])
    panel.errorbar(
        places, means, np.nan_to_num(np.maximum(errors, 0)), color=color, fmt="none", capsize=2.5, linewidth=1.1
    )
    for place, setting in zip(places, settings, strict=True):
        if setting.n > 1:
            seeds = metric.scale * setting.column(metric.key)
            panel.plot(
                [place] * setting.n, seeds, color=color, marker="o", markersize=2.6, linestyle="none", alpha=0.35
            )


def _mark_best(panel: Axes, place: float) -> None:
    panel.plot(
        [place], [1.0], marker="v", color=INK, markersize=6, transform=panel.get_xaxis_transform(), clip_on=False
    )


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
        panel.text(column, row, text, ha="center", va="center", color="white" if dark else "black", fontsize=8)
    best = group.best.values
    x, y = first.index(best[group.keys[0]]), second.index(best[group.keys[1]])
    frame = Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, fill=False, edgecolor="#D55E00", linewidth=2.4)
    panel.add_patch(frame)
    panel.set_xticks(range(len(first)), [show_value(v) for v in first], rotation=30 if len(str(first)) > 60 else 0)
    panel.set_yticks(range(len(second)), [show_value(v) for v in second])
    panel.set(xlabel=axis_name(group.keys[0]), ylabel=axis_name(group.keys[1]))
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
        panel.set_xlabel(axis_name(key))
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
    panel.set_xticks(range(len(columns)), [*(axis_name(key) for key in keys), metric.axis_label.replace(" (", "\n(")])
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
