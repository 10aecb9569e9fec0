"""A figure as SVG and as pixels in one go: to go through all that a figure is made of is most of what drawing costs."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.path import Path
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D, Bbox, TransformedPath

from nnexp.comparison.drawing import REPORT_STYLE
from nnexp.figures.canvas import Canvas
from nnexp.figures.chart import DPI
from nnexp.figures.sketch import Place, Sketch
from nnexp.figures.style import STYLE, own_style
from nnexp.report import sketching

FONT = STYLE["font.family"]
MOST_OUTLINES = 1024  # kept: most texts come again in the next figure
COMMANDS: Any = {Path.MOVETO: "m", Path.LINETO: "l", Path.CURVE3: "q", Path.CURVE4: "c"}
_letters: Any = {}  # paths that are drawn already, by matplotlib's names
POINTS_PER_INCH = 72  # the unit of SVG
SCALE = DPI / POINTS_PER_INCH


def render(figure: Figure | Sketch) -> tuple[str, np.ndarray]:
    """Draw a sketch, or a figure that is laid out, without its ground.

    Returns
    -------
    svg : str
        The document, of whose texts the letters are paths.
    pixels : ndarray of shape (height, width, 3)
        uint8, on white.
    """
    written = io.StringIO()
    is_sketch = isinstance(figure, Sketch)
    width, height = (figure.width, figure.height) if is_sketch else figure.get_size_inches()
    svg = RendererSVG(
        POINTS_PER_INCH * width,
        POINTS_PER_INCH * height,
        written,
        image_dpi=DPI,
        metadata={"Date": None, "Creator": None},
    )
    pixels = RendererAgg(int(DPI * width + 1e-6), int(DPI * height + 1e-6), DPI)
    drawn = np.asarray(pixels.buffer_rgba())
    drawn[:] = 255
    both: Any = _Both(svg, pixels)
    with own_style(REPORT_STYLE):
        if is_sketch:
            sketching.draw(figure, both)
            drawn = both.with_letters()
        else:
            _draw(figure, both)
    svg.finalize()
    return written.getvalue(), drawn[..., :3]


def _draw(figure: Figure, both: Any) -> None:
    """Draw a figure in points, without its ground."""
    grounds = [each for each in (figure.patch, *(axes.patch for axes in figure.axes)) if each.get_visible()]
    dpi = figure.dpi
    try:
        for ground in grounds:
            ground.set_visible(False)
        figure.dpi = POINTS_PER_INCH
        width, height = figure.get_size_inches()
        renderer: Any = MixedModeRenderer(figure, width, height, DPI, both)  # it keeps the unit that is set now
        figure.draw(renderer)
    finally:
        figure.dpi = dpi
        for ground in grounds:
            ground.set_visible(True)


class _Both:
    """Draws on two renderers; what is asked of it, such as the size of a text, the one of SVG answers, in points."""

    def __init__(self, svg: RendererSVG, pixels: RendererAgg) -> None:
        self._svg: Any = svg
        self._pixels: Any = pixels
        self._scaled = Affine2D().scale(SCALE)
        self._outlines: dict[str, str] = {}  # ids of the texts that are in the SVG
        self._written: list[tuple[float, float, str, float, str, bool]] = []  # on the pixels when all else is drawn

    def __getattr__(self, name: str) -> Any:
        return getattr(self._svg, name)

    def _context(self, gc: Any) -> Any:
        """The same context with its clipping in pixels."""
        own = self._pixels.new_gc()
        own.copy_properties(gc)
        if (box := gc.get_clip_rectangle()) is not None:
            own.set_clip_rectangle(Bbox(SCALE * box.get_points()))
        path, transform = gc.get_clip_path()
        if path is not None:
            own.set_clip_path(TransformedPath(path, transform + self._scaled))
        return own

    def draw_path(self, gc: Any, path: Any, transform: Any, rgbFace: Any = None) -> None:
        self._svg.draw_path(gc, path, transform, rgbFace)
        self._pixels.draw_path(self._context(gc), path, transform + self._scaled, rgbFace)

    def draw_markers(
        self,
        gc: Any,
        marker_path: Any,
        marker_trans: Any,
        path: Any,
        trans: Any,
        rgbFace: Any = None,
    ) -> None:
        self._svg.draw_markers(gc, marker_path, marker_trans, path, trans, rgbFace)
        scaled = marker_trans + self._scaled, path, trans + self._scaled
        self._pixels.draw_markers(self._context(gc), marker_path, *scaled, rgbFace)

    def draw_path_collection(
        self,
        gc: Any,
        master_transform: Any,
        paths: Any,
        all_transforms: Any,
        offsets: Any,
        offset_trans: Any,
        *looks: Any,
        **more: Any,
    ) -> None:
        places = paths, all_transforms, offsets
        self._svg.draw_path_collection(gc, master_transform, *places, offset_trans, *looks, **more)
        scaled = master_transform + self._scaled, *places, offset_trans + self._scaled
        self._pixels.draw_path_collection(self._context(gc), *scaled, *looks, **more)

    draw_quad_mesh = RendererBase.draw_quad_mesh  # as a collection of paths

    def draw_image(self, gc: Any, x: float, y: float, image: np.ndarray, transform: Any = None) -> None:
        self._svg.draw_image(gc, x, y, image, transform)
        self._pixels.draw_image(self._context(gc), SCALE * x, SCALE * y, image)

    def draw_text(self, gc: Any, x: float, y: float, *text: Any, **more: Any) -> None:
        self._svg.draw_text(gc, x, y, *text, **more)
        self._pixels.draw_text(self._context(gc), SCALE * x, SCALE * y, *text, **more)

    def picture(self, place: Place, pixels: np.ndarray) -> None:
        """Pixels as large as the place, without a blur: in the SVG as they are, which makes a small file."""
        n_rows, n_columns = pixels.shape[:2]
        colors = np.full((n_rows, n_columns, 4), 255, np.uint8)
        colors[..., : pixels.shape[2]] = pixels
        self._svg.draw_image(self._svg.new_gc(), place.left, place.bottom, colors[::-1],
                             Affine2D().scale(place.width, place.height))  # fmt: skip
        rows, columns = (_spread(n, round(SCALE * size)) for n, size in ((n_rows, place.height),
                                                                          (n_columns, place.width)))  # fmt: skip
        enlarged = np.ascontiguousarray(colors[::-1][rows][:, columns])
        self._pixels.draw_image(self._pixels.new_gc(), SCALE * place.left, SCALE * place.bottom, enlarged)

    def write(self, x: float, y: float, text: str, size: float, color: str, angle: float) -> None:
        """Text of a sketch from (x, y) on: in the SVG each text is defined once, and used wherever it stands."""
        if text not in self._outlines:
            self._outlines[text] = f"text{len(self._outlines)}"
            self._svg.writer.comment(text)
            self._svg.writer.start("defs")
            self._svg.writer.element("path", id=self._outlines[text], d=_outline(text))
            self._svg.writer.end("defs")
        turn, scale = f" rotate({-angle:g})" * bool(angle), size / text_to_path.FONT_SCALE
        self._svg.writer.element(
            "use",
            transform=f"translate({x:.2f} {y:.2f}){turn} scale({scale:g} {-scale:g})",
            style=f"fill: {color}",
            attrib={"xlink:href": f"#{self._outlines[text]}"},
        )
        if angle % 90:
            gc = self._pixels.new_gc()
            gc.set_foreground(color)
            self._pixels.draw_text(gc, SCALE * x, SCALE * y, text, FontProperties(family=FONT, size=size), angle)
        else:
            self._written.append((SCALE * x, SCALE * y, text, size, color, bool(angle)))

    def with_letters(self) -> np.ndarray:
        """The pixels, with what was written."""
        canvas = Canvas.over(np.ascontiguousarray(np.asarray(self._pixels.buffer_rgba())[..., :3]))
        for x, y, text, size, color, turned in self._written:
            canvas.text(x, y, text, size, "baseline bottom" if turned else "left baseline", color, turned=turned)
        return canvas.pixels()


def _spread(n: int, size: int) -> np.ndarray:
    """Which of n pixels is at each of `size` places."""
    return np.arange(size) * n // size


@lru_cache(MOST_OUTLINES)
def _outline(text: str) -> str:
    """The letters of a text as a path of SVG, in hundredths of their size and upside down."""
    font = get_font(findfont(FontProperties(family=FONT)))
    font.set_size(text_to_path.FONT_SCALE, text_to_path.DPI)
    placed, new, _ = text_to_path.get_glyphs_with_font(font, text, glyph_map=_letters, return_new_glyphs_only=True)
    _letters.update({name: _relative(*path) for name, path in new.items()})
    return "".join(f"M{x:.1f} {y:.1f}{_letters[name]}" for name, x, y, _ in placed)


def _relative(vertices: np.ndarray, codes: np.ndarray) -> str:
    """The path of a letter, from wherever it begins: each point as its way from the last one."""
    written, last, start = list[str](), np.zeros(2), np.zeros(2)
    for points, code in Path(np.round(vertices, 1), codes).iter_segments(simplify=False):
        if code == Path.CLOSEPOLY:
            written.append("z")
            last = start
            continue
        ways = points.reshape(-1, 2) - last
        written.append(COMMANDS[int(code)] + " ".join(f"{round(way, 1):g}" for way in ways.ravel().tolist()))
        last = points[-2:]
        start = last if code == Path.MOVETO else start
    return "".join(written)
