"""Grids of pictures: samples, hidden units, mistakes.

A grid is drawn as one image, which is some twenty times faster than as many axes, and each pixel of a picture by a
whole number of pixels of the figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nnexp.datasets import upright
from nnexp.figures.style import DPI, add_colorbar, framed_axes, new_figure, styled

INK, SIGNED = "gray_r", "RdBu_r"
GAP_COLORS = {INK: "white", SIGNED: "#bdbdbd"}

# In a grid, NaN is the gap between two pictures and BLANK a place without one.
BLANK = 1e9


@styled
def sample_images(
    images: np.ndarray, y: np.ndarray | None = None, classes: Sequence[str] | None = None, *, n_images: int = 100
) -> Figure:
    """Draw a sample of the data.

    Parameters
    ----------
    images : ndarray of shape (n, height, width)
    y : ndarray of shape (n,), optional
        Indices into `classes`: then each row of the grid shows one class.
    classes : sequence of str, optional
    n_images : int
        How many at most; of more images, evenly spaced ones are shown.

    Returns
    -------
    Figure
    """
    if y is None or classes is None:
        chosen = images[_evenly(np.arange(len(images)), n_images)]
        return _picture_figure(tile(_ink(chosen))[0], f"{len(chosen)} of the images", INK)[0]
    members = {name: np.flatnonzero(np.asarray(y) == label) for label, name in enumerate(classes)}
    members = {name: indices for name, indices in members.items() if indices.size}
    columns = min(max(1, n_images // len(members)), max(indices.size for indices in members.values()))
    chosen = [_evenly(indices, columns) for indices in members.values()]
    grid = np.full((len(members), columns, *images.shape[1:]), BLANK)
    there = np.array([np.arange(columns) < len(indices) for indices in chosen])
    grid[there] = _ink(images[np.concatenate(chosen)])
    tiled, _ = tile(grid.reshape(-1, *images.shape[1:]), columns)
    names = [_short(name) for name in members]
    return _picture_figure(tiled, "Sample of the images by class", INK, row_names=names)[0]


@styled
def hidden_layer(weights: np.ndarray, image_shape: tuple[int, int] | None, image_order: str = "C") -> Figure:
    """Draw the weights of each unit of the first hidden layer as a picture.

    Parameters
    ----------
    weights : ndarray of shape (n_units, n_features)
        Without the biases.
    image_shape : (height, width) or None
        None: the samples are no pictures, and the matrix is drawn as it stands.
    image_order : {"C", "F"}
        As in :class:`nnexp.datasets.Dataset`.

    Returns
    -------
    Figure
    """
    n_units = len(weights)
    title = f"Weights of {n_units} hidden unit{'s' * (n_units > 1)}"
    if image_shape is None:
        return _weight_matrix(weights, title)
    tiled, columns = _hidden_tiles(weights, image_shape, image_order)
    names = [str(unit) for unit in range(1, n_units + 1, columns)] if columns < n_units else []
    return _picture_figure(tiled, title, SIGNED, row_names=names, bar="weight /\nlargest of its unit")[0]


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
    pixels = _colors(SIGNED)((tiled + 1) / 2, bytes=True)[..., :3]
    factor = math.ceil(least_width / tiled.shape[1])
    return np.ascontiguousarray(pixels.repeat(factor, axis=0).repeat(factor, axis=1))


@styled
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
) -> Figure:
    """Draw the mistakes with the highest scores, worst first.

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

    Returns
    -------
    Figure
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
    figure, axes = _picture_figure(tiled, title, INK, factor=factor, note=score_note)
    height, width = images.shape[1] + caption + gap, images.shape[2] + gap  # from one picture to the next
    for place, text in enumerate(captions):
        row, column = divmod(place, columns)
        x, y = gap + column * width + (width - gap - 1) / 2, (row + 1) * height - (caption + 1) / 2
        text = text if n_lines == 1 else text.replace("→ ", "→\n")
        axes.text(x, y, text, ha="center", va="center", fontsize=8 if n_lines == 1 else 6)
    return figure


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


def _picture_figure(
    tiled: np.ndarray,
    title: str,
    colors: str,
    *,
    factor: int | None = None,
    row_names: Sequence[str] = (),
    bar: str = "",
    note: str = "",
) -> tuple[Figure, Axes]:
    """Draw tiled pictures, each of their pixels by `factor` x `factor` pixels of the figure."""
    height, width = tiled.shape
    factor = factor or max(1, min(12, round(640 / max(height, width))))
    left = 0.2 + 0.085 * max(map(len, row_names), default=0)
    size = (factor * width / DPI, factor * height / DPI)
    figure, axes = framed_axes(*size, title, left=left, bottom=0.12, bar=bool(bar), note=note)
    low = -1 if colors == SIGNED else 0
    drawn = axes.imshow(tiled, cmap=_colors(colors), vmin=low, vmax=1, aspect="auto")
    pitch = (height - 1) / max(1, len(row_names))
    axes.set_yticks([(row + 0.5) * pitch for row in range(len(row_names))], row_names)
    axes.set_xticks([])
    if bar:
        add_colorbar(axes, drawn, bar)
    return figure, axes


def _weight_matrix(weights: np.ndarray, title: str) -> Figure:
    figure, axes = framed_axes(5.0, 3.2, title, left=0.6, bottom=0.5, bar=True)
    largest = _largest(weights)
    edges = (0.5, weights.shape[1] + 0.5, len(weights) + 0.5, 0.5)
    drawn = axes.imshow(weights, cmap=SIGNED, vmin=-largest, vmax=largest, aspect="auto", extent=edges)
    axes.set(xlabel="feature", ylabel="hidden unit")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    add_colorbar(axes, drawn, "weight")
    return figure


def _no_mistakes(n_images: int) -> Figure:
    figure = new_figure(4.0, 1.2)
    among = f" among {n_images:,} images" if n_images else ""
    figure.text(0.5, 0.5, "No mistakes" + among, ha="center", va="center", fontsize=11)
    return figure


def _hidden_tiles(weights: np.ndarray, image_shape: tuple[int, int], image_order: str) -> tuple[np.ndarray, int]:
    """Tile the units, each divided by its largest absolute weight."""
    largest = np.abs(weights).max(axis=1, keepdims=True)
    return tile(upright(weights / np.where(largest > 0, largest, 1), image_shape, image_order))


def _largest(weights: np.ndarray) -> float:
    return float(np.abs(weights).max()) or 1.0


def _colors(name: str) -> Colormap:
    return matplotlib.colormaps[name].with_extremes(bad=GAP_COLORS[name], over="white")


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
