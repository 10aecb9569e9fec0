"""Hidden layers of several settings side by side, like units beneath each other."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from nnexp.comparison.drawing import INK, drawn
from nnexp.comparison.settings import Group
from nnexp.comparison.spec import Reader
from nnexp.datasets import upright
from nnexp.figures.chart import Axis, Label
from nnexp.figures.colors import SIGNED, colored
from nnexp.figures.sketch import Image, Panel, Sketch
from nnexp.runs import files

ODD = ("sigmoid", "tanh")  # a unit with all signs turned does the same work: 1 - sigmoid(z), -tanh(z)


@dataclass(frozen=True)
class Match:
    """For each unit of the reference its partner.

    Attributes
    ----------
    partner : ndarray of shape (n_reference,)
        Index of the unit that stands beside it, -1 where there is none left.
    correlation : ndarray of shape (n_reference,)
        Correlation of the two units' weights, 0 where there is no partner.
    """

    partner: np.ndarray
    correlation: np.ndarray


def match_units(reference: np.ndarray, other: np.ndarray, *, either_sign: bool = True) -> Match:
    """Pair the hidden units of two networks one to one, the sum of the correlations of their weights being largest.

    Hidden units can be permuted, and those of an odd activation also turned in sign, without changing what a network
    computes, so two trainings agree at best up to both. The assignment problem is solved exactly (Crouse, *On
    implementing 2D rectangular assignment algorithms*, 2016).

    Parameters
    ----------
    reference : ndarray of shape (n_reference, n_features)
        Weights into the hidden units, without biases.
    other : ndarray of shape (n_other, n_features)
    either_sign : bool
        Whether a unit with all signs turned counts as like.

    Returns
    -------
    Match
    """
    assign: Any = import_module("scipy.optimize").linear_sum_assignment

    correlations = _rows(reference) @ _rows(other).T
    rows, columns = assign(np.abs(correlations) if either_sign else correlations, maximize=True)
    partner, correlation = np.full(len(reference), -1), np.zeros(len(reference))
    partner[rows], correlation[rows] = columns, correlations[rows, columns]
    return Match(partner, correlation)


def _rows(weights: np.ndarray) -> np.ndarray:
    """Rows centred and of length one; a constant row becomes zero."""
    centred = weights - weights.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.where(lengths > 0, lengths, 1)


WEIGHTS = "weights.npz"
MOST_SETTINGS, MOST_UNITS = 8, 25
WIDTH, LARGEST_CELL, GAP, CAPTION = 10.4, 0.5, 0.05, 0.13  # inches


@dataclass(frozen=True, eq=False)
class Layer:
    """The hidden layer of one run: `images` upright, shape (n_units, height, width); `weights` as rows."""

    label: str
    weights: np.ndarray
    images: np.ndarray
    activation: str


def gather(group: Group, read: Reader) -> tuple[list[Layer], int | None]:
    """The hidden layers of the best settings, best first, of the seed that most of them have, and that seed.

    Only of pictures, and only of layers that see the same pixels.
    """
    settings = group.ranked[:MOST_SETTINGS]
    seeds = [int(seed) for setting in settings for seed in setting.runs["seed"]]
    if not seeds:
        return [], None
    seed = min(seeds, key=lambda s: (-seeds.count(s), s))
    layers: list[Layer] = []
    for setting in settings:
        of_seed = setting.runs[setting.runs["seed"] == seed]
        if len(of_seed) and (layer := read(of_seed["run_id"].iloc[0], WEIGHTS, partial(_layer, setting.label))):
            layers.append(layer)
    return [layer for layer in layers if layer.images.shape[1:] == layers[0].images.shape[1:]], seed


def _layer(label: str, content: bytes) -> Layer | None:
    """The first hidden layer in a file of weights; None where the samples are no pictures."""
    stored = files.arrays_of(io.BytesIO(content))
    if "weights_0" not in stored or "image_shape" not in stored:
        return None
    weights, shape = stored["weights_0"], tuple(int(size) for size in stored["image_shape"])
    order, activation = str(stored["image_order"]), str(stored["activation"])
    return Layer(label, weights, upright(weights, shape, order), activation) if len(shape) == 2 else None


def sketch(layers: Sequence[Layer]) -> Sketch:
    """The units of the first layer in a row, and beneath each the unit of every other layer that is most like it.

    Under each picture stands the correlation of its weights with those on top. A unit that is like with all signs
    turned is drawn so that it looks like it, its correlation with a minus.
    """
    reference = layers[0]
    matches = [
        match_units(
            reference.weights, layer.weights, either_sign=layer.activation in ODD and reference.activation in ODD
        )
        for layer in layers[1:]
    ]
    likeness = np.mean([np.abs(match.correlation) for match in matches], axis=0)
    units = np.argsort(-likeness, kind="stable")[:MOST_UNITS]
    left = 0.15 + 0.075 * min(34, max(len(layer.label) for layer in layers))
    pitch, rows = min(LARGEST_CELL + GAP, (WIDTH - left) / len(units)), len(layers)
    cell = pitch - GAP
    width, height = left + len(units) * pitch + 0.1, rows * (pitch + CAPTION) + 0.1
    panels = [_panel(layer, units, match, cell) for layer, match in zip(layers, [None, *matches], strict=True)]
    bottoms = [height - (row + 1) * (pitch + CAPTION) + CAPTION for row in range(rows)]
    boxes = [(left, bottom, len(units) * pitch, cell) for bottom in bottoms]
    return Sketch(width, height, [[panel] for panel in panels], boxes=boxes)


draw = drawn(sketch)


def _panel(layer: Layer, units: np.ndarray, match: Match | None, cell: float) -> Panel:
    """A row of pictures `cell` inches high."""
    strip, captions = _strip(layer, units, match, GAP / cell)
    (high, wide), label = strip.shape, layer.label if len(layer.label) <= 36 else layer.label[:34] + "…"
    step, y = wide / len(units), high * (1 + CAPTION / 2 / cell)
    labels = [Label((column + 0.46) * step - 0.5, y, text, 6.5, INK) for column, text in enumerate(captions) if text]
    seen = np.uint8(255) * np.isfinite(strip)[..., None]
    pixels = np.concatenate([colored((strip + 1) / 2, SIGNED), seen], axis=2)
    upright = Axis(high - 0.5, -0.5, [((high - 1) / 2, label)])
    return Panel(Axis(-0.5, wide - 0.5), upright, [Image(pixels)], labels, grid="", frame="")


def _strip(layer: Layer, units: np.ndarray, match: Match | None, gap_share: float) -> tuple[np.ndarray, list[str]]:
    """A row of pictures, each scaled by its largest weight, and what stands under each."""
    _, high, wide = layer.images.shape
    gap = max(1, round(wide * gap_share))
    strip, captions = np.full((high, len(units) * (wide + gap)), np.nan), list[str]()
    for column, unit in enumerate(units):
        index = int(unit) if match is None else int(match.partner[unit])
        if index < 0:
            captions.append("")
            continue
        correlation = 1.0 if match is None else float(match.correlation[unit])
        picture = layer.images[index] * (1 if correlation >= 0 else -1)
        start = column * (wide + gap)
        strip[:, start : start + wide] = picture / (np.abs(picture).max() or 1.0)
        captions.append(str(index + 1) if match is None else f"{correlation:.2f}".replace("-", "−"))
    return strip, captions
