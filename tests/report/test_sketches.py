"""Sketches: that they are drawn without matplotlib's figures, as matplotlib would, and that nothing overlaps."""

import itertools
import math
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import imread
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

from nnexp.comparison.drawing import in_style
from nnexp.comparison.sections import Picture
from nnexp.figures import scales
from nnexp.figures.chart import Axis, Label
from nnexp.figures.sketch import TEXT, Band, Bars, Image, Line, Panel, Sketch, values_of, wide
from nnexp.figures.style import save
from nnexp.report.rendering import _outline, render


def a_sketch() -> Sketch:
    """Everything that a sketch can have."""
    x = np.linspace(0, 35, 30)
    lines = [
        Band(x, np.exp(-x / 9), 2 * np.exp(-x / 9), "#0072B2", 0.2),
        Line(x, 1.4 * np.exp(-x / 9), "#0072B2", label="one"),
        Line(x, 1.2 * np.exp(-x / 12), "#D55E00", (0, (5, 1.6)), marker="D", label="another"),
        Line([7], [1.0], "#222222", "", marker="v", size=6, is_on_edge=True),
    ]
    bars = [
        Band(None, 2, 4, "#888888", 0.2),
        Bars(np.array([[5.0, 1], [20, 2]]), np.array([[5.0, 3], [20, 5]]), "#009E73", cap=2.5),
    ]
    steps = scales.of_numbers(x, "steps", is_whole=True, most=5)
    rows = [
        [Panel(steps, scales.logarithmic(values_of(lines), "cost"), lines, title="left"),
         Panel(steps, scales.of_numbers(values_of(bars), "amount"), bars, [Label(20, 4, "label", 8)])],
        [Panel(steps, scales.linear(-1e6, 1e6, "wide labels"), [Line(x, 1e4 * x, "#56B4E9")]),
         Panel(steps, Axis(0, 1), [Image(np.full((2, 2, 3), 99, np.uint8))], grid="", frame="")],
    ]  # fmt: skip
    return Sketch(8, 5, rows, shares_x=True, heights=(2, 1), legend=2)


def test_it_is_drawn_without_a_figure_and_looks_like_one(tmp_path, monkeypatch):
    sketch = a_sketch()
    with monkeypatch.context() as patched:
        patched.setattr(Figure, "draw", lambda *_: pytest.fail("a figure was drawn"))
        svg, pixels = render(sketch)
    assert 'width="576pt" height="360pt"' in svg
    save(Picture("a", sketch, "").figure, tmp_path / "a.png")
    saved = imread(tmp_path / "a.png")[..., :3]
    assert pixels.shape == saved.shape
    assert np.mean(np.abs(saved - pixels / 255).max(axis=2) > 0.5) < 0.02  # but for letters and the legend


def test_equal_sketches_give_equal_drawings():
    (svg, pixels), (again, same) = render(a_sketch()), render(a_sketch())
    assert svg == again
    assert (pixels == same).all()


def test_panels_and_what_is_written_beside_them_keep_clear_of_each_other():
    sketch = a_sketch()
    places = [place for _, place in sketch.panels()]
    for one, other in itertools.combinations(places, 2):
        assert one.right < other.left or other.right < one.left or one.top < other.bottom or other.top < one.bottom
    left, right = places[2:]
    assert left.left > wide("−1000000", TEXT)
    assert right.left - left.right > 0
    figure = in_style(sketch)
    figure.canvas.draw()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    width, height = figure.canvas.get_width_height()
    for box in boxes:
        assert -1 < box.x0
        assert box.x1 < width + 1
        assert -1 < box.y0
        assert box.y1 < height + 1
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


def test_the_letters_of_a_text_are_those_of_matplotlib():
    text = "λ 0.5 − AVbg"
    at, start, found = np.zeros(2), np.zeros(2), []
    for command, written in re.findall(r"([Mmlqcz])([^Mmlqcz]*)", _outline(text)):
        numbers = np.array([float(number) for number in written.split()]).reshape(-1, 2)
        if command == "z":
            at = start
        else:
            at = numbers[-1] if command == "M" else at + numbers[-1]
        if command == "m":
            start = at
        if command in "mlqc":
            found.append(at)
    letters = Path(*text_to_path.get_text_path(FontProperties(family="DejaVu Sans"), text))
    expected = [points[-2:] for points, code in letters.iter_segments(simplify=False) if code != Path.CLOSEPOLY]
    assert np.array(found) == pytest.approx(np.array(expected), abs=0.2)


def test_what_is_no_number_is_left_out():
    x, nothing = np.arange(3.0), np.full(3, np.nan)
    axis = scales.linear(0, 2, "")
    marks = [Band(x, nothing, nothing, "#0072B2", 0.2), Line(x, nothing, "#0072B2", marker="o")]
    bars = Bars(np.stack([x, nothing], axis=1), np.stack([x, x], axis=1), "#009E73", cap=2.5)
    (svg, pixels), (_, empty) = (render(Sketch(3, 2, [[Panel(axis, axis, [*each])]])) for each in ([*marks, bars], []))
    assert "nan" not in svg
    assert (pixels == empty).mean() > 0.99
    assert not values_of(marks).size


def test_an_axis_from_zero_has_zero_and_decades():
    axis = scales.from_zero(400, "steps")
    assert [text for _, text in axis.ticks] == ["0", "1", "10", "100"]
    places = axis.share(np.array([0, 0.5, 1, 10, 100]))
    assert np.diff(places[2:]) == pytest.approx([places[3] - places[2]] * 2)
    assert places[1] == pytest.approx(places[2] / 2)
    assert math.isclose(places[0], 0)


def test_a_band_that_reaches_zero_is_drawn_to_the_end_of_a_logarithmic_axis(recwarn):
    x = np.linspace(0, 9, 10)
    lines = [Line(x, np.exp(-x), "#000000")]
    drawn = []
    for low in (1e-9, 0.0):
        band = Band(x, np.full(10, low), np.exp(-x), "#000000", 1.0)
        axes = scales.of_numbers(x, "x"), scales.logarithmic(values_of(lines), "y")
        _, pixels = render(Sketch(3, 2, [[Panel(*axes, [band, *lines])]]))
        drawn.append((pixels < 100).sum())
    assert drawn[0] == pytest.approx(drawn[1], rel=0.01)
    assert not [str(each.message) for each in recwarn]


@pytest.mark.parametrize("values", [[1, 1e300], [1e-310, 1], [1e-310, 1e300], [1e300]])
def test_numbers_of_every_size_have_a_logarithmic_axis(values):
    axis = scales.logarithmic(np.array(values), "y")
    assert 0 < axis.low < axis.high < math.inf
    assert axis.ticks
