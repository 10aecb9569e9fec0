import numpy as np
import pytest

from nnexp.comparison.curves import draw, held, winners
from nnexp.comparison.drawing import colors_of
from nnexp.comparison.scales import KeyScale
from nnexp.report.files import parse_history
from tests.report.runs import SPEC, grouped, stored_run

HISTORY = {
    "step": np.array([0.0, 1, 2]),
    "optimizer/n_fev": np.array([1.0, 4, 9]),
    "seconds": np.array([0.1, 0.2, 0.4]),
    "cost/train": np.array([5.0, 3.0, 1.0]),
    "loss/test": np.array([6.0, np.nan, 2.0]),
}


@pytest.mark.parametrize(
    ("axis", "places", "expected"),
    [
        (0, [0, 1, 2, 7], [5, 3, 1, 1]),
        (1, [0, 1, 3, 4, 8.9, 9], [5, 5, 5, 3, 3, 1]),
        (2, [0.3], [3]),
    ],
)
def test_a_run_has_the_last_value_seen_until_then(axis, places, expected):
    assert held(HISTORY, SPEC.axes[axis], "cost/train", np.array(places)).tolist() == expected


def test_iterations_without_an_evaluation_of_a_part_are_passed_over():
    assert held(HISTORY, SPEC.axes[0], "loss/test", np.array([0, 1, 2])).tolist() == [6, 6, 2]


def group_of(tmp_path, key, values):
    runs = [
        stored_run(tmp_path, i, metrics={"accuracy/test": 0.5, "loss/test": 1.0}, **{key: value})
        for i, value in enumerate(values)
    ]
    (group,) = grouped(runs)
    return group


def test_each_axis_has_the_winner_at_the_budget_that_all_have_had(tmp_path):
    group = group_of(tmp_path, "optimizer__method", ("CG", "TNC"))
    thrifty = HISTORY | {"cost/train": np.array([5.0, 4.0, 2.0]), "optimizer/n_fev": np.array([1.0, 2, 3])}
    quick = HISTORY | {"seconds": np.array([0.1, 0.5, 0.9])}
    found = winners(group, {"run0000": thrifty, "run0001": quick}, SPEC.followed(group, {"a": HISTORY})[0])
    assert [(w.axis.unit, w.budget, w.setting, w.value) for w in found] == [
        ("iterations", 2, "TNC", 1.0),
        ("evaluations", 3, "CG", 2.0),
        ("seconds", 0.4, "CG", 2.0),
    ]


def test_every_curve_ends_with_the_last_value_of_its_runs(tmp_path):
    group = group_of(tmp_path, "optimizer__method", ("CG", "TNC"))
    longer = {key: np.concatenate([values, 3.7 * values[-1:]]) for key, values in HISTORY.items()}
    histories = {"run0000": HISTORY, "run0001": longer}
    metric = SPEC.followed(group, {"a": HISTORY})[0]
    ends = {(HISTORY[axis.column][-1], HISTORY[metric.key][-1]) for axis in SPEC.axes}
    ends |= {(longer[axis.column][-1], longer[metric.key][-1]) for axis in SPEC.axes}
    figure = draw(group, histories, [metric])
    dots = {
        (line.get_xdata()[0], line.get_ydata()[0]) for p in figure.axes for line in p.lines if line.get_marker() == "o"
    }
    assert dots == {(x, metric.scale * y) for x, y in ends}


def test_costs_of_different_lambdas_are_not_compared(tmp_path):
    same, different = (
        group_of(tmp_path, "optimizer__method", ("CG", "TNC")),
        group_of(tmp_path, "model__l2", (0.0, 1.0)),
    )
    assert SPEC.followed(same, {"a": HISTORY})[0].key == "cost/train"
    assert SPEC.followed(different, {"a": HISTORY})[0].key == "loss/test"


def test_a_history_cut_off_within_a_row_is_read_up_to_there():
    found = parse_history(b"step,cost/train,loss/test\n0,5.5,\n1,3.25,2.0\n2,1.")
    assert found["step"].tolist() == [0, 1]
    assert found["cost/train"].tolist() == [5.5, 3.25]
    assert np.isnan(found["loss/test"][0])


def test_lambda_zero_stands_apart_on_a_logarithmic_scale():
    scale = KeyScale.of([0, 10, 0.1, 1, 0.1])
    assert scale.values == (0, 0.1, 1, 10)
    assert scale.is_log
    assert scale.is_broken
    assert [scale(value) for value in (0.1, 1, 10)] == pytest.approx([-1, 0, 1])
    assert scale(0) < scale(0.1)
    assert scale.ticks() == ([scale(0), -1.0, 0.0, 1.0], ["0", "0.1", "1", "10"])


@pytest.mark.parametrize(
    ("values", "is_log"), [((1, 2, 3), False), ((5, 50), True), ((-1, 0, 100), False), (("a", "b"), False)]
)
def test_only_what_spans_a_factor_of_ten_is_logarithmic(values, is_log):
    assert KeyScale.of(values).is_log == is_log


def test_ordered_values_get_an_ordered_scale_and_names_get_distinct_looks():
    brightness = [sum(color[:3]) for color, _ in colors_of([0.1, 10, 1])]
    assert brightness[0] < brightness[2] < brightness[1]
    assert len(set(colors_of(list("abcdefghijkl")))) == 12
