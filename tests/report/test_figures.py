"""That a figure is drawn no more often than it is written: drawing is most of what a report costs."""

from collections import Counter

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.layout_engine import ConstrainedLayoutEngine

from nnexp.comparison.drawing import drawn, panels
from nnexp.figures.style import save
from nnexp.report.rendering import render


@pytest.fixture
def calls(monkeypatch):
    """How often figures were laid out and drawn."""
    counted = Counter()

    def count(owner, name):
        original = getattr(owner, name)

        def counting(*args):
            counted[name] += 1
            return original(*args)

        monkeypatch.setattr(owner, name, counting)

    count(ConstrainedLayoutEngine, "execute")
    count(Figure, "draw")
    return counted


@drawn
def two_panels():
    figure, axes = panels(4, 2, 1, 2)
    axes[0, 0].plot([0, 1], [0, 1], label="a line")
    figure.legend(loc="outside lower center")
    return figure


def test_a_figure_is_laid_out_once_and_drawn_once_for_page_and_file(calls):
    figure = two_panels()
    assert calls == {"execute": 1}
    svg, pixels = render(figure)
    assert calls == {"execute": 1, "draw": 1}
    assert 'width="288pt" height="144pt"' in svg
    assert pixels.shape == (220, 440, 3)


def test_the_pixels_are_those_of_a_figure_saved_by_itself(tmp_path):
    figure = two_panels()
    _, pixels = render(figure)
    save(figure, tmp_path / "figure.png")
    saved = imread(tmp_path / "figure.png")[..., :3]
    assert np.mean(np.abs(saved - pixels / 255) > 0.5) < 0.01  # but for letters, which are some tenths of a pixel aside


def test_a_scale_of_colours_is_where_it_belongs(tmp_path):
    @drawn
    def with_bar():
        figure, axes = panels(4, 2, 1, 1)
        figure.colorbar(axes[0, 0].imshow(np.eye(2), cmap="Blues"))
        return figure

    figure = with_bar()
    _, pixels = render(figure)
    save(figure, tmp_path / "figure.png")
    saved = imread(tmp_path / "figure.png")[..., :3]
    column = int(figure.axes[1].get_window_extent().x0) + 4
    assert np.mean(np.abs(saved - pixels / 255)[:, column] > 0.2) < 0.05
