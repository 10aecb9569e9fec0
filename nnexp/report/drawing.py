"""What the figures of a report share: style, colours of settings, scales of swept keys, SVG for a page."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from itertools import pairwise
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from nnexp.figures.style import STYLE, new_figure, own_style
from nnexp.report.settings import Setting, is_number, show_value, sort_key

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
DARK = 70  # of 255; a darker colour is lost on a dark page
AXIS_LETTERS, LEAST_GAP = 52, 0.045  # letters along an axis; and the least share of it between labels one above another
LOG_FROM, LOG_KEYS_FROM = 20, 10  # an axis or a swept key that spans this factor is drawn on a logarithmic scale

P = ParamSpec("P")
R = TypeVar("R")


def drawn(draw: Callable[P, R]) -> Callable[P, R]:
    """Run `draw` under the report's style, the project's own with one ink."""

    @wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> R:
        with own_style(REPORT_STYLE):
            return draw(*args, **kwargs)

    return in_style


def panels(width: float, height: float, n_rows: int, n_columns: int, **kwargs: Any) -> tuple[Figure, np.ndarray]:
    """A figure of this size in inches with a grid of axes that keep clear of each other and of the legend."""
    figure = new_figure(width, height)
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06, wspace=0.03, hspace=0.04)
    return figure, figure.subplots(n_rows, n_columns, squeeze=False, **kwargs)


@drawn
def to_svg(figure: Figure, prefix: str) -> str:
    """The figure as an SVG element to stand in a page: ids of its own, no ground, its ink the page's."""
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r"\bxlink:href=", "href=", text)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r' d="([^"]+)"', lambda path: f' d="{_rounded(path.group(1))}"', text)
    text = re.sub(
        r'<svg ([^>]*?)width="([\d.]+)pt" height="[\d.]+pt"',
        r'<svg \1data-width="\2" stroke-linejoin="round"',
        text,
        count=1,
    )
    text = text.replace(INK, "currentColor").replace(GRID, "var(--line)")
    text = re.sub(r"(stroke|fill): #([0-9a-f]{6})", _themed, text)
    return re.sub(r"\s*\n\s*", "\n", text)


def _themed(found: re.Match[str]) -> str:
    """A dark colour as a variable of the page, which has a lighter one for a dark ground."""
    red, green, blue = (int(found.group(2)[i : i + 2], 16) for i in (0, 2, 4))
    is_dark = 0 < 0.21 * red + 0.72 * green + 0.07 * blue < DARK
    return f"{found.group(1)}: var(--c{found.group(2)})" if is_dark else found.group()


def _rounded(path: str) -> str:
    """Coordinates of a path to a hundredth of a point."""
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number.group()):.2f}", " ".join(path.split()))


def colors_of(values: Sequence[Any]) -> list[tuple[Any, Any]]:
    """A colour and a dash for each of some settings; the values of one numeric key get an ordered scale."""
    if len(values) > 2 and all(map(is_number, values)):
        places = np.linspace(0.0, 0.86, len(values))  # short of the palest
        rank = {value: place for value, place in zip(sorted(values), places, strict=True)}
        return [(matplotlib.colormaps[ORDERED](rank[value]), "-") for value in values]
    return [(COLORS[i % len(COLORS)], DASHES[(i // len(COLORS)) % len(DASHES)]) for i in range(len(values))]


def looks_of(settings: Sequence[Setting]) -> dict[str, tuple[Any, Any]]:
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


@dataclass(frozen=True)
class KeyScale:
    """Where the values of a swept key stand on an axis.

    Texts stand side by side; numbers on a straight scale, or on a logarithmic one where they span a factor of 10. There
    a zero stands by itself left of the others, behind a break.
    """

    values: tuple[Any, ...]
    positions: tuple[float, ...]
    is_log: bool
    is_broken: bool

    @classmethod
    def of(cls, values: Sequence[Any]) -> KeyScale:
        """The scale of these values."""
        ordered = sorted(set(values), key=sort_key)
        if not all(map(is_number, ordered)):
            return cls(tuple(ordered), tuple(float(i) for i in range(len(ordered))), False, False)
        positive = [value for value in ordered if value > 0]
        negative = any(value < 0 for value in ordered)
        if negative or len(positive) < 2 or positive[-1] < LOG_KEYS_FROM * positive[0]:
            return cls(tuple(ordered), tuple(map(float, ordered)), False, False)
        logs = [math.log10(value) for value in positive]
        broken = ordered[0] == 0
        before = [logs[0] - max(0.5, 0.18 * (logs[-1] - logs[0]))] if broken else []
        return cls(tuple(ordered), (*before, *logs), True, broken)

    def __call__(self, value: Any) -> float:
        """The place of a value."""
        return self.positions[self.values.index(value)]

    @property
    def is_numeric(self) -> bool:
        """Whether values are numbers."""
        return all(map(is_number, self.values))

    def ticks(self, most: int = 12, room: float | None = None) -> tuple[list[float], list[str]]:
        """Places and labels on the axis: the values, or round numbers where the values stand too close.

        Parameters
        ----------
        most
            Labels at most. Of more texts some are chosen evenly, the first and the last always.
        room
            How many letters the axis has room for, where labels stand side by side; None: they stand one above another.
        """
        labels = [show_value(value) for value in self.values]
        if not self.is_numeric or not self._is_crowded(labels, most, room):
            n = len(self.values)
            chosen = sorted({round(i) for i in np.linspace(0, n - 1, min(n, most))})
            return [self.positions[i] for i in chosen], [labels[i] for i in chosen]
        places = self._round_places(min(most, 6))
        shown = [f"{10.0**place if self.is_log else place:.4g}" for place in places]
        return ([self.positions[0], *places], ["0", *shown]) if self.is_broken else (places, shown)

    def _is_crowded(self, labels: Sequence[str], most: int, room: float | None) -> bool:
        """Whether labels of all values would stand on top of each other."""
        if len(labels) > most or len(labels) < 2:
            return len(labels) > most
        gaps = np.diff(self.positions) / ((self.positions[-1] - self.positions[0]) or 1.0)
        if room is None:
            return bool(gaps.min() < LEAST_GAP)
        needed = [(len(a) + len(b)) / 2 + 1 for a, b in pairwise(labels)]
        return bool((gaps * room < needed).any())

    def _round_places(self, most: int) -> list[float]:
        """Places of round numbers: 1, 2, 5 of each decade or the decades alone, or even steps on a straight scale."""
        low, high = self.positions[1 if self.is_broken else 0], self.positions[-1]
        if not self.is_log:
            return [float(t) for t in MaxNLocator(most).tick_values(low, high) if low <= t <= high]
        decades = range(math.floor(low), math.ceil(high) + 1)
        fine = [d + math.log10(m) for d in decades for m in (1, 2, 5)]
        found = [place for place in fine if low - 1e-9 <= place <= high + 1e-9]
        if len(found) <= most:
            return found
        step = math.ceil((high - low) / most)
        return [float(d) for d in decades if low - 1e-9 <= d <= high + 1e-9 and d % step == 0]

    def put_on(self, axes: Axes) -> None:
        """Label the x axis of `axes`, and mark the break before zero."""
        places, labels = self.ticks(room=AXIS_LETTERS)
        crowded = sum(len(label) for label in labels) > 42
        axes.set_xticks(places, labels, rotation=30 if crowded else 0, ha="right" if crowded else "center")
        axes.xaxis.set_minor_locator(NullLocator())
        if self.is_broken:
            middle = (self.positions[0] + self.positions[1]) / 2
            transform = axes.get_xaxis_transform()
            axes.text(middle, 0, "//", transform=transform, ha="center", va="center", fontsize=9, clip_on=False)


def log_axis(axis: Any) -> None:
    """Readable ticks on a logarithmic axis: 1, 2, 5 of each decade where there are few."""
    low, high = axis.get_view_interval()
    decades = math.log10(high / low) if low > 0 else 9
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.2 else (1,), numticks=12))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
