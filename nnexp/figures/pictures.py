"""Grids of pictures: samples, hidden units, mistakes.

A grid is one raster, and each pixel of a picture is drawn by a whole number of pixels of the figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nnexp.datasets import upright
from nnexp.figures.chart import DPI, Axis, Bar, Chart, Label, Plot, Raster, framed
from nnexp.figures.colors import INK, SIGNED, colored
from nnexp.figures.scales import MOST_STEPS_OF_BAR, linear, round_ticks

# In a grid, NaN is the gap between two pictures and BLANK a place without one.
BLANK = 1e9


def sample_images(
    images: np.ndarray, y: np.ndarray | None = None, classes: Sequence[str] | None = None, *, n_images: int = 100
) -> Chart:
    """A sample of the data.

    Parameters
    ----------
    images : ndarray of shape (n, height, width)
    y : ndarray of shape (n,), optional
        Indices into `classes`: then each row of the grid shows one class.
    classes : sequence of str, optional
    n_images : int
        How many at most; of more images, evenly spaced ones are shown.
    """
    if y is None or classes is None:
        chosen = images[_evenly(np.arange(len(images)), n_images)]
        return _pictures(tile(_ink(chosen))[0], f"{len(chosen)} of the images", INK)
    members = {name: np.flatnonzero(np.asarray(y) == label) for label, name in enumerate(classes)}
    members = {name: indices for name, indices in members.items() if indices.size}
    columns = min(max(1, n_images // len(members)), max(indices.size for indices in members.values()))
    chosen = [_evenly(indices, columns) for indices in members.values()]
    grid = np.full((len(members), columns, *images.shape[1:]), BLANK)
    there = np.array([np.arange(columns) < len(indices) for indices in chosen])
    grid[there] = _ink(images[np.concatenate(chosen)])
    tiled, _ = tile(grid.reshape(-1, *images.shape[1:]), columns)
    names = [_short(name) for name in members]
    return _pictures(tiled, "Sample of the images by class", INK, row_names=names)


def hidden_layer(weights: np.ndarray, image_shape: tuple[int, int] | None, image_order: str = "C") -> Chart:
    """The weights of each unit of the first hidden layer as a picture.

    Parameters
    ----------
    weights : ndarray of shape (n_units, n_features)
        Without the biases.
    image_shape : (height, width) or None
        None: the samples are no pictures, and the matrix is drawn as it stands.
    image_order : {"C", "F"}
        As in :class:`nnexp.datasets.Dataset`.
    """
    n_units = len(weights)
    title = f"Weights of {n_units} hidden unit{'s' * (n_units > 1)}"
    if image_shape is None:
        return _weight_matrix(weights, title)
    tiled, columns = _hidden_tiles(weights, image_shape, image_order)
    names = [str(unit) for unit in range(1, n_units + 1, columns)] if columns < n_units else []
    bar = Bar("weight /\nlargest of its unit", round_ticks(-1, 1, most=MOST_STEPS_OF_BAR))
    return _pictures(tiled, title, SIGNED, row_names=names, bar=bar)


def hidden_layer_image(
    weights: np.ndarray, image_shape: tuple[int, int] | None, image_order: str = "C", *, least_width: int = 400
) -> np.ndarray:
    """Render the pictures of :func:`hidden_layer` as bare pixels, without labels.

    Returns
    -------
    ndarray of shape (height, width, 3)
        uint8 red, green and blue, enlarged by a whole number to a width of at least `least_width`.
    """
    if image_shape is None:
        tiled = weights / _largest(weights)
    else:
        tiled, _ = _hidden_tiles(weights, image_shape, image_order)
    pixels = colored((tiled + 1) / 2, SIGNED)
    factor = math.ceil(least_width / tiled.shape[1])
    return np.ascontiguousarray(pixels.repeat(factor, axis=0).repeat(factor, axis=1))


def worst_mistakes(
    images: np.ndarray,
    y_true: np.ndarray,
    y_pred: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[str],
    *,
    score_name: str = "margin",
    score_note: str = "",
    n_images: int = 25,
) -> Chart:
    """The mistakes with the highest scores, worst first.

    Parameters
    ----------
    images : ndarray of shape (n, height, width)
        Of a whole part or only its mistakes; right predictions are left out.
    y_true, y_pred : ndarray of shape (n,)
        Indices into `classes`.
    scores : ndarray of shape (n,)
        How wrong each prediction is, e.g. its loss in nats.
    classes : sequence of str
    score_name : str
        What the scores are, for the title.
    score_note : str
        What that means, beneath the pictures.
    n_images : int
        How many at most.
    """
    wrong = np.flatnonzero(np.asarray(y_true) != np.asarray(y_pred))
    worst = wrong[np.argsort(-np.asarray(scores)[wrong], kind="stable")][:n_images]
    if not worst.size:
        return _no_mistakes(len(images))
    factor = max(1, round(92 / images.shape[2]))
    captions = [_caption(classes[int(y_true[i])], classes[int(y_pred[i])], float(scores[i])) for i in worst]
    n_lines = 2 if max(map(len, captions)) > 14 else 1
    caption, gap = math.ceil((6 + 11 * n_lines) / factor), math.ceil(8 / factor)  # in pixels of the pictures
    with_room = np.pad(_ink(images[worst]), ((0, 0), (0, caption), (0, 0)), constant_values=BLANK)
    tiled, columns = tile(with_room, min(5, worst.size), gap=gap)
    among = f" of {wrong.size:,}" if len(images) > wrong.size else ""
    title = f"Worst {worst.size}{among} mistakes: true → predicted ({score_name})"
    height, width = images.shape[1] + caption + gap, images.shape[2] + gap  # from one picture to the next
    labels: list[Label] = []
    for place, text in enumerate(captions):
        row, column = divmod(place, columns)
        x, y = gap + column * width + (width - gap - 1) / 2, (row + 1) * height - (caption + 1) / 2
        text = text if n_lines == 1 else text.replace("→ ", "→\n")
        labels.append(Label(x, y, text, 8 if n_lines == 1 else 6))
    return _pictures(tiled, title, INK, factor=factor, note=score_note, labels=labels)


def tile(images: np.ndarray, columns: int | None = None, *, gap: int = 1) -> tuple[np.ndarray, int]:
    """Lay pictures of one size out as a grid, row by row.

    Parameters
    ----------
    images : ndarray of shape (n, height, width)
    columns : int, optional
        Default: nearly square, with few places left over.
    gap : int
        Pixels between two pictures and around all.

    Returns
    -------
    ndarray of shape (n_rows * (height + gap) + gap, columns * (width + gap) + gap)
        NaN in the gaps, `BLANK` in places left over.
    int
        The number of columns.
    """
    n, height, width = images.shape
    if columns is None:
        side = math.sqrt(n)
        columns = min(range(math.ceil(side), math.ceil(1.25 * side) + 1), key=lambda c: (-n % c, c))
    n_rows = -(-n // columns)
    cells = np.full((n_rows * columns, height + gap, width + gap), np.nan)
    cells[:, gap:, gap:] = BLANK
    cells[:n, gap:, gap:] = images
    in_rows = cells.reshape(n_rows, columns, height + gap, width + gap).swapaxes(1, 2)
    grid = in_rows.reshape(n_rows * (height + gap), columns * (width + gap))
    return np.pad(grid, ((0, gap), (0, gap)), constant_values=np.nan), columns


def _pictures(
    tiled: np.ndarray,
    title: str,
    colors: str,
    *,
    factor: int | None = None,
    row_names: Sequence[str] = (),
    labels: Sequence[Label] = (),
    bar: Bar | None = None,
    note: str = "",
) -> Chart:
    """Tiled pictures, each of their pixels by `factor` x `factor` pixels of the figure."""
    height, width = tiled.shape
    factor = factor or max(1, min(12, round(640 / max(height, width))))
    left = 0.2 + 0.085 * max(map(len, row_names), default=0)
    size = (factor * width / DPI, factor * height / DPI)
    whole_width, whole_height, box = framed(*size, title, left=left, bottom=0.12, bar=bar is not None, note=note)
    pitch = (height - 1) / max(1, len(row_names))
    y = Axis(height - 0.5, -0.5, [((row + 0.5) * pitch, name) for row, name in enumerate(row_names)])
    raster = Raster(tiled, colors, -1 if colors == SIGNED else 0, 1)
    return Chart(
        whole_width, whole_height, [Plot(box, Axis(-0.5, width - 0.5), y, title, raster, bar, labels=labels, note=note)]
    )


def _weight_matrix(weights: np.ndarray, title: str) -> Chart:
    whole_width, whole_height, box = framed(5.0, 3.2, title, left=0.6, bottom=0.5, bar=True)
    n_units, n_features = weights.shape
    largest = _largest(weights)
    x = linear(0.5, n_features + 0.5, "feature", is_whole=True)
    rows = round_ticks(0.5, n_units + 0.5, is_whole=True)
    y = Axis(n_units + 0.5, 0.5, rows, "hidden unit")
    bar = Bar("weight", round_ticks(-largest, largest, most=MOST_STEPS_OF_BAR))
    return Chart(whole_width, whole_height, [Plot(box, x, y, title, Raster(weights, SIGNED, -largest, largest), bar)])


def _no_mistakes(n_images: int) -> Chart:
    among = f" among {n_images:,} images" if n_images else ""
    return Chart(round(4.0 * DPI), round(1.2 * DPI), text="No mistakes" + among)


def _hidden_tiles(weights: np.ndarray, image_shape: tuple[int, int], image_order: str) -> tuple[np.ndarray, int]:
    """Tile the units, each divided by its largest absolute weight."""
    largest = np.abs(weights).max(axis=1, keepdims=True)
    return tile(upright(weights / np.where(largest > 0, largest, 1), image_shape, image_order))


def _largest(weights: np.ndarray) -> float:
    return float(np.abs(weights).max()) or 1.0


def _ink(images: np.ndarray) -> np.ndarray:
    """Scale pictures to 0 (white) to 1 (black); what overshoots the pixels' usual 0 to 1 a little is clipped."""
    low, high = float(images.min()), float(images.max())
    if not (low > -0.5 and 0.5 < high < 1.5):
        images = (images - low) / ((high - low) or 1.0)
    return np.clip(images, 0, 1)


def _evenly(indices: np.ndarray, n_chosen: int) -> np.ndarray:
    n = len(indices)
    return indices if n <= n_chosen else indices[np.linspace(0, n - 1, n_chosen).round().astype(int)]


def _caption(true: str, predicted: str, score: float) -> str:
    return f"{_short(true)} → {_short(predicted)} ({score:.2f})"


def _short(name: str) -> str:
    return name if len(name) <= 9 else name[:8] + "…"
