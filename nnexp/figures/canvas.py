"""Pixels to draw on: text, pictures, rectangles and smooth lines. Places are in pixels from the upper left corner.

With Pillow and NumPy only: to import matplotlib takes longer than to draw the figures of ten runs. What is kept from
one figure to the next are fonts and texts, of which none is changed again; so threads may draw side by side.
"""

from __future__ import annotations

import math
import struct
import zlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nnexp.figures.chart import POINT, Box

LINE_SPACING, LETTER = 1.2, 0.76  # of the size of a text: from line to line, height of a capital letter
PIECE = 4.0  # pixels: of pieces of this length at most are lines made
KEPT_TEXTS, KEPT_FONTS = 1024, 16  # a companion draws many runs, and must not grow


class Canvas:
    """A white page, in levels of gray or in colours."""

    def __init__(self, width: int, height: int, *, is_gray: bool = False) -> None:
        self.image = Image.new("L" if is_gray else "RGB", (width, height), "white")
        self._draw = ImageDraw.Draw(self.image)

    @classmethod
    def over(cls, pixels: np.ndarray) -> Canvas:
        """A page on which these pixels are, of shape (height, width, 3)."""
        made = cls(1, 1)
        made.image = Image.fromarray(pixels)
        made._draw = ImageDraw.Draw(made.image)
        return made

    def pixels(self) -> np.ndarray:
        """What was drawn: uint8 of shape (height, width), or (height, width, 3)."""
        return np.asarray(self.image)

    def rectangle(self, left: float, top: float, width: float, height: float, color: str) -> None:
        """Fill the whole pixels next to a rectangle, at least one in each direction."""
        x, y = round(left), round(top)
        self._draw.rectangle((x, y, x + max(1, round(width)) - 1, y + max(1, round(height)) - 1), fill=color)

    def picture(self, box: Box, pixels: np.ndarray) -> None:
        """Draw pixels of shape (n_rows, n_columns, 3) as large as the box, without a blur."""
        small = Image.fromarray(pixels if self.image.mode == "RGB" else np.ascontiguousarray(pixels[..., 0]))
        self.image.paste(small.resize((box.width, box.height), Image.Resampling.NEAREST), (box.left, box.top))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        at: str = "left top",
        color: str = "black",
        *,
        turned: bool = False,
    ) -> None:
        """Write lines of a size in points; `at` says which side of them, or ``baseline``, is at (x, y).

        The baseline of turned text is upright.
        """
        mask, (horizontal, vertical) = _text_mask(text, size, turned), at.split()
        ascent = _font(size).getmetrics()[0]
        accents = max(0.0, ascent - LETTER * size * POINT)  # room above the letters; in turned text beside them
        across = {"left": accents * turned, "baseline": ascent, "center": mask.width / 2, "right": mask.width}
        down = {"top": accents * (not turned), "baseline": ascent, "center": mask.height / 2, "bottom": mask.height}
        self.image.paste(color, (round(x - across[horizontal]), round(y - down[vertical])), mask)

    def line(
        self,
        box: Box,
        points: np.ndarray,
        width: float,
        color: str,
        *,
        dashes: tuple[float, float] | None = None,
        dots: np.ndarray | None = None,
        dot: float = 0,
    ) -> None:
        """Draw through points of shape (n, 2), and discs around `dots`, within the box.

        Parameters
        ----------
        dashes : pair of float, optional
            How long they are, and the gaps between them.
        dots : ndarray of shape (n, 2), optional
        dot : float
            Their radius.
        """
        if dashes is not None:
            dashes = (dashes[0] - width, dashes[1] + width)  # without their round ends
        starts, ends = _pieces(_thinned(points), dashes)
        radius = np.full(len(starts), width / 2)
        if dots is not None:
            starts, ends = np.concatenate([starts, dots]), np.concatenate([ends, dots])
            radius = np.append(radius, np.full(len(dots), dot))
        if not len(starts):
            return
        low, high = np.array([(box.left, box.top), (box.right, box.bottom)])  # of the pixels near the line
        first = np.clip(np.floor(np.minimum(starts, ends).min(axis=0) - radius.max() - 1), low, high).astype(int)
        last = np.clip(np.ceil(np.maximum(starts, ends).max(axis=0) + radius.max() + 1), first, high).astype(int)
        mask = _coverage(last - first, starts - first, ends - first, radius)
        self.image.paste(color, (int(first[0]), int(first[1])), Image.fromarray(mask))


def text_width(text: str, size: float) -> float:
    """How wide a text of one line is, in pixels."""
    return _font(size).getlength(text)


def png(pixels: np.ndarray) -> bytes:
    """Encode pixels as a PNG file.

    By the filter "up" in each row, with which rows that repeat become zeros. That is what pictures of large squares
    consist of: three times as fast as Pillow, which tries every filter, and smaller.
    """
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 3)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@lru_cache(KEPT_FONTS)
def _font(size: float) -> ImageFont.FreeTypeFont:
    """The font that comes with matplotlib; found without importing it."""
    places = getattr(find_spec("matplotlib"), "submodule_search_locations", None) or [""]
    path = Path(places[0], "mpl-data", "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(str(path), size * POINT, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(KEPT_TEXTS)
def _text_mask(text: str, size: float, turned: bool) -> Image.Image:
    """How much each pixel is covered by lines of text, each in the middle; turned: from the bottom to the top."""
    font, lines = _font(size), text.split("\n")
    width, (ascent, descent) = max(map(font.getlength, lines)), font.getmetrics()
    spacing = LINE_SPACING * size * POINT
    mask = Image.new("L", (math.ceil(width), math.ceil(ascent + descent + spacing * (len(lines) - 1))))
    draw = ImageDraw.Draw(mask)
    for row, line in enumerate(lines):
        draw.text(((width - font.getlength(line)) / 2, ascent + round(spacing * row)), line, 255, font, anchor="ls")
    return mask.transpose(Image.Transpose.ROTATE_90) if turned else mask


def _thinned(points: np.ndarray) -> np.ndarray:
    """Of the points in one column of pixels, first, lowest, highest and last: a long history has many in each."""
    x, y = points.T
    first = np.flatnonzero(np.diff(np.floor(x), prepend=-np.inf))
    if 2 * len(first) > len(x):
        return points
    last, middle = np.append(first[1:], len(x)) - 1, np.floor(x[first]) + 0.5
    columns = [(x[first], y[first]), (middle, np.minimum.reduceat(y, first))]
    columns += [(middle, np.maximum.reduceat(y, first)), (x[last], y[last])]
    return np.array(columns).transpose(2, 0, 1).reshape(-1, 2)


def _pieces(points: np.ndarray, dashes: tuple[float, float] | None) -> tuple[np.ndarray, np.ndarray]:
    """Cut a line into straight pieces, and leave those in gaps out: where each starts and ends, of shape (n, 2)."""
    along = np.append(0.0, np.hypot(*np.diff(points, axis=0).T).cumsum())
    cuts = [along, np.arange(0, along[-1], PIECE)]
    if dashes:
        period = sum(dashes)
        starts = np.arange(0, along[-1], period)
        cuts += [starts, starts[starts + dashes[0] < along[-1]] + dashes[0]]
    cuts = np.unique(np.concatenate(cuts))
    at = np.stack([np.interp(cuts, along, column) for column in points.T], axis=1)
    is_drawn = (cuts[:-1] + cuts[1:]) / 2 % period < dashes[0] if dashes else slice(None)
    return at[:-1][is_drawn], at[1:][is_drawn]


def _coverage(size: np.ndarray, starts: np.ndarray, ends: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """How much each pixel is covered by pieces with round ends, 0 to 255: by its distance to the nearest of them."""
    pad = math.ceil(radius.max()) + 1
    side = np.arange(PIECE + 2 * pad + 1, dtype=np.float32)
    corner = np.floor(np.minimum(starts, ends)) - pad  # of the pixels around each piece
    x, y = (corner[:, k, None] + side for k in (0, 1))  # (n, side)
    (x0, y0), (dx, dy) = (v.T.astype(np.float32)[:, :, None] for v in (starts, ends - starts))
    across, down = (x + 0.5 - x0).astype(np.float32)[:, None, :], (y + 0.5 - y0).astype(np.float32)[:, :, None]
    dx, dy = dx[:, None], dy[:, None]
    share = np.clip((across * dx + down * dy) / np.maximum(dx * dx + dy * dy, 1e-12), 0, 1)  # (n, side, side)
    distance = np.hypot(across - share * dx, down - share * dy)
    covered = (np.clip(radius.astype(np.float32)[:, None, None] + 0.5 - distance, 0, 1) * 255).astype(np.uint8)
    width, height = size
    inside = (
        (0 <= y)[:, :, None] & (y < height)[:, :, None] & (0 <= x)[:, None, :] & (x < width)[:, None, :] & (covered > 0)
    )
    place = (y[:, :, None] * width + x[:, None, :]).astype(np.intp)
    mask = np.zeros(height * width, np.uint8)
    np.maximum.at(mask, place[inside], covered[inside])
    return mask.reshape(height, width)
