"""Final figures over the values of one swept key."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnexp.comparison.drawing import INK, drawn, legend_below, panels
from nnexp.comparison.metric import Metric
from nnexp.comparison.scales import KeyScale
from nnexp.comparison.settings import Group, Setting, is_number, sort_key
from nnexp.comparison.wording import ends

LEAST_NUMBERS, LEAST_TEXTS = 3, 2
WIDTHS = {1: 5.1, 2: 9.6}  # inches, by the number of panels; of more each is narrower


def slice_through_best(group: Group, key: str) -> list[Setting]:
    """The settings that differ from the best one in this key alone, in the order of its values."""
    others = [other for other in group.keys if other != key]
    best = group.best.values
    found = [s for s in group.settings if all(s.values[other] == best[other] for other in others)]
    return sorted(found, key=lambda setting: sort_key(setting.values[key]))


def curve_keys(group: Group) -> list[str]:
    """The swept keys with a response curve: enough values on the slice through the best setting."""

    def is_enough(key: str) -> bool:
        values = [setting.values[key] for setting in slice_through_best(group, key)]
        return len(values) >= (LEAST_NUMBERS if all(map(is_number, values)) else LEAST_TEXTS)

    return [key for key in group.keys if is_enough(key)]


@drawn
def response_curve(group: Group, key: str) -> Figure:
    """Draw the figures of the task over the values of a key, with the spread over the seeds.

    The line joins the means over numbers; the bars are 95 % intervals, the small dots single runs. Other keys stay as
    in the best setting.
    """
    settings = slice_through_best(group, key)
    scale = KeyScale.of([setting.values[key] for setting in settings])
    shown = group.spec.panels(group, settings)
    figure, axes = panels(WIDTHS.get(len(shown), 3.4 * len(shown)), 3.2, 1, len(shown))
    for panel, one in zip(axes[0], shown, strict=True):
        for shift, (metric, name, color) in zip(_shifts(len(one.lines), scale), one.lines, strict=True):
            _line(panel, settings, scale, key, metric, shift, label=name, color=color)
        panel.set(xlabel=group.spec.axis_name(key), ylabel=one.label)
        panel.grid(visible=True)
        panel.margins(x=0.06)
        scale.put_on(panel)
        if group.has_choice:
            _mark_best(panel, scale(group.best.values[key]))
    legend_below(figure, axes[0, 0], columns=3)
    return figure


def _shifts(n: int, scale: KeyScale) -> np.ndarray:
    """Small steps aside, so that the bars of several lines do not hide each other."""
    width = scale.positions[-1] - scale.positions[0] or 1.0
    return (np.arange(n) - (n - 1) / 2) * (0.008 if scale.is_numeric else 0.02) * width


def _line(
    panel: Axes,
    settings: Sequence[Setting],
    scale: KeyScale,
    key: str,
    metric: Metric,
    shift: float,
    *,
    label: str,
    color: str,
) -> None:
    places = np.array([scale(setting.values[key]) for setting in settings]) + shift
    summaries = [setting.summary(metric.key) for setting in settings]
    means = metric.scale * np.array([summary.mean for summary in summaries])
    bars = [ends(summary, metric) for summary in summaries]
    errors = (
        metric.scale
        * np.array([[s.mean - low, high - s.mean] for s, (low, high) in zip(summaries, bars, strict=True)]).T
    )
    if scale.is_numeric:
        first = 1 if scale.is_broken else 0
        panel.plot(places[: first + 1], means[: first + 1], color=color, linestyle=(0, (1, 2)))
        panel.plot(places[first:], means[first:], color=color)
    panel.plot(places, means, color=color, marker="o", markersize=4, linestyle="none", label=label)
    panel.errorbar(
        places,
        means,
        np.nan_to_num(np.maximum(errors, 0)),
        color=color,
        fmt="none",
        capsize=2.5,
        linewidth=1.1,
    )
    for place, setting in zip(places, settings, strict=True):
        if len(setting.runs) > 1:
            seeds = metric.scale * setting.column(metric.key)
            panel.plot(
                [place] * len(seeds), seeds, color=color, marker="o", markersize=2.6, linestyle="none", alpha=0.35
            )


def _mark_best(panel: Axes, place: float) -> None:
    panel.plot(
        [place], [1.0], marker="v", color=INK, markersize=6, transform=panel.get_xaxis_transform(), clip_on=False
    )
