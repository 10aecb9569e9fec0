"""What the figures of a report share: style, colours of settings, legends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from nnexp.comparison.settings import Setting, is_number, sort_key
from nnexp.figures.sketch import Sketch
from nnexp.figures.sketch_figure import figure_of
from nnexp.figures.style import STYLE, new_figure, own_style

MOST_LINES = 12
INK, GRID = "#222222", "#dddddd"  # on the page, these two follow its light or dark ground
# M. Okabe and K. Ito, Color universal design, 2008; without the yellow, which is too pale for a line on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)))
ORDERED = "viridis"
REPORT_STYLE: Any = {
    **STYLE,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "legend.handlelength": 2.4,
}
LEGEND_ENTRY, LEGEND_LETTER = 0.55, 0.068  # inches that an entry takes, and each letter of its text

P = ParamSpec("P")


def drawn(draw: Callable[P, Any]) -> Callable[P, Any]:
    """A function that draws under the report's style, the project's own with one ink, and returns a laid out figure.

    `draw` makes a Figure, or a sketch, of which one is made.
    """

    @wraps(draw)
    def in_own_style(*args: P.args, **kwargs: P.kwargs) -> Any:
        with own_style(REPORT_STYLE):
            made = draw(*args, **kwargs)
            if isinstance(made, Sketch):
                return figure_of(made)
            if isinstance(made, Figure):
                _lay_out(made)
            return made

    return in_own_style


in_style = drawn(figure_of)


def _lay_out(figure: Figure) -> None:
    """Lay out a figure once for all formats: else each would do that anew, and before that draw once for nothing."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


def panels(width: float, height: float, n_rows: int, n_columns: int, **kwargs: Any) -> tuple[Figure, np.ndarray]:
    """A figure of this size in inches with a grid of axes that keep clear of each other and of the legend."""
    figure = new_figure(width, height)
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06, wspace=0.03, hspace=0.04)
    return figure, figure.subplots(n_rows, n_columns, squeeze=False, **kwargs)


def colors_of(values: Sequence[Any]) -> list[tuple[Any, Any]]:
    """A colour and a dash for each of some settings; the values of one numeric key get an ordered scale."""
    if len(values) > 2 and all(map(is_number, values)):
        places = np.linspace(0.0, 0.86, len(values))  # short of the palest
        rank = {value: place for value, place in zip(sorted(values), places, strict=True)}
        return [(matplotlib.colormaps[ORDERED](rank[value]), "-") for value in values]
    return [(COLORS[i % len(COLORS)], DASHES[(i // len(COLORS)) % len(DASHES)]) for i in range(len(values))]


def line_styles(settings: Sequence[Setting]) -> dict[str, tuple[Any, Any]]:
    """A colour and a dash for each setting by its label: of two keys the longer gets colours, the shorter dashes."""
    labels = [setting.label for setting in settings]
    keys = list(settings[0].values)
    if len(keys) == 1:
        return dict(zip(labels, colors_of([setting.values[keys[0]] for setting in settings]), strict=True))
    if len(keys) == 2:
        values = {key: sorted({s.values[key] for s in settings}, key=sort_key) for key in keys}
        short, long = sorted(keys, key=lambda key: len(values[key]))
        if len(values[short]) <= len(DASHES) and len(values[long]) <= len(COLORS):
            colors = [color for color, _ in colors_of(values[long])]
            places = [(values[long].index(s.values[long]), values[short].index(s.values[short])) for s in settings]
            return {label: (colors[i], DASHES[j]) for label, (i, j) in zip(labels, places, strict=True)}
    return dict(zip(labels, colors_of(labels), strict=True))


def legend_below(figure: Figure, axes: Axes, *, columns: int) -> None:
    """A legend of the lines of `axes` under the whole figure, in at most so many columns, as many as have room."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
        fitting = fitting_columns(labels, figure.get_size_inches()[0], columns)
        figure.legend(handles, labels, loc="outside lower center", ncols=fitting)


def fitting_columns(labels: Sequence[str], width: float, most: int) -> int:
    """Columns in which a legend of these labels fits a width in inches, its rows evenly filled."""
    widest = LEGEND_ENTRY + LEGEND_LETTER * max(map(len, labels), default=0)
    return even_columns(max(1, len(labels)), max(1, min(most, int(width / widest))))


def even_columns(n: int, most: int) -> int:
    """Columns of a legend of n entries: at most so many, the rows evenly filled."""
    return math.ceil(n / math.ceil(n / most))


def log_axis(axis: Any) -> None:
    """Readable ticks on a logarithmic axis: 1, 2, 5 of each decade where there are few."""
    low, high = axis.get_view_interval()
    decades = math.log10(high / low) if low > 0 else 9
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.2 else (1,), numticks=12))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
