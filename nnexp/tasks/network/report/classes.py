"""Classes across settings: precision, recall and F1, confusion matrices and their difference."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import PowerNorm, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nnexp.comparison.drawing import drawn, legend_below, panels
from nnexp.comparison.settings import Group
from nnexp.comparison.spec import Reader

FIGURES = ("precision", "recall", "f1-score")
MOST_SETTINGS, MOST_CLASSES, MOST_NUMBERED = 6, 30, 15
MARKERS = "oDs^vP"


@dataclass(frozen=True, eq=False)
class ClassFigures:
    """A setting's classes over its seeds.

    Attributes
    ----------
    label : str
    classes : tuple of str
    figures : dict of str to ndarray of shape (n_seeds, n_classes)
        Of `FIGURES`; NaN for a class that does not occur.
    confusion : ndarray of shape (n_classes, n_classes)
        Counts summed over the seeds, true class by predicted class.
    """

    label: str
    classes: tuple[str, ...]
    figures: dict[str, np.ndarray]
    confusion: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """The confusion matrix as shares of the true class; rows of classes that do not occur are zero."""
        return self.confusion / np.maximum(self.confusion.sum(axis=1, keepdims=True), 1)


def gather(group: Group, read: Reader) -> list[ClassFigures]:
    """The class figures of the best settings, best first, on the part that is reported of them."""
    result: list[ClassFigures] = []
    name = f"reports/classification_report_{group.choice.part}.json"
    for setting in group.ranked[:MOST_SETTINGS]:
        reports = [read(run_id, name, json.loads) for run_id in setting.runs["run_id"]]
        reports = [report for report in reports if report is not None]
        if reports:
            result.append(class_figures(setting.label, reports))
    return [found for found in result if found.classes == result[0].classes]


def n_samples(run_id: str, part: str, read: Reader) -> int:
    """Samples of a part of the data of one run; 0 where it has no report."""
    report = read(run_id, f"reports/classification_report_{part}.json", json.loads)
    return int(np.sum(report["confusion"]["counts"])) if report else 0


def class_figures(label: str, reports: Sequence[dict[str, Any]]) -> ClassFigures:
    """Figures of one setting from the classification reports of its seeds."""
    classes = tuple(reports[0]["confusion"]["classes"])
    figures = {
        name: np.array(
            [[report["classes"].get(c, {}).get(name, np.nan) for c in classes] for report in reports], dtype=float
        )
        for name in FIGURES
    }
    confusion = np.sum([np.array(report["confusion"]["counts"]) for report in reports], axis=0)
    return ClassFigures(label, classes, figures, confusion)


@drawn
def per_class(found: Sequence[ClassFigures], styles: Mapping[str, tuple[Any, Any]]) -> Figure:
    """Draw precision, recall and F1 of each class: a mark at the mean over the seeds, a line from lowest to highest."""
    classes = found[0].classes[:MOST_CLASSES]
    rows = np.arange(len(classes))
    height = 0.9 + len(classes) * max(0.3, 0.085 * len(found)) + 0.2 * -(-len(found) // 3)
    figure, axes = panels(9.6, height, 1, 3, sharey=True, sharex=True)
    steps = (np.arange(len(found)) - (len(found) - 1) / 2) * 0.7 / max(len(found), 1)
    for panel, name in zip(axes[0], FIGURES, strict=True):
        for one, step, marker in zip(found, steps, MARKERS, strict=False):
            color = styles[one.label][0]
            values = 100 * one.figures[name][:, : len(classes)]
            there = np.isfinite(values).any(axis=0)
            at, values = rows[there] + step, values[:, there]
            low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
            panel.hlines(at, low, high, color=color, linewidth=1.3, alpha=0.7)
            panel.plot(
                np.nanmean(values, axis=0),
                at,
                color=color,
                marker=marker,
                markersize=4,
                linestyle="none",
                label=one.label,
            )
        for row in rows[1::2]:
            panel.axhspan(row - 0.5, row + 0.5, color="#888888", alpha=0.1, linewidth=0)
        panel.set_xlabel(f"{'F1' if name.startswith('f1') else name} (%)")
        panel.xaxis.set_major_locator(MaxNLocator(5))
        panel.grid(visible=True, axis="x")
    axes[0, 0].set_yticks(rows, classes)
    axes[0, 0].set_ylim(len(classes) - 0.5, -0.5)
    axes[0, 0].set_ylabel("class")
    axes[0, 0].tick_params(axis="y", length=0)
    legend_below(figure, axes[0, 0], columns=3)
    return figure


@drawn
def confusions(first: ClassFigures, second: ClassFigures) -> Figure:
    """Draw two confusion matrices side by side and their difference, all as percent of the true class."""
    n = len(first.classes)
    made, axes = panels(10.4, 4.1, 1, 3)
    figure: Any = made
    drawn_map: Any = None
    for panel, one in zip(axes[0, :2], (first, second), strict=True):
        drawn_map = panel.imshow(100 * one.shares, cmap="Blues", norm=PowerNorm(0.4, 0, 100))
        _numbers(panel, 100 * one.shares, drawn_map, "{:.0f}")
        panel.set_title(one.label if len(one.label) < 40 else one.label[:38] + "…")
    shares_bar = figure.colorbar(drawn_map, ax=axes[0, :2], location="bottom", aspect=45, pad=0.02, shrink=0.8)
    shares_bar.set_ticks([0, 1, 10, 30, 100])
    shares_bar.set_label("% of the true class")
    difference = 100 * (first.shares - second.shares)
    reach = max(float(np.abs(difference).max()), 1.0)  # a tenth of a point is no colourful matter
    last = axes[0, 2]
    drawn_map = last.imshow(difference, cmap="PuOr_r", norm=TwoSlopeNorm(0, -reach, reach))
    _numbers(last, difference, drawn_map, "{:+.0f}")
    last.set_title("difference, left minus middle")
    difference_bar = figure.colorbar(drawn_map, ax=last, location="bottom", aspect=22, pad=0.02, shrink=0.8)
    difference_bar.set_label("percentage points")
    for bar in (shares_bar, difference_bar):
        bar.outline.set_visible(False)
    for panel in axes[0]:
        every = max(1, -(-n // 20))
        names = first.classes[::every]
        turned = 90 if max(map(len, names)) > 2 else 0
        panel.set_xticks(range(0, n, every), names, rotation=turned)
        panel.set_yticks(range(0, n, every), names)
        panel.set(xlabel="predicted class")
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
    axes[0, 0].set_ylabel("true class")
    return figure


def _numbers(panel: Any, values: np.ndarray, drawn_map: Any, form: str) -> None:
    """Write the values that do not round to zero into their cells, where there is room."""
    if len(values) > MOST_NUMBERED:
        return
    for row, column in np.argwhere(np.rint(values) != 0):
        red, green, blue, _ = drawn_map.to_rgba(values[row, column])
        color = "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else "black"
        text = form.format(values[row, column]).replace("-", "−")
        panel.text(column, row, text, ha="center", va="center", fontsize=7, color=color, in_layout=False)
