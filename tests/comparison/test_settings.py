import pandas as pd
import pytest

from nnexp.report.table import tidy
from tests.report.runs import grouped, stored_run


def finished(folder, number, accuracy=0.9, *, validation=None, loss=0.3, **params):
    metrics = {"accuracy/test": accuracy, "loss/test": loss, "cost/train": loss, "loss/train": loss}
    if validation is not None:
        metrics |= {"accuracy/validation": validation, "loss/validation": loss}
    return stored_run(folder, number, metrics=metrics, **params)


def only(runs):
    (group,) = grouped(runs)
    return group


def test_settings_are_what_differs_but_the_seed(tmp_path):
    runs = [
        finished(tmp_path, 10 * s + i, model__l2=l2, seed=s) for s in (0, 1) for i, l2 in enumerate((10.0, 0.5, 0.0))
    ]
    group = only(runs)
    assert group.keys == ("model.l2",)
    assert [setting.label for setting in group.settings] == ["lambda 0", "lambda 0.5", "lambda 10"]
    assert [list(setting.runs["seed"]) for setting in group.settings] == [[0, 1]] * 3


def test_seeds_alone_are_one_setting(tmp_path):
    group = only([finished(tmp_path, s, seed=s) for s in range(3)])
    assert group.keys == ()
    assert group.best.n == 3


def test_the_method_comes_first_and_its_own_options_are_no_setting(tmp_path):
    runs = [
        finished(tmp_path, 0, model__l2=1.0, optimizer__method="TNC"),
        finished(tmp_path, 1, model__l2=1.0, optimizer__method="Adam", optimizer__options__learning_rate=0.1),
        finished(tmp_path, 2, model__l2=3.0, optimizer__method="TNC"),
    ]
    group = only(runs)
    assert group.keys == ("optimizer.method", "model.l2")
    assert {setting.label for setting in group.settings} == {"TNC · lambda 1", "Adam · lambda 1", "TNC · lambda 3"}


def test_an_option_that_was_swept_is_a_setting(tmp_path):
    rates = [finished(tmp_path, i, optimizer__options__learning_rate=rate) for i, rate in enumerate((0.1, 0.01))]
    assert [s.label for s in only(rates).settings] == ["learning rate 0.01", "learning rate 0.1"]


def test_lists_of_widths_and_numbers_stand_side_by_side(tmp_path):
    runs = [finished(tmp_path, i, model__hidden_size=size) for i, size in enumerate(("[16, 8]", "25", "5"))]
    assert [s.label for s in only(runs).settings] == ["5 units", "25 units", "[16, 8] units"]


def test_the_best_is_chosen_on_validation_and_reported_on_test(tmp_path):
    runs = [
        finished(tmp_path, 0, 0.95, validation=0.80, model__l2=0.0),
        finished(tmp_path, 1, 0.90, validation=0.85, model__l2=1.0),
    ]
    group = only(runs)
    assert (group.by.key, group.final.key) == ("accuracy/validation", "accuracy/test")
    assert group.best.label == "lambda 1"
    assert not group.has_selection_bias


def test_without_a_validation_part_the_choice_flatters(tmp_path):
    group = only([finished(tmp_path, i, 0.9 + 0.01 * i, model__l2=float(i)) for i in range(3)])
    assert group.by.key == group.final.key == "accuracy/test"
    assert group.best.label == "lambda 2"
    assert group.has_selection_bias


@pytest.mark.parametrize(("key", "by"), [("model__l2", "loss/train"), ("model__init_scale", "cost/train")])
def test_with_nothing_held_out_costs_compare_only_at_one_lambda(tmp_path, key, by):
    metrics = {"cost/train": 0.5, "loss/train": 0.4}
    group = only([stored_run(tmp_path, i, metrics=metrics, **{key: 0.1 * i}) for i in range(2)])
    assert group.by.key == group.final.key == by
    assert not group.by.higher_is_better


def test_equal_accuracies_are_ranked_by_loss(tmp_path):
    group = only([finished(tmp_path, i, 0.9, loss=loss, model__l2=float(i)) for i, loss in enumerate((0.5, 0.3, 0.4))])
    assert [setting.label for setting in group.ranked] == ["lambda 1", "lambda 2", "lambda 0"]


def test_a_lucky_setting_with_few_seeds_does_not_win(tmp_path):
    runs = [finished(tmp_path, s, 0.90, model__l2=0.0, seed=s) for s in range(5)]
    runs += [finished(tmp_path, 5 + s, 0.99, model__l2=1.0, seed=s) for s in range(2)]
    assert only(runs).best.label == "lambda 0"


def test_runs_of_different_data_are_kept_apart_the_largest_first(tmp_path):
    runs = [finished(tmp_path, i, digest="d1", seed=i) for i in range(2)]
    runs += [finished(tmp_path, 2 + i, digest="d2", data__name="ex4", seed=i) for i in range(3)]
    runs += [finished(tmp_path, 9, digest="d3", data__name="ex4")]
    assert [(group.name, group.n_runs) for group in grouped(runs)] == [("ex4 (d2)", 3), ("digits", 2), ("ex4 (d3)", 1)]


def test_only_finished_runs_count_and_equal_keys_once(tmp_path):
    runs = [finished(tmp_path, 0, key="k"), finished(tmp_path, 1, 0.8, key="k"), finished(tmp_path, 2, key="other")]
    runs += [stored_run(tmp_path, 3, status="FAILED", key="k"), stored_run(tmp_path, 4, status="RUNNING")]
    assert tidy(runs)["counted"].tolist() == [False, True, True, False, False]


def test_of_equal_params_and_seed_the_newest_run_counts(tmp_path):
    group = only([finished(tmp_path, 0, 0.8), finished(tmp_path, 1, 0.9)])
    assert group.best.by_unit("accuracy/test") == {0: 0.9}
    assert group.n_superseded == 1


def test_the_tidy_table_has_a_row_a_run_with_numbers_as_numbers(tmp_path):
    runs = [finished(tmp_path, 0, model__hidden_size=25), finished(tmp_path, 1, model__hidden_size="[16, 8]")]
    frame = tidy(runs)
    assert len(frame) == 2
    assert frame["model.l2"].tolist() == [1, 1]
    assert frame["model.hidden_size"].tolist() == ["25", "[16, 8]"]
    assert frame["seconds"].tolist() == [10.0, 10.0]
    assert frame["accuracy/test"].dtype == float
    assert isinstance(frame["started"].iloc[0], pd.Timestamp)


def test_a_param_that_is_too_large_for_an_integer_stays_a_float(tmp_path):
    rates = [1e300, 0.5, 1.0]
    runs = [finished(tmp_path, i, optimizer__options__learning_rate=rate) for i, rate in enumerate(rates)]
    assert tidy(runs)["optimizer.options.learning_rate"].tolist() == rates
    assert tidy(runs[::2])["optimizer.options.learning_rate"].tolist() == [1e300, 1.0]
