"""A figure as SVG and as pixels in one go: to go through all that a figure is made of is most of what drawing costs."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D, TransformedBbox, TransformedPath

from nnexp.comparison.drawing import REPORT_STYLE
from nnexp.figures.chart import DPI
from nnexp.figures.style import own_style

POINTS_PER_INCH = 72  # the unit of SVG
SCALE = DPI / POINTS_PER_INCH


def render(figure: Figure) -> tuple[str, np.ndarray]:
    """Draw a figure that is laid out, without its ground.

    Returns
    -------
    svg : str
        The document, of whose texts the letters are paths.
    pixels : ndarray of shape (height, width, 3)
        uint8, on white.
    """
    written = io.StringIO()
    width, height = figure.get_size_inches()
    svg = RendererSVG(
        POINTS_PER_INCH * width,
        POINTS_PER_INCH * height,
        written,
        image_dpi=DPI,
        metadata={"Date": None, "Creator": None},
    )
    pixels = RendererAgg(*figure.canvas.get_width_height(), DPI)
    drawn = np.asarray(pixels.buffer_rgba())
    drawn[:] = 255
    grounds = [each for each in (figure.patch, *(axes.patch for axes in figure.axes)) if each.get_visible()]
    dpi = figure.dpi
    try:
        for ground in grounds:
            ground.set_visible(False)
        figure.dpi = POINTS_PER_INCH
        renderer: Any = MixedModeRenderer(figure, width, height, DPI, _Both(svg, pixels))
        with own_style(REPORT_STYLE):
            figure.draw(renderer)
        renderer.finalize()
    finally:
        figure.dpi = dpi
        for ground in grounds:
            ground.set_visible(True)
    return written.getvalue(), drawn[..., :3]


class _Both:
    """Draws on two renderers; what is asked of it, such as the size of a text, the one of SVG answers, in points."""

    def __init__(self, svg: RendererSVG, pixels: RendererAgg) -> None:
        self._svg: Any = svg
        self._pixels: Any = pixels
        self._scaled = Affine2D().scale(SCALE)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._svg, name)

    def _context(self, gc: Any) -> Any:
        """The same context with its clipping in pixels."""
        own = self._pixels.new_gc()
        own.copy_properties(gc)
        if (box := gc.get_clip_rectangle()) is not None:
            own.set_clip_rectangle(TransformedBbox(box, self._scaled))
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
