"""The project's figures: arrays in, a picture out, in one style.

A function of `charts` or `pictures` makes a `Chart`, which is data. `save_chart` paints it, in some milliseconds; the
function of the same name here returns it as a matplotlib Figure, on Agg without pyplot and under a style of its own, so
that nothing global changes.
"""

from nnexp.figures import charts, pictures
from nnexp.figures.canvas import png
from nnexp.figures.chart import Chart
from nnexp.figures.charts import Line, Panel
from nnexp.figures.colors import PART_COLORS
from nnexp.figures.matplot import drawn
from nnexp.figures.paint import save_chart
from nnexp.figures.pictures import hidden_layer_image, tile
from nnexp.figures.style import FORMATS, STYLE, save, styled

confusion_matrix = drawn(charts.confusion_matrix)
curves = drawn(charts.curves)
hidden_layer = drawn(pictures.hidden_layer)
sample_images = drawn(pictures.sample_images)
worst_mistakes = drawn(pictures.worst_mistakes)

__all__ = [
    "FORMATS",
    "PART_COLORS",
    "STYLE",
    "Chart",
    "Line",
    "Panel",
    "charts",
    "confusion_matrix",
    "curves",
    "drawn",
    "hidden_layer",
    "hidden_layer_image",
    "pictures",
    "png",
    "sample_images",
    "save",
    "save_chart",
    "styled",
    "tile",
    "worst_mistakes",
]
