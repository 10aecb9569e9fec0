"""Classes across settings: precision, recall and F1, confusion matrices and their difference."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnexp.comparison.drawing import drawn, fitting_columns
from nnexp.comparison.settings import Group
from nnexp.comparison.spec import Reader
from nnexp.figures import scales
from nnexp.figures.chart import Axis, Label, Raster
from nnexp.figures.colors import DIFFERENCE, SHARE, colored
from nnexp.figures.sketch import Band, Bars, Image, Line, Mark, Panel, Sketch

FIGURES = ("precision", "recall", "f1-score")
MOST_SETTINGS, MOST_CLASSES, MOST_NUMBERED = 6, 30, 15
MARKERS = "oDs^vP"
MOST_NAMED, LONG_NAME = 20, 2  # classes; letters of a name beneath its column, longer ones are turned
MAPS_WIDTH = 10.4  # inches


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


def per_class_sketch(found: Sequence[ClassFigures], styles: Mapping[str, tuple[Any, Any]]) -> Sketch:
    """Precision, recall and F1 of each class: a mark at the mean over the seeds, a line from lowest to highest."""
    classes = found[0].classes[:MOST_CLASSES]
    rows = np.arange(len(classes))
    height = 0.9 + len(classes) * max(0.3, 0.085 * len(found)) + 0.2 * -(-len(found) // 3)
    steps = (np.arange(len(found)) - (len(found) - 1) / 2) * 0.7 / max(len(found), 1)
    marks: dict[str, list[Mark]] = {}
    stripes = [Band(None, row - 0.5, row + 0.5, "#888888", 0.1) for row in rows[1::2]]
    for name in FIGURES:
        marks[name] = [*stripes]
        for one, step, marker in zip(found, steps, MARKERS, strict=False):
            values = 100 * one.figures[name][:, : len(classes)]
            there = np.isfinite(values).any(axis=0)
            at, values, color = rows[there] + step, values[:, there], styles[one.label][0]
            low, high = (np.stack([end(values, axis=0), at], axis=1) for end in (np.nanmin, np.nanmax))
            marks[name] += [
                Bars(low, high, color, width=1.3, alpha=0.7),
                Line(np.nanmean(values, axis=0), at, color, "", marker=marker, label=one.label),
            ]
    bars = [mark for each in marks.values() for mark in each if isinstance(mark, Bars)]
    values = np.concatenate([end[:, 0] for bar in bars for end in (bar.starts, bar.ends)])
    y = Axis(len(classes) - 0.5, -0.5, list(enumerate(classes)), "class")
    panels = [
        Panel(scales.of_numbers(values, f"{'F1' if name.startswith('f1') else name} (%)", most=5), y, each, grid="x")
        for name, each in marks.items()
    ]
    return Sketch(9.6, height, [panels], shares_y=True, legend=fitting_columns([one.label for one in found], 9.6, 3))


def confusions_sketch(first: ClassFigures, second: ClassFigures) -> Sketch:
    """Two confusion matrices side by side and their difference, all as percent of the true class."""
    n, names = len(first.classes), list(first.classes)
    every = max(1, -(-n // MOST_NAMED))
    ticks = [(place, names[place]) for place in range(0, n, every)]
    longest = max(map(len, names))
    x = Axis(-0.5, n - 0.5, ticks, "predicted class", angle=90 * (longest > LONG_NAME))
    beside, beneath = 0.5 + 0.075 * longest, 0.45 + 0.075 * longest * (longest > LONG_NAME)  # inches, like all below
    side = (MAPS_WIDTH - 3 * beside - 0.1) / 3
    height = 0.3 + side + beneath + 0.72
    difference = 100 * (first.shares - second.shares)
    reach = max(float(np.abs(difference).max()), 1.0)  # a tenth of a point is no colourful matter
    shares = [Raster(100 * one.shares, SHARE, 0, 100, gamma=0.4) for one in (first, second)]
    maps = [(_title(one.label), raster, "{:.0f}") for one, raster in zip((first, second), shares, strict=True)]
    maps.append(("difference, left minus middle", Raster(difference, DIFFERENCE, -reach, reach), "{:+.0f}"))
    panels: list[Panel] = []
    for column, (title, raster, form) in enumerate(maps):
        y = Axis(n - 0.5, -0.5, ticks, "" if column else "true class")
        pixels = colored(raster.share(raster.values), raster.colors)
        panels.append(Panel(x, y, [Image(pixels)], _numbers(raster.values, pixels, form), title, grid="", frame=""))
    lefts = [beside + column * (side + beside) for column in range(3)]
    boxes = [(left, 0.72 + beneath, side, side) for left in lefts]
    bars = [(lefts[0], 2 * side + beside, maps[0][1], [(place, str(place)) for place in (0, 1, 10, 30, 100)],
             "% of the true class"),
            (lefts[2], side, maps[2][1], scales.round_ticks(-reach, reach, most=5), "percentage points")]  # fmt: skip
    for left, width, raster, marked, label in bars:
        boxes.append((left + 0.1 * width, 0.5, 0.8 * width, 0.09))
        shades = colored(np.linspace(0, 1, 256)[None], raster.colors)
        places = [(float(raster.share(value)), text) for value, text in marked]
        panels.append(Panel(Axis(0, 1, places, label), Axis(0, 1), [Image(shades)], grid="", frame="ticks"))
    return Sketch(MAPS_WIDTH, height, [panels], boxes=boxes)


per_class, confusions = drawn(per_class_sketch), drawn(confusions_sketch)


def _title(label: str) -> str:
    return label if len(label) < 40 else label[:38] + "…"


def _numbers(values: np.ndarray, pixels: np.ndarray, form: str) -> list[Label]:
    """The values that do not round to zero for their cells, where there is room."""
    if len(values) > MOST_NUMBERED:
        return []
    is_dark = pixels @ np.array([0.3, 0.59, 0.11]) < 0.5 * 255
    return [
        Label(column, row, form.format(values[row, column]).replace("-", "−"), 7,
              "white" if is_dark[row, column] else "black")
        for row, column in np.argwhere(np.rint(values) != 0).tolist()
    ]  # fmt: skip
