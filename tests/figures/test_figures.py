import itertools
import sys
import time
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from PIL import Image

from nnexp import figures
from nnexp.figures.pictures import BLANK
from nnexp.tasks.network.description import cost_curves

CLASSES = tuple("1234567890")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def image_of(figure, axes=0):
    return np.asarray(figure.axes[axes].images[0].get_array())


def texts(axes):
    return [text.get_text() for text in axes.texts]


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def history(n=30):
    step = np.arange(n)
    columns = {"step": step, "seconds": step * 0.01, "optimizer/n_fev": step + 1, "cost/train": 1 + np.exp(-step)}
    for part, shift in (("train", 0.0), ("test", 0.1)):
        columns[f"loss/{part}"] = 0.5 + np.exp(-step) + shift
        columns[f"accuracy/{part}"] = 1 - 0.9 * np.exp(-step) - shift
    return columns


def all_figures(rng):
    images = rng.random((200, 20, 20))
    y, wrong = np.arange(200) % 10, (np.arange(200) + 1) % 10
    return {
        "cost_curves": cost_curves(history()),
        "hidden_layer": figures.hidden_layer(rng.normal(size=(25, 400)), (20, 20), "F"),
        "confusion_matrix": figures.confusion_matrix(rng.integers(0, 50, (10, 10)), CLASSES),
        "sample_images": figures.sample_images(images, y, CLASSES),
        "worst_mistakes": figures.worst_mistakes(images, y, wrong, rng.random(200), CLASSES),
    }


# ---- what holds for every figure


USERS_STYLE = {"text.usetex": True, "figure.facecolor": "black", "axes.grid": True, "savefig.bbox": "tight"}


def test_the_users_own_style_changes_no_picture(tmp_path):
    def written(folder):
        folder.mkdir()
        for name, figure in all_figures(np.random.default_rng(0)).items():
            figures.save(figure, folder / f"{name}.png")
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    plain = written(tmp_path / "plain")
    with matplotlib.rc_context(USERS_STYLE):
        assert written(tmp_path / "users") == plain


def test_figures_are_unknown_to_pyplot_and_change_no_global_style(rng):
    before = dict(matplotlib.rcParams)
    all_figures(rng)
    assert dict(matplotlib.rcParams) == before
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_each_format_is_written_and_repeats_byte_for_byte(rng, tmp_path, monkeypatch, suffix, magic):
    again = all_figures(np.random.default_rng(0))
    for name, figure in all_figures(rng).items():
        figures.save(figure, tmp_path / f"one.{suffix}")
        monkeypatch.setattr(time, "time", lambda: 2e9)
        figures.save(again[name], tmp_path / f"two.{suffix}")
        monkeypatch.undo()
        content = (tmp_path / f"one.{suffix}").read_bytes()
        assert content.startswith(magic)
        assert content == (tmp_path / f"two.{suffix}").read_bytes(), name


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"one of png, svg, pdf, got .*\.tiff"):
        figures.save(cost_curves(history()), tmp_path / "figure.tiff")


@pytest.mark.slow
def test_nothing_is_cut_off_at_the_edge(rng, tmp_path):
    names = [f"a class of name {i}" for i in range(10)]
    drawn = all_figures(rng) | {
        "long names": figures.confusion_matrix(rng.integers(0, 5000, (10, 10)), names),
        "two": figures.confusion_matrix(np.array([[3, 1], [0, 2]]), ("no", "yes")),
        "thirty": figures.confusion_matrix(rng.integers(0, 99, (30, 30)), [str(i) for i in range(30)]),
        "flat units": figures.hidden_layer(rng.normal(size=(1, 300)), (1, 300)),
        "one unit": figures.hidden_layer(rng.normal(size=(1, 64)), (8, 8)),
        "200 units": figures.hidden_layer(rng.normal(size=(200, 400)), (20, 20)),
        "matrix": figures.hidden_layer(rng.normal(size=(4, 13)), None),
        "digits": figures.sample_images(rng.random((50, 8, 8))),
        "one row": cost_curves({key: column[:1] for key, column in history().items()}),
    }
    for name, figure in drawn.items():
        figures.save(figure, tmp_path / "figure.png")
        pixels = np.asarray(Image.open(tmp_path / "figure.png").convert("L"))
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert border.min() == 255, name


def test_labels_do_not_overlap_in_a_confusion_matrix(rng):
    for names in (CLASSES, [f"a class of name {i}" for i in range(10)], [str(i) for i in range(30)]):
        figure = figures.confusion_matrix(rng.integers(0, 10000, (len(names), len(names))), names)
        figure.draw_without_rendering()
        for labels in (figure.axes[0].get_xticklabels(), figure.axes[0].texts[: len(names)]):
            boxes = [label.get_window_extent() for label in labels]
            assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))


# ---- tiles


@pytest.mark.parametrize("gap", [0, 1, 3])
def test_tiles_are_the_pictures_row_by_row(rng, gap):
    pictures = rng.random((5, 2, 3))
    grid, columns = figures.tile(pictures, gap=gap)
    assert columns == 3
    assert grid.shape == (2 * (2 + gap) + gap, 3 * (3 + gap) + gap)
    for i, picture in enumerate(pictures):
        top, left = gap + (i // 3) * (2 + gap), gap + (i % 3) * (3 + gap)
        np.testing.assert_array_equal(grid[top : top + 2, left : left + 3], picture)
    assert np.sum(grid == BLANK) == 6
    assert np.sum(np.isnan(grid)) == grid.size - 36


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (2, 2), (3, 3), (4, 2), (8, 4), (25, 5), (100, 10)])
def test_grids_are_nearly_square_with_few_places_left_over(n, columns):
    assert figures.tile(np.zeros((n, 2, 2)))[1] == columns


# ---- the single figures


def test_sample_shows_a_class_a_row(rng):
    y = np.repeat(np.arange(10), 50)
    images = np.broadcast_to((y / 10)[:, None, None], (500, 4, 4))
    figure = figures.sample_images(images, y, CLASSES)
    grid = image_of(figure)
    assert grid.shape == (51, 51)
    for row in range(10):
        inside = grid[5 * row + 1 : 5 * row + 5]
        assert np.all(inside[np.isfinite(inside)] == pytest.approx(row / 10))
    assert tick_labels(figure.axes[0].yaxis) == list(CLASSES)


def test_sample_of_unequal_classes_leaves_places_and_skips_absent_classes():
    figure = figures.sample_images(np.ones((4, 2, 2)), np.array([0, 0, 0, 2]), ("a", "b", "c"))
    assert tick_labels(figure.axes[0].yaxis) == ["a", "c"]
    assert np.sum(image_of(figure) == BLANK) == 2 * 4


def test_sample_without_labels_is_spread_over_all_images():
    figure = figures.sample_images(np.broadcast_to(np.linspace(0, 1, 1000)[:, None, None], (1000, 1, 1)), n_images=4)
    grid = image_of(figure)
    np.testing.assert_allclose(grid[np.isfinite(grid)], [0, 1 / 3, 2 / 3, 1], atol=1e-3)


def test_overshooting_pixels_are_clipped_and_others_rescaled():
    overshooting = image_of(figures.sample_images(np.array([-0.13, 0.5, 1.12]).reshape(3, 1, 1)))
    np.testing.assert_allclose(overshooting[np.isfinite(overshooting)], [0, 0.5, 1])
    bytes_ = image_of(figures.sample_images(np.array([0, 51, 255]).reshape(3, 1, 1)))
    np.testing.assert_allclose(bytes_[np.isfinite(bytes_)], [0, 0.2, 1])


def test_curves_hold_the_history_and_name_the_parts():
    columns = history()
    left, right = cost_curves(columns).axes
    assert [text.get_text().split(":")[0] for text in left.get_legend().get_texts()] == [
        "cost, train",
        "loss, train",
        "loss, test",
    ]
    for line, key in zip(left.lines, ("cost/train", "loss/train", "loss/test"), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), columns[key])
    for line, key in zip(right.lines, ("accuracy/train", "accuracy/test"), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), columns[key])
    assert (left.get_ylabel(), left.get_xlabel()) == ("nats per sample", "iteration")


def test_curves_without_a_held_out_part():
    left, right = cost_curves({k: v for k, v in history().items() if "test" not in k}).axes
    assert (len(left.lines), len(right.lines)) == (2, 1)


def test_curves_skip_iterations_without_a_value():
    columns = history()
    columns["loss/test"] = np.where(columns["step"] % 10 == 0, columns["loss/test"], np.nan)
    line = cost_curves(columns).axes[0].lines[-1]
    np.testing.assert_array_equal(line.get_xdata(), [0, 10, 20])


def test_curves_of_a_cost_of_zero_and_of_no_rows_are_drawn(tmp_path):
    columns = history()
    columns["loss/train"][-1] = 0
    zero = cost_curves(columns)
    assert zero.axes[0].get_yscale() == "linear"
    assert cost_curves(history()).axes[0].get_yscale() == "log"
    for figure in (zero, cost_curves({key: column[:0] for key, column in history().items()})):
        figures.save(figure, tmp_path / "figure.png")


@pytest.mark.parametrize("n_units", [1, 3, 25, 200])
def test_each_hidden_unit_is_scaled_by_its_own_largest_weight(rng, n_units):
    weights = rng.normal(size=(n_units, 6)) * 10.0 ** rng.integers(-3, 4, (n_units, 1))
    figure = figures.hidden_layer(weights, (2, 3), "C")
    grid = image_of(figure)
    inside = grid[np.isfinite(grid) & (grid != BLANK)]
    assert inside.size == weights.size
    scaled = weights / np.abs(weights).max(axis=1, keepdims=True)
    np.testing.assert_allclose(np.sort(inside), np.sort(scaled.ravel()))
    np.testing.assert_allclose(grid[1:3, 1:4], scaled[0].reshape(2, 3))
    assert figure.axes[0].images[0].get_clim() == (-1, 1)


def test_hidden_units_of_column_major_images_stand_upright():
    weights = np.arange(1.0, 7).reshape(1, 6)
    grid = image_of(figures.hidden_layer(weights, (2, 3), "F"))
    np.testing.assert_allclose(grid[1:3, 1:4] * 6, [[1, 3, 5], [2, 4, 6]])


def test_a_unit_without_weights_is_drawn_as_zeros():
    assert np.all(image_of(figures.hidden_layer(np.zeros((1, 4)), (2, 2)))[1:3, 1:3] == 0)


def test_hidden_layer_of_samples_that_are_no_pictures_is_a_matrix(rng):
    weights = rng.normal(size=(5, 13))
    figure = figures.hidden_layer(weights, None)
    np.testing.assert_array_equal(image_of(figure), weights)
    low, high = figure.axes[0].images[0].get_clim()
    assert low == -high == -np.abs(weights).max()


def test_bare_pixels_of_the_hidden_layer(rng):
    pixels = figures.hidden_layer_image(rng.normal(size=(25, 400)), (20, 20), "F")
    assert pixels.dtype == np.uint8
    assert pixels.shape == (4 * 106, 4 * 106, 3)
    matrix = figures.hidden_layer_image(np.array([[-1.0, 0.0, 1.0]]), None, least_width=3)
    red, blue = matrix[0, 2], matrix[0, 0]
    assert red[0] > red[2]
    assert blue[2] > blue[0]


def test_confusion_matrix_shows_counts_and_the_share_of_the_row():
    counts = np.array([[90, 10], [0, 0]])
    figure = figures.confusion_matrix(counts, ("a", "b"))
    np.testing.assert_allclose(image_of(figure), [[0.9, 0.1], [0, 0]])
    assert texts(figure.axes[0]) == ["90", "10"]
    assert figure.axes[0].get_title(loc="left") == "90 of 100 right (90.00 %)"
    assert (figure.axes[0].get_ylabel(), figure.axes[0].get_xlabel()) == ("true class", "predicted class")


def test_counts_stand_out_from_their_background(rng):
    figure = figures.confusion_matrix(np.diag([50] * 10) + rng.integers(0, 30, (10, 10)), CLASSES)
    drawn = figure.axes[0].images[0]
    for text in figure.axes[0].texts:
        column, row = text.get_position()
        background = np.mean(drawn.cmap(drawn.norm(image_of(figure)[int(row), int(column)]))[:3])
        assert (background < 0.6) == (text.get_color() == "white")


def test_a_note_beneath_the_worst_mistakes_is_whole_even_under_one_picture():
    note = "margin: output of the predicted class less that of the true one, before the sigmoid"
    for n in (1, 25):
        y_true, y_pred = np.zeros(n, dtype=int), np.ones(n, dtype=int)
        scores = np.linspace(9.87654, 0.01, n)
        figure = figures.worst_mistakes(np.ones((n, 8, 8)), y_true, y_pred, scores, "ab", score_note=note)
        figure.canvas.draw()
        (axes,) = figure.axes
        assert axes.get_xlabel() == note
        box = axes.xaxis.label.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert {len(text.partition("(")[2]) for text in texts(axes)} == {len("9.88)")}


def test_worst_mistakes_are_the_wrong_ones_with_the_highest_scores_in_order():
    images = np.broadcast_to((np.arange(10) / 10)[:, None, None], (10, 8, 8))
    y_true, y_pred = np.array([0] * 10), np.array([0, 1, 2, 1, 0, 0, 0, 0, 0, 1])
    scores = np.array([99, 3.0, 5, 1, 9, 9, 9, 9, 9, 4])
    figure = figures.worst_mistakes(images, y_true, y_pred, scores, ("a", "b", "c"), score_name="loss", n_images=3)
    assert texts(figure.axes[0]) == ["a → c (5.00)", "a → b (4.00)", "a → b (3.00)"]
    assert figure.axes[0].get_title(loc="left") == "Worst 3 of 4 mistakes: true → predicted (loss)"
    first_row = image_of(figure)[1]
    np.testing.assert_allclose([first_row[1], first_row[1 + 9], first_row[1 + 18]], [0.2, 0.9, 0.1])


def test_captions_stand_under_their_pictures_without_overlap(rng):
    long_names = [f"a class of name {i}" for i in range(10)]
    y = np.arange(25) % 10
    for side, names in itertools.product((8, 20, 28), (long_names, CLASSES)):
        figure = figures.worst_mistakes(rng.random((25, side, side)), y, (y + 1) % 10, rng.random(25), names)
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.axes[0].texts]
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes[:5]))
        to_pixels = figure.axes[0].transData.transform
        grid = image_of(figure)
        rows_with_ink = np.flatnonzero(np.any(np.isfinite(grid) & (grid != BLANK), axis=1))
        for box in boxes[::5]:
            covered = [row for row in rows_with_ink if box.y0 < to_pixels((0, row))[1] < box.y1]
            assert not covered


def test_no_mistakes_is_said(tmp_path):
    y = np.arange(3)
    figure = figures.worst_mistakes(np.zeros((3, 8, 8)), y, y, np.zeros(3), "abc")
    assert texts(figure) == ["No mistakes among 3 images"]
    empty = figures.worst_mistakes(np.zeros((0, 8, 8)), y[:0], y[:0], np.zeros(0), "abc")
    assert texts(empty) == ["No mistakes"]
    figures.save(figure, tmp_path / "none.png")


def test_inputs_are_left_as_they_are(rng):
    images, weights, counts = rng.random((9, 4, 4)), rng.normal(size=(3, 16)), rng.integers(0, 9, (3, 3))
    y, scores = np.arange(9) % 3, rng.random(9)
    inputs = (images, weights, counts, y, scores)
    before = [array.copy() for array in inputs]
    for array in inputs:
        array.flags.writeable = False
    figures.sample_images(images, y, "abc")
    figures.hidden_layer(weights, (4, 4))
    figures.confusion_matrix(counts, "abc")
    figures.worst_mistakes(images, y, (y + 1) % 3, scores, "abc")
    for array, old in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(array, old)
