"""A sketch as a matplotlib Figure, with the style of whoever asks."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from nnexp.figures.chart import DECADES_TO_ONE, Axis
from nnexp.figures.sketch import Band, Bars, Image, Line, Mark, Panel, Place, Sketch
from nnexp.figures.style import new_figure


def figure_of(sketch: Sketch) -> Figure:
    """Draw a sketch into a new Figure, laid out as the sketch is."""
    figure: Any = new_figure(sketch.width, sketch.height)
    width, height = 72 * sketch.width, 72 * sketch.height
    for panel, place in sketch.panels():
        box = (place.left / width, place.bottom / height, place.width / width, place.height / height)
        _add(figure.add_axes(box), panel, place)
    if names := sketch.names():
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=min(sketch.legend, len(names)))
    return figure


def _add(axes: Any, panel: Panel, place: Place) -> None:
    for mark in panel.marks:
        _mark(axes, panel, mark)
    for label in panel.labels:
        axes.text(label.x, label.y, label.text, ha="center", va="center", fontsize=label.size, color=label.color)
    axes.set(title=panel.title, xlim=(panel.x.low, panel.x.high), ylim=(panel.y.low, panel.y.high))
    _axis(axes.xaxis, "x", panel.x, is_written=place.x_written)
    _axis(axes.yaxis, "y", panel.y, is_written=place.y_written)
    for name in panel.grid:
        axes.grid(visible=True, axis=name)
    if panel.frame != "axes":
        axes.spines[:].set_visible(False)
    if not panel.frame:
        axes.tick_params(length=0)


def _axis(axis: Any, name: str, described: Axis, *, is_written: bool) -> None:
    from matplotlib.ticker import FixedLocator, NullFormatter

    if described.is_log:
        getattr(axis.axes, f"set_{name}scale")("log")
    if described.is_from_zero:
        getattr(axis.axes, f"set_{name}scale")("symlog", linthresh=1, linscale=0.9 * DECADES_TO_ONE)
    axis.set_view_interval(described.low, described.high, ignore=True)
    values, texts = zip(*described.ticks, strict=True) if described.ticks else ((), ())
    anchor = {"ha": "right", "rotation_mode": "anchor"} if 0 < described.angle < 90 else {}
    axis.set_ticks(values, texts, rotation=described.angle, **anchor)
    axis.set_minor_locator(FixedLocator(list(described.minor)))
    axis.set_minor_formatter(NullFormatter())
    axis.set_tick_params(**{"labelbottom" if name == "x" else "labelleft": is_written})
    if is_written:
        axis.set_label_text(described.label)


def _mark(axes: Any, panel: Panel, mark: Mark) -> None:
    if isinstance(mark, Image):
        extent = (panel.x.low, panel.x.high, panel.y.low, panel.y.high)
        axes.imshow(mark.pixels, aspect="auto", extent=extent)
    elif isinstance(mark, Band):
        looks: Any = {"color": mark.color, "alpha": mark.alpha, "linewidth": 0}
        if mark.x is None:
            axes.axhspan(mark.low, mark.high, **looks)
        else:
            axes.fill_between(mark.x, mark.low, mark.high, **looks)
    elif isinstance(mark, Bars):
        looks = {"color": mark.color, "alpha": mark.alpha}
        both = np.stack([mark.starts, mark.ends], axis=1)
        axes.add_collection(LineCollection(list(both), linewidths=mark.width, **looks))
        if mark.cap:
            ends = both.reshape(-1, 2).T
            axes.plot(*ends, linestyle="none", marker="_", markersize=2 * mark.cap, **looks)
    else:
        _line(axes, mark)


def _line(axes: Any, mark: Line) -> None:
    looks: Any = {"transform": axes.get_xaxis_transform(), "clip_on": False} if mark.is_on_edge else {}
    if mark.label:
        looks["label"] = mark.label
    axes.plot(
        mark.x, mark.y, color=mark.color, linestyle=mark.dash or "none", linewidth=mark.width,
        marker=mark.marker, markersize=mark.size, alpha=mark.alpha, **looks,
    )  # fmt: skip
