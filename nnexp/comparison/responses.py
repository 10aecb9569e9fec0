"""Final figures over the values of one swept key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nnexp.comparison.drawing import INK, drawn, fitting_columns
from nnexp.comparison.metric import Metric
from nnexp.comparison.scales import KeyScale
from nnexp.comparison.settings import Group, Setting, is_number, sort_key
from nnexp.comparison.wording import ends
from nnexp.figures import scales
from nnexp.figures.sketch import Bars, Line, Panel, Sketch, values_of

LEAST_NUMBERS, LEAST_TEXTS = 3, 2
MOST_STEPS = 7  # of the upright axis
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


def sketch(group: Group, key: str) -> Sketch:
    """The figures of the task over the values of a key, with the spread over the seeds.

    The line joins the means over numbers; the bars are 95 % intervals, the small dots single runs. Other keys stay as
    in the best setting.
    """
    settings = slice_through_best(group, key)
    scale = KeyScale.of([setting.values[key] for setting in settings])
    shown, row = group.spec.panels(group, settings), list[Panel]()
    for one in shown:
        shifts = _shifts(len(one.lines), scale)
        marks = [
            mark
            for shift, (metric, name, color) in zip(shifts, one.lines, strict=True)
            for mark in _marks(settings, scale, key, metric, shift, label=name, color=color)
        ]
        places = [np.asarray(mark.x) for mark in marks if isinstance(mark, Line)]
        x = scale.axis(np.concatenate(places), group.spec.axis_name(key))
        y = scales.of_numbers(values_of(marks), one.label, most=MOST_STEPS)
        if group.has_choice:
            marks.append(Line([scale(group.best.values[key])], [1.0], INK, "", marker="v", size=6, is_on_edge=True))
        row.append(Panel(x, y, marks, scale.break_marks(y.low)))
    width = WIDTHS.get(len(shown), 3.4 * len(shown))
    columns = fitting_columns([name for _, name, _ in shown[0].lines], width, 3)
    return Sketch(width, 3.2, [row], legend=columns)


response_curve = drawn(sketch)


def _shifts(n: int, scale: KeyScale) -> np.ndarray:
    """Small steps aside, so that the bars of several lines do not hide each other."""
    width = scale.positions[-1] - scale.positions[0] or 1.0
    return (np.arange(n) - (n - 1) / 2) * (0.008 if scale.is_numeric else 0.02) * width


def _marks(
    settings: Sequence[Setting],
    scale: KeyScale,
    key: str,
    metric: Metric,
    shift: float,
    *,
    label: str,
    color: str,
) -> Iterator[Line | Bars]:
    places = np.array([scale(setting.values[key]) for setting in settings]) + shift
    summaries = [setting.summary(metric.key) for setting in settings]
    means = metric.scale * np.array([summary.mean for summary in summaries])
    bars = metric.scale * np.array([ends(summary, metric) for summary in summaries]).T
    low, high = np.fmin(bars[0], means), np.fmax(bars[1], means)  # where there is no interval, at the mean
    if scale.is_numeric:
        first = 1 if scale.is_broken else 0
        yield Line(places[: first + 1], means[: first + 1], color, (0, (1, 2)))
        yield Line(places[first:], means[first:], color)
    yield Line(places, means, color, "", marker="o", size=4, label=label)
    yield Bars(np.stack([places, low], axis=1), np.stack([places, high], axis=1), color, cap=2.5)
    for place, setting in zip(places, settings, strict=True):
        if len(setting.runs) > 1:
            seeds = metric.scale * setting.column(metric.key).to_numpy(float)
            yield Line(np.full(len(seeds), place), seeds, color, "", marker="o", size=2.6, alpha=0.35)
