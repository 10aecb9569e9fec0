"""A chart as a matplotlib Figure."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

from nnexp.figures.chart import DPI, Axis, Bar, Box, Chart, Plot, Stroke
from nnexp.figures.colors import GAP_COLORS
from nnexp.figures.style import new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")


def drawn(describe: Callable[P, Chart]) -> Callable[P, Figure]:
    """A function that returns a matplotlib Figure, which is the caller's own, of what `describe` makes a chart of."""

    @wraps(describe)
    def draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        return figure_of(describe(*args, **kwargs))

    return draw


@styled
def figure_of(chart: Chart) -> Figure:
    """Draw a chart into a new Figure."""
    figure = new_figure(chart.width / DPI, chart.height / DPI)
    if chart.text:
        figure.text(0.5, 0.5, chart.text, ha="center", va="center", fontsize=11)
    for plot in chart.plots:
        _add_plot(figure, chart, plot)
    return figure


def _add_axes(figure: Figure, chart: Chart, box: Box) -> Axes:
    width, height = chart.width, chart.height
    return figure.add_axes((box.left / width, 1 - box.bottom / height, box.width / width, box.height / height))


def _add_plot(figure: Figure, chart: Chart, plot: Plot) -> None:
    axes = _add_axes(figure, chart, plot.box)
    if plot.raster is not None:
        image = _add_raster(axes, plot)
        if plot.bar is not None:
            _add_bar(figure, _add_axes(figure, chart, plot.bar_box), plot.bar, image)
    for stroke in plot.strokes:
        _add_stroke(axes, stroke)
    for label in plot.labels:
        axes.text(label.x, label.y, label.text, ha="center", va="center", color=label.color, fontsize=label.size)
    axes.set(title=plot.title, xlabel=plot.x.label, ylabel=plot.y.label)
    _set_axis(axes.xaxis, plot.x)
    _set_axis(axes.yaxis, plot.y)
    axes.set(xlim=(plot.x.low, plot.x.high), ylim=(plot.y.low, plot.y.high))
    if plot.has_frame:
        axes.grid(visible=True)
    else:
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    if plot.strokes:
        axes.legend(loc=plot.legend)
    if plot.note:
        axes.set_xlabel(plot.note, loc="left", fontsize=8)


def _set_axis(axis: Any, described: Axis) -> None:
    """Set scale and ticks, whatever the data are."""
    from matplotlib.ticker import FixedLocator, NullFormatter

    if described.is_log:
        axis.axes.set_yscale("log")
    values, texts = zip(*described.ticks, strict=True) if described.ticks else ((), ())
    axis.set_ticks(values, texts, rotation=described.angle)
    axis.set_minor_locator(FixedLocator(list(described.minor)))
    axis.set_minor_formatter(NullFormatter())


def _add_raster(axes: Axes, plot: Plot) -> Any:
    import matplotlib
    from matplotlib.colors import Normalize, PowerNorm

    raster: Any = plot.raster
    colors = matplotlib.colormaps[raster.colors].with_extremes(bad=GAP_COLORS[raster.colors], over="white")
    scale = (raster.low, raster.high)
    norm = Normalize(*scale) if raster.gamma == 1 else PowerNorm(raster.gamma, *scale)
    extent = (plot.x.low, plot.x.high, plot.y.low, plot.y.high)
    return axes.imshow(raster.values, cmap=colors, norm=norm, aspect="auto", extent=extent)


def _add_stroke(axes: Axes, stroke: Stroke) -> None:
    dots: Any = {"marker": "o", "markersize": 3} if stroke.has_dots else {}
    style = "--" if stroke.is_dashed else "-"
    axes.plot(stroke.x, stroke.y, label=stroke.label, color=stroke.color, linestyle=style, **dots)


def _add_bar(figure: Any, beside: Axes, described: Bar, image: Any) -> None:
    values, texts = zip(*described.ticks, strict=True)
    bar = figure.colorbar(image, cax=beside, label=described.label)
    bar.set_ticks(values, labels=texts)
    bar.minorticks_off()
    bar.outline.set_visible(False)
