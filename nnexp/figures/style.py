"""What all figures of matplotlib share: the style, their size in inches, and how they are saved."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from nnexp.figures.chart import DPI

if TYPE_CHECKING:  # imported when used: it takes some 0.4 s, and what a run draws needs none of it
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")

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

P = ParamSpec("P")
R = TypeVar("R")


def own_style(style: Any) -> AbstractContextManager[None]:
    """Matplotlib's defaults with `style` on top, for a while.

    Not on top of the user's `matplotlibrc`: a ``text.usetex: True`` there would want LaTeX for every picture.
    """
    import matplotlib.style

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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure
