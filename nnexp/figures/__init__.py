"""The project's figures: arrays in, a matplotlib Figure out, in one style.

Drawn on Agg without pyplot and under a style of their own, so that nothing global changes.
"""

from nnexp.figures.charts import Line, Panel, confusion_matrix, curves
from nnexp.figures.pictures import hidden_layer, hidden_layer_image, sample_images, tile, worst_mistakes
from nnexp.figures.style import FORMATS, PART_COLORS, STYLE, save, styled

__all__ = [
    "FORMATS",
    "PART_COLORS",
    "STYLE",
    "Line",
    "Panel",
    "confusion_matrix",
    "curves",
    "hidden_layer",
    "hidden_layer_image",
    "sample_images",
    "save",
    "styled",
    "tile",
    "worst_mistakes",
]
