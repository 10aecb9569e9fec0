"""What all figures share: the style, the layout in inches, and how they are saved."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 110
FORMATS = ("png", "svg", "pdf")

# Safe for colour-blind readers: M. Okabe and K. Ito, Color universal design, 2008.
PART_COLORS = {"train": "#0072B2", "validation": "#009E73", "test": "#D55E00"}

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e0e0e0",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "image.interpolation": "nearest",
    "svg.hashsalt": "nnexp",
    "pdf.fonttype": 42,
}

LEAST_BAR, MOST_BAR = 1.1, 2.2  # inches that a colour bar is high

P = ParamSpec("P")
R = TypeVar("R")


def own_style(style: Any) -> AbstractContextManager[None]:
    """Matplotlib's defaults with `style` on top, for a while.

    Not on top of the user's `matplotlibrc`: a ``text.usetex: True`` there would want LaTeX for every picture.
    """
    return matplotlib.style.context(["default", style])


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run `draw` under the project's style, whatever the user's own is, and put back what was there."""

    @wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> R:
        with own_style(STYLE):
            return draw(*args, **kwargs)

    return in_style


@styled
def save(figure: Figure, path: str | Path) -> None:
    """Write a figure in the format of the path's suffix: png, svg or pdf. Equal figures give equal bytes.

    Raises
    ------
    ValueError
        For another suffix.
    """
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        raise ValueError(f"a figure is saved as one of {', '.join(FORMATS)}, got {str(path)!r}")
    undated = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[suffix]
    faster: Any = {"pil_kwargs": {"compress_level": 3}} if suffix == "png" else {}  # for a tenth more of bytes
    figure.savefig(path, format=suffix, dpi=DPI, metadata=undated, **faster)


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of this size in inches, on Agg and unknown to pyplot."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def framed_axes(
    width: float, height: float, title: str, *, left: float, bottom: float, bar: bool = False, note: str = ""
) -> tuple[Figure, Axes]:
    """Make axes of this size in inches with room for a title above and, with `bar`, a colour bar on the right.

    A `note` stands in small letters beneath.

    Everything starts at a whole pixel, so that pictures stay sharp.
    """
    right = max(1.1 if bar else 0.12, 0.075 * len(title) + 0.1 - width, 0.063 * len(note) + 0.1 - width)
    bottom += 0.2 * bool(note)
    bottom = max(bottom, LEAST_BAR + 0.12 - height) if bar else bottom
    left, bottom, whole_width, whole_height = (
        round(inches * DPI) / DPI for inches in (left, bottom, left + width + right, bottom + height + 0.35)
    )
    figure = new_figure(whole_width, whole_height)
    place = (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    axes = figure.add_axes(place, title=title)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if note:
        axes.set_xlabel(note, loc="left", fontsize=8)
    return figure, axes


def add_colorbar(axes: Axes, drawn: Any, label: str) -> Any:
    """Put a slim bar on the right of the axes and as high as they are, within its limits."""
    figure: Any = axes.figure
    place, (width, height) = axes.get_position(), figure.get_size_inches()
    high = max(LEAST_BAR / height, min(place.height, MOST_BAR / height))
    beside = figure.add_axes((place.x1 + 0.12 / width, place.y1 - high, 0.12 / width, high))
    bar = figure.colorbar(drawn, cax=beside, label=label)
    bar.outline.set_visible(False)
    return bar
