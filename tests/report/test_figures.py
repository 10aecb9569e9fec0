"""That a figure is drawn no more often than it is written: drawing is most of what a report costs."""

from collections import Counter

import pytest
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from nnexp.comparison.drawing import drawn, panels
from nnexp.figures.style import save
from nnexp.report.page import to_svg


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


def test_a_figure_is_laid_out_once_and_drawn_once_for_each_format(calls, tmp_path):
    figure = two_panels()
    assert calls == {"execute": 1}
    save(figure, tmp_path / "figure.png")
    to_svg(figure, "figure")
    assert calls == {"execute": 1, "draw": 2}
