"""What is claimed of tables that were made to mislead: uneven seeds, ties, missing figures, failures, equal figures."""

import math

import pytest

from nnexp.comparison import responses
from nnexp.comparison.grouping import compare_settings, groups, with_sample_sizes
from nnexp.report import claims, tables
from nnexp.report.table import metric_keys, param_keys, tidy
from tests.report.runs import SPEC, report_of, stored_run

WAVE = (0.0, 0.004, -0.006, 0.01, -0.002, 0.006, -0.004, 0.002)  # of seeds, to have a spread


def one(runs, margin=None):
    frame = tidy(runs)
    (group,) = groups(frame, param_keys(frame, runs), metric_keys(frame, runs), lambda task: SPEC, margin)
    return group


def said(runs, margin=None):
    group = one(runs, margin)
    return [*claims.about_choice(group), *claims.about_comparisons(group, compare_settings(group, group.final))]


def runs_of(folder, figures, **params):
    """A run for each lambda and seed with a figure: its test accuracy, None for a failed one."""
    runs = []
    for l2, by_seed in figures.items():
        for seed, accuracy in dict(by_seed).items():
            done = {} if accuracy is None else {"metrics": {"accuracy/test": accuracy, "loss/test": 0.3}}
            status = "FAILED" if accuracy is None else "FINISHED"
            runs.append(stored_run(folder, len(runs), status=status, model__l2=l2, seed=seed, **done, **params))
    return runs


def test_the_setting_with_only_the_easy_seeds_does_not_win(tmp_path):
    easy, hard = {0: 0.95, 1: 0.96, 2: 0.95}, {3: 0.71, 4: 0.70, 5: 0.72}
    worse = {seed: a - 0.01 - 0.001 * seed for seed, a in easy.items()}
    text = said(runs_of(tmp_path / "both", {1: easy | hard, 3: worse}))
    assert text[1].startswith("The best by test accuracy is lambda 1: 95.33 % on average over 3 seeds")
    assert "3 runs left out, to rank all over the same seeds." in text
    assert "lambda 1 beats lambda 3 on 3 of 3 seeds" in " ".join(text)
    text = said(runs_of(tmp_path / "three", {1: easy | hard, 2: easy | hard, 3: worse}))
    assert "Not ranked, for want of results that others have: lambda 3 (seeds 3, 4 and 5)." in text
    text = said(runs_of(tmp_path / "few", {1: easy | hard, 3: {0: 0.99, 1: 0.99}}))
    assert text[1].startswith("The best by test accuracy is lambda 1: 83.17 %")
    assert text[1].endswith(", the only setting that is ranked.")
    assert not any("beats" in sentence or "flatters" in sentence for sentence in text)


def test_a_setting_that_fails_on_hard_seeds_is_not_ranked_however_few_have_them(tmp_path):
    figures = {1: {0: 0.8, 1: 0.81, 2: 0.5}, 3: {0: 0.9, 1: 0.91, 2: None}, 10: {0: 0.9, 1: 0.9, 2: None}}
    text = said(runs_of(tmp_path, figures))
    assert text[1].startswith("The best by test accuracy is lambda 1")
    assert "Not ranked, for want of results that others have: lambda 3 (seed 2) and lambda 10 (seed 2)." in text
    table = tables.of_settings(one(runs_of(tmp_path, figures)))
    assert [row[0] for row in table.rows] == ["lambda 1", "(lambda 3)", "(lambda 10)"]
    assert "Those in brackets" in table.caption


def test_a_figure_that_is_missing_for_one_seed_counts_as_a_missing_run(tmp_path):
    figures = {1: dict.fromkeys(range(4), 0.8), 3: {0: 0.9, 1: 0.9, 2: 0.9, 3: math.nan}}
    text = said(runs_of(tmp_path, figures))
    assert text[1].startswith("The best by test accuracy is lambda 1")
    assert "Not ranked, for want of results that others have: lambda 3 (seed 3)." in text


def test_seeds_that_one_setting_has_more_are_left_out_for_all(tmp_path):
    figures = {l2: {0: 0.8, 1: 0.9} for l2 in (1, 3, 10)}
    figures[3] = figures[3] | {7: 0.1}
    text = said(runs_of(tmp_path, figures))
    assert "1 run left out, to rank all over the same seeds." in text
    assert not any("Not ranked" in sentence for sentence in text)


def test_settings_without_a_common_seed_are_not_ranked(tmp_path):
    text = said(runs_of(tmp_path, {1: {0: 0.8}, 3: {1: 0.9}, 10: {2: 0.9}}))
    assert text == ["3 settings of lambda, 1 seed each.",
                    "The settings have no seed in common, so none of them is called the best."]  # fmt: skip


def test_ties_are_counted_in_words_and_in_the_seeds_that_are_needed(tmp_path):
    base = dict(enumerate(0.8 + w for w in WAVE[:5]))
    better = {seed: a + (0.0 if seed == 4 else 0.01 + 0.001 * seed) for seed, a in base.items()}
    text = " ".join(said(runs_of(tmp_path, {1: better, 3: base}, data__split_seed=3)))
    assert "lambda 1 is ahead of lambda 3 on 4 of 5 seeds, equal on 1 (by 0.92 points on average, p = 0.12)" in text
    assert "a hint, not proof" in text
    assert (
        "With 5 seeds, 1 of them equal, no p below 0.12 is possible; 6 seeds that are not equal can reach 0.05." in text
    )


@pytest.mark.parametrize("split", [None, 3])
def test_equal_on_every_seed_is_said_so(tmp_path, split):
    same = dict.fromkeys(range(6), 0.8)
    text = said(runs_of(tmp_path, {1: same, 3: same}, data__split_seed=split))
    assert "lambda 1 and lambda 3 are equal on each seed." in text
    assert text[1] == "The best by test accuracy is lambda 1: 80.00 % on average over 6 seeds."  # without an interval


def test_an_advantage_of_nothing_is_shown_in_its_size_and_against_a_margin(tmp_path):
    a = dict(enumerate(0.8 + w for w in WAVE))
    b = {seed: value - 1e-5 * (1 + 0.01 * seed) for seed, value in a.items()}
    runs = runs_of(tmp_path, {1: a, 3: b})
    assert "beats lambda 3 on 8 of 8 seeds (by 0.001 points on average" in " ".join(said(runs))
    (sentence,) = [text for text in said(runs, margin=0.005) if "margin" in text]
    assert sentence == (
        "On new samples of such data, lambda 1 and lambda 3 (by 0.001 points on average, p < 0.001) differ by less "
        "than the margin of 0.50 points."
    )


def test_a_huge_spread_shows_nothing_and_no_share_beyond_its_range(tmp_path):
    figures = {1: {0: 0.99, 1: 0.01, 2: 0.98, 3: 0.05}, 3: {0: 0.02, 1: 0.97, 2: 0.01, 3: 0.99}}
    text = said(runs_of(tmp_path, figures))
    assert text[1].endswith("50.75 % on average over 4 seeds (95 % interval 0.00 to 100.00 %).")
    assert any(
        sentence.startswith("No difference is shown between lambda 1 and lambda 3 (lambda 1 ahead on 2 of 4")
        for sentence in text
    )


def test_the_interval_of_a_single_run_is_of_its_samples(tmp_path):
    (run,) = runs_of(tmp_path, {1: {0: 0.9}})
    group = with_sample_sizes(one([run]), lambda run_id, name, parse: report_of(0.9))
    assert claims.about_choice(group)[0] == (
        "One run, with a test accuracy of 90.00 % (95 % interval 86.08 to 92.91 %, from its 300 samples alone); "
        "there is nothing to compare it with."
    )


def test_a_setting_made_with_two_kernels_is_warned_of(tmp_path):
    runs = runs_of(tmp_path, {1: {0: 0.8, 1: 0.81}, 3: {0: 0.9, 1: 0.91}})
    for run, kernel in zip(runs, ("Haswell", "SkylakeX", "Haswell", "Haswell"), strict=True):
        run.tags.update({"nnexp.blas_kernel": kernel, "nnexp.numpy": "2.4", "nnexp.scipy": "1.17"})
    assert (
        "Beware: runs of one setting were made with different BLAS kernels or versions of NumPy and SciPy: lambda 1."
        in said(runs)
    )


def test_folds_and_splits_are_called_so_and_seeds_within_are_averaged(tmp_path):
    folds = [
        run
        for fold in range(3)
        for run in runs_of(
            tmp_path / f"fold{fold}", {1: {0: 0.8 + 0.01 * fold}, 3: {0: 0.7}}, data__folds=3, data__fold=fold
        )
    ]
    for number, run in enumerate(folds):
        run.tags["nnexp.run_key"] = f"fold{number}"
    group = one(folds)
    assert (group.noun, group.design.ratio, group.best.n) == ("fold", 0.5, 3)
    runs = [
        run
        for split in range(4)
        for run in runs_of(
            tmp_path / f"split{split}", {1: {0: 0.8, 1: 0.9}, 3: {0: 0.7, 1: 0.7}}, data__split_seed=split
        )
    ]
    for number, run in enumerate(runs):
        run.tags["nnexp.run_key"] = f"split{number}"
    group = one(runs)
    assert (group.noun, group.design.within, group.best.n, len(group.best.runs)) == ("split", "seed", 4, 8)
    assert (
        claims.about_choice(group)[0]
        == "2 settings of lambda, 4 splits each, over each of which the seeds are averaged."
    )


def test_nested_selection_is_reported_where_the_choice_has_a_part_of_its_own(tmp_path):
    runs = []
    for l2 in (1, 3):
        for seed in range(4):
            validation, test = (
                0.8 + 0.02 * ((seed % 2 == 0) == (l2 == 1)) + 0.001 * (l2 == 1),
                0.7 + 0.01 * l2 + WAVE[seed],
            )
            metrics = {
                "accuracy/test": test,
                "accuracy/validation": validation,
                "loss/test": 0.3,
                "loss/validation": 0.3,
            }
            runs.append(
                stored_run(tmp_path, len(runs), metrics=metrics, model__l2=l2, seed=seed, data__validation_size=0.2)
            )
    (sentence,) = [text for text in said(runs) if "nested" in text]
    assert "the settings reach 72.20 % on average over 4 seeds" in sentence


def test_differences_keep_their_sign_and_never_become_zero():
    metric = SPEC.metric("accuracy/test")
    assert [metric.show_difference(v) for v in (0.0123, -0.004, 1e-6, 0.0)] == [
        "1.23 points", "−0.40 points", "0.0001 points", "0.00 points"
    ]  # fmt: skip


def test_the_bars_of_a_figure_are_the_intervals_that_the_table_has(tmp_path):
    figures = {l2: dict(enumerate(0.8 + 0.01 * l2 + w for w in WAVE[:5])) for l2 in (1, 2, 3)}
    group = one(runs_of(tmp_path, figures | {4: dict.fromkeys(range(5), 0.7)}))
    figure = responses.response_curve(group, "model.l2")
    (segments,) = [c.get_segments() for c in figure.axes[0].collections if hasattr(c, "get_segments")]
    for setting, segment in zip(group.settings, segments, strict=True):
        summary = setting.summary("accuracy/test")
        expected = (summary.low, summary.high) if summary.has_interval else (0.7, 0.7)  # no bar
        assert sorted(segment[:, 1] / 100) == pytest.approx(expected)


def test_a_setting_of_which_every_run_failed_is_named(tmp_path):
    runs = [
        stored_run(
            tmp_path, seed, metrics={"accuracy/test": 0.8 + WAVE[seed], "loss/test": 0.3}, model__l2=1, seed=seed
        )
        for seed in range(3)
    ]
    runs += [
        stored_run(tmp_path, 9 + i, status="FAILED", optimizer__method="GD", model__l2=1, seed=i) for i in range(4)
    ]
    text = said(runs)
    assert text[0].startswith("One setting with 3 seeds: test accuracy")
    assert text[1] == "Not ranked, since every run of it failed: GD."


def test_a_choice_between_equals_does_not_look_at_what_is_reported(tmp_path):
    runs = []
    for l2, test in ((1, 0.7), (3, 0.9)):
        for seed in range(3):
            metrics = {"accuracy/test": test + WAVE[seed], "accuracy/validation": 0.8}
            metrics |= {"loss/test": 0.3, "loss/validation": 0.3}
            runs.append(
                stored_run(tmp_path, len(runs), metrics=metrics, model__l2=l2, seed=seed, data__validation_size=0.2)
            )
    (sentence,) = [text for text in said(runs) if "nested" in text]
    assert "the settings reach 69.93 %" in sentence  # of the first one, not of the better one


def test_differences_that_are_equal_have_no_t_test(tmp_path):
    base = dict(enumerate(0.8 + w for w in WAVE))
    runs = runs_of(tmp_path, {1: {seed: a + 0.01 for seed, a in base.items()}, 3: base})
    text = " ".join(said(runs))
    assert (
        "ahead of lambda 3 on 8 of 8 seeds (by 1.00 points on average, the same on each, for which there is no" in text
    )
    assert "beats" not in text


def test_one_win_among_ties_is_no_hint(tmp_path):
    base = dict(enumerate(0.8 + w for w in WAVE[:3]))
    text = " ".join(said(runs_of(tmp_path, {1: base | {0: 0.9}, 3: base}, data__split_seed=3)))
    assert "No difference is shown between lambda 1 and lambda 3 (lambda 1 ahead on 1 of 3, equal on 2, p = 1" in text
    assert "hint" not in text


def test_a_seed_and_its_split_by_name_are_one_replicate(tmp_path):
    runs = runs_of(tmp_path / "a", {1: {0: 0.8, 1: 0.81}, 3: {0: 0.7, 1: 0.72}})
    again = runs_of(tmp_path / "b", {1: {0: 0.8, 1: 0.82}, 3: {0: 0.7, 1: 0.74}}, data__split_seed=0)
    for number, run in enumerate([*runs, *again]):
        run.tags["nnexp.run_key"] = f"key{number}"
    group = one([*runs, *again])
    assert group.n_superseded == 2
    assert [len(setting.runs) for setting in group.settings] == [3, 3]


def test_a_run_that_was_killed_before_it_had_params_is_no_setting(tmp_path):
    runs = runs_of(tmp_path, {1: {0: 0.8, 1: 0.81}, 3: {0: 0.7, 1: 0.72}})
    killed = stored_run(tmp_path, 99, status="KILLED", message="process 1 is gone")
    killed.params.clear()
    group = one([*runs, killed])
    assert (group.keys, group.without) == (("model.l2",), ())
    assert [setting.label for setting in group.settings] == ["lambda 1", "lambda 3"]
    assert said([*runs, killed]) == said(runs)
