"""Charts painted without matplotlib: as they look as matplotlib Figures, and the same bytes each time."""

import io
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from nnexp import figures
from nnexp.figures import canvas, charts, pictures, scales
from nnexp.figures.chart import Box
from nnexp.figures.matplot import figure_of
from nnexp.figures.paint import paint, save_chart
from nnexp.tasks.network.description import cost_chart
from tests.figures.test_figures import CLASSES, history

LONG_NAMES = [f"a class of name {i}" for i in range(10)]


def all_charts(seed=0):
    rng = np.random.default_rng(seed)
    images = rng.random((200, 20, 20))
    y, wrong = np.arange(200) % 10, (np.arange(200) + 1) % 10
    mistakes = {"y_true": y, "y_pred": wrong, "scores": 9 * rng.random(200), "score_note": "what the score is"}
    return {
        "cost_curves": cost_chart(history(200)),
        "few rows": cost_chart(history(12)),
        "one row": cost_chart({key: column[:1] for key, column in history().items()}),
        "no rows": cost_chart({key: column[:0] for key, column in history().items()}),
        "hidden_layer": pictures.hidden_layer(rng.normal(size=(25, 400)), (20, 20), "F"),
        "one unit": pictures.hidden_layer(rng.normal(size=(1, 64)), (8, 8)),
        "flat unit": pictures.hidden_layer(rng.normal(size=(1, 300)), (1, 300)),
        "matrix": pictures.hidden_layer(rng.normal(size=(4, 13)), None),
        "confusion_matrix": charts.confusion_matrix(rng.integers(0, 50, (10, 10)), CLASSES),
        "two classes": charts.confusion_matrix(np.array([[3, 1], [0, 2]]), ("no", "yes")),
        "long names": charts.confusion_matrix(rng.integers(0, 5000, (10, 10)), LONG_NAMES),
        "thirty classes": charts.confusion_matrix(rng.integers(0, 99, (30, 30)), [str(i) for i in range(30)]),
        "sample_images": pictures.sample_images(images, y, CLASSES),
        "worst_mistakes": pictures.worst_mistakes(images, classes=CLASSES, **mistakes),
        "long mistakes": pictures.worst_mistakes(images, classes=LONG_NAMES, **mistakes),
        "no mistakes": pictures.worst_mistakes(images, y, y, y, CLASSES),
    }


def written(chart, folder):
    save_chart(chart, folder / "chart.png")
    return (folder / "chart.png").read_bytes()


def test_nothing_is_cut_off_at_the_edge():
    for name, chart in all_charts().items():
        pixels = paint(chart)
        assert pixels.shape[:2] == (chart.height, chart.width)
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert border.min() == 255, name


@pytest.mark.slow
def test_a_chart_looks_as_its_matplotlib_figure_does():
    for name, chart in all_charts().items():
        figure = figure_of(chart)
        figure.canvas.draw()
        by_matplotlib = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(float)
        pixels = paint(chart).astype(float)
        painted = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        assert painted.shape == by_matplotlib.shape
        for plot in chart.plots:  # pictures are equal but for rounding, where no text stands in them
            if plot.raster is not None and not plot.labels:
                inside = np.s_[plot.box.top : plot.box.bottom, plot.box.left : plot.box.right]
                assert np.mean(np.abs(painted[inside] - by_matplotlib[inside]) > 2) < 0.01, name
        blurred = [_blurred(each) for each in (painted, by_matplotlib)]  # text is the same, if not to the pixel
        assert np.abs(blurred[0] - blurred[1]).max() < 90, name
        assert np.abs(blurred[0] - blurred[1]).mean() < 3, name


def _blurred(pixels, side=16):
    """Means of squares, so large that a letter may stand a pixel further."""
    height, width = (n // side * side for n in pixels.shape[:2])
    return pixels[:height, :width].reshape(height // side, side, width // side, side, 3).mean(axis=(1, 3, 4))


def test_equal_charts_give_equal_bytes_whatever_was_painted_between(tmp_path):
    first = {name: written(chart, tmp_path) for name, chart in all_charts().items()}
    others = {name: written(chart, tmp_path) for name, chart in all_charts(seed=1).items()}
    assert first["confusion_matrix"] != others["confusion_matrix"]
    assert {name: written(chart, tmp_path) for name, chart in reversed(all_charts().items())} == first


def test_threads_paint_side_by_side():
    canvas._text_mask.cache_clear()
    painted, barrier = {}, threading.Barrier(4)

    def work(n):
        barrier.wait()
        painted[n] = [canvas.png(paint(chart)) for chart in all_charts(seed=n % 2).values()]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert painted[0] == painted[2] == [canvas.png(paint(chart)) for chart in all_charts().values()]
    assert painted[1] == painted[3]


def test_a_figure_is_the_callers_own():
    counts = np.array([[3, 1], [0, 2]])
    mine = figures.confusion_matrix(counts, ("no", "yes"))
    mine.axes[0].set_title("another title", loc="left")
    assert figures.confusion_matrix(counts, ("no", "yes")).axes[0].get_title(loc="left") == "5 of 6 right (83.33 %)"


def test_painting_does_not_import_matplotlib(tmp_path):
    script = """
import sys
import numpy as np
from nnexp.tasks.network.description import charts, figures
figures.save_chart(charts.confusion_matrix(np.eye(2, dtype=int), "ab"), sys.argv[1])
sys.exit("matplotlib" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path / "chart.png")], check=False).returncode == 0


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 3), (1, 1), (300, 2, 3)])
def test_a_png_holds_the_pixels(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(canvas.png(pixels)))), pixels)


def test_a_line_covers_what_lies_within_half_its_width():
    page = canvas.Canvas(60, 40)
    page.line(Box(10, 10, 40, 20), np.array([(15.0, 20.0), (45.0, 20.0)]), 4, "black")
    ink = 255 - page.pixels()[..., 0].astype(int)
    assert np.all(ink[18:22, 16:44] == 255)
    assert not ink[:17].any()
    assert not ink[23:].any()
    np.testing.assert_allclose(ink.sum(axis=0)[20:40], 4 * 255)


def test_dashes_and_gaps_have_their_lengths():
    page = canvas.Canvas(120, 10)
    page.line(Box(0, 0, 120, 10), np.array([(5.0, 5.0), (115.0, 5.0)]), 2, "black", dashes=(12, 8))
    ink = 255 - page.pixels()[5, :, 0].astype(int)
    starts = np.flatnonzero((ink[1:] > 127) & (ink[:-1] <= 127))
    assert set(np.diff(starts)) == {20}
    assert abs(np.sum(ink[starts[1] : starts[2]]) / 255 - 12) < 1


def _covered(size, starts, ends):
    return canvas._coverage(size, starts, ends, np.full(len(starts), 1.2))


def test_a_long_history_looks_as_all_of_its_points():
    x = np.linspace(0, 99, 5_000)
    y = 100 + 50 * np.sin(x / 40) + 20 * np.sin(x * 31)
    points = np.stack([x, y], axis=1)
    thin = canvas._thinned(points)
    assert len(thin) <= 4 * 100
    size = np.array([100, 200])
    whole, thinned = (_covered(size, *canvas._pieces(each, None)) for each in (points, thin))
    assert np.mean(np.abs(whole.astype(int) - thinned) > 100) < 0.02


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0, 400, "0 50 100 150 200 250 300 350 400"),
        (-0.06, 3.06, "0.0 0.5 1.0 1.5 2.0 2.5 3.0"),
        (-1, 1, "-1.00 -0.75 -0.50 -0.25 0.00 0.25 0.50 0.75 1.00"),
        (0, 2e-7, "0 2.5e-08 5e-08 7.5e-08 1e-07 1.25e-07 1.5e-07 1.75e-07 2e-07"),
    ],
)
def test_ticks_stand_at_multiples_of_a_round_step(low, high, texts):
    assert " ".join(text for _, text in scales.round_ticks(low, high)) == texts.replace("-", "−")


def test_counts_have_no_ticks_between_them():
    for high in (1, 3, 12, 26, 999):
        assert all(float(text) == tick == int(tick) for tick, text in scales.round_ticks(0, high, is_whole=True))


def test_shares_have_no_ticks_beyond_100_percent():
    ticks = scales.of_shares(np.array([0.96, 1.0]), "").ticks
    assert [text for _, text in ticks] == ["96.0 %", "96.5 %", "97.0 %", "97.5 %", "98.0 %", "98.5 %", "99.0 %",
                                           "99.5 %", "100.0 %"]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "texts", "is_log"),
    [
        ([0.3, 3.0], "0.5 1 2", True),
        ([1e-4, 1e2], "10⁻⁴ 10⁻³ 10⁻² 10⁻¹ 10⁰ 10¹ 10²", True),
        ([0.31, 0.34], "0.310 0.315 0.320 0.325 0.330 0.335 0.340", True),
        ([0.0, 1.0], "0.0 0.2 0.4 0.6 0.8 1.0", False),
    ],
)
def test_amounts_are_logarithmic_where_they_can_be(values, texts, is_log):
    axis = scales.of_amounts(np.array(values), "")
    assert " ".join(text for _, text in axis.ticks) == texts
    assert axis.is_log == is_log
