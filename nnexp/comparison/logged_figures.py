"""The figures that runs have logged themselves, of several settings side by side."""

from __future__ import annotations

import io
import json
import math
import struct
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread

from nnexp.comparison.drawing import drawn, panels
from nnexp.comparison.sections import Picture, slug
from nnexp.comparison.settings import SEED, Group
from nnexp.comparison.spec import Reader
from nnexp.runs.records import FIGURES

MOST_NAMES, MOST_SETTINGS, COLUMNS = 4, 8, 4
WIDTH = 3.2  # inches of a picture
PNG = b"\x89PNG\r\n\x1a\n"
MOST_PIXELS, LONGEST_SIDE = 20_000_000, 20  # a small file can become a large picture; a side over the other


def of_runs(group: Group, read: Reader) -> Iterator[Picture]:
    """A picture for each name under which runs have logged a figure, of one run a setting, the first seed's."""
    shown = [
        (setting.label, str(setting.runs.sort_values(SEED)["run_id"].iloc[0]))
        for setting in group.settings[:MOST_SETTINGS]
    ]
    names = {run_id: read(run_id, "result.json", _names) or [] for _, run_id in shown}
    for name in list(dict.fromkeys(name for found in names.values() for name in found))[:MOST_NAMES]:
        found = [(label, image) for label, i in shown if (image := read(i, f"{name}.png", _image)) is not None]
        if found:
            of_how_many = "" if len(group.settings) <= MOST_SETTINGS else f", {group.top} {MOST_SETTINGS} settings"
            yield Picture(f"logged-{slug(name)}", draw(found), f"{name}, as the runs have logged it{of_how_many}.")


def _names(content: bytes) -> list[str]:
    return [str(name) for name in json.loads(content).get(FIGURES, ())]


def _image(content: bytes) -> np.ndarray:
    if not content.startswith(PNG) or len(content) < 24:
        raise ValueError("it is no PNG")
    width, height = struct.unpack(">II", content[16:24])
    if not width * height or width * height > MOST_PIXELS or not 1 / LONGEST_SIDE <= width / height <= LONGEST_SIDE:
        raise ValueError(f"a picture of {width:,} x {height:,} pixels is not shown")
    return imread(io.BytesIO(content), "png")


@drawn
def draw(images: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Pictures with their titles in a grid; arrays of shape (height, width, channels)."""
    n_columns = min(len(images), COLUMNS)
    n_rows = math.ceil(len(images) / n_columns)
    height, width = images[0][1].shape[:2]
    figure, axes = panels(WIDTH * n_columns, (WIDTH * height / width + 0.3) * n_rows, n_rows, n_columns)
    for each in axes.flat:
        each.set_axis_off()
    for each, (title, image) in zip(axes.flat, images, strict=False):
        each.imshow(image, interpolation="antialiased")
        each.set_title(title)
    return figure
