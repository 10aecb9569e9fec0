import re

import pytest

from nnexp.comparison.curves import Winner
from nnexp.comparison.grouping import compare_settings
from nnexp.report import claims, sentences
from nnexp.report.table import tidy
from nnexp.tasks.network.report.sentences import about_step_sizes
from tests.report.runs import SPEC, grouped, stored_run
from tests.tools import made_up


def said(runs, plan=None):
    """All that is said of runs on one data set, but for their curves."""
    frame = tidy(runs)
    (group,) = grouped(runs)
    choice, comparisons = claims.about_choice(group), compare_settings(group, group.final)
    return [*sentences.about_runs(frame, plan), *choice, *claims.about_comparisons(group, comparisons)]


def sweep(folder, accuracy, *, values=(0.0, 1.0, 10.0), seeds=3, validation=None, split=None):
    """Runs over lambda and seeds, on one split or on one a seed; `accuracy` and `validation` take both."""
    runs = []
    for l2 in values:
        for seed in range(seeds):
            metrics = {"accuracy/test": accuracy(l2, seed), "loss/test": 0.3}
            if validation:
                metrics |= {"accuracy/validation": validation(l2, seed), "loss/validation": 0.3}
            runs.append(stored_run(folder, len(runs), metrics=metrics, model__l2=l2, seed=seed, data__split_seed=split))
    return runs


def falling(l2, seed):
    return 0.9 - 0.01 * l2 * (1 + 0.5 * (-1) ** seed) + 0.01 * seed


def test_a_lead_that_three_seeds_cannot_prove_is_called_a_hint(tmp_path):
    assert said(sweep(tmp_path, falling)) == [
        "9 runs, all finished.",
        "3 settings of lambda, 3 seeds each.",
        "The best by test accuracy is lambda 0: 91.00 % on average over 3 seeds (95 % interval 87.71 to 94.29 %).",
        "There is no validation part, so the best of 3 was chosen on the test part itself, which flatters it. "
        "With data.validation_size=0.2 the choice is made on a part of its own.",
        "lambda 0 is ahead of lambda 1 on 3 of 3 seeds (by 1.17 points on average, 95 % interval −0.73 to 3.06, "
        "p = 0.12, corrected 0.35) and lambda 10 on 3 of 3 seeds (by 11.67 points on average, 95 % interval −7.31 to "
        "30.64, p = 0.12, corrected 0.35): at this number of seeds a hint, not proof.",
        "How the others compare among themselves is in the table.",
        "Corrected p-values are Holm's, for 3 comparisons.",
        "If lambda 0 is better than lambda 1 by the 1.17 points seen, 13 seeds more would show it with a chance of "
        "80 %.",
    ]


def test_six_seeds_can_say_that_one_beats_the_other(tmp_path):
    text = said(sweep(tmp_path, falling, values=(1.0, 10.0), seeds=6))
    assert text[-1] == (
        "On new samples of such data, lambda 1 beats lambda 10 on 6 of 6 seeds (by 9.00 points on average, 95 % "
        "interval 0.82 to 17.18, p = 0.037)."
    )


def test_five_seeds_on_one_split_cannot_and_say_so(tmp_path):
    text = said(sweep(tmp_path, lambda l2, seed: 0.9 - 0.01 * (l2 + seed) ** 1.5, values=(1.0, 4.0), seeds=5, split=7))
    assert "lambda 1 is ahead of lambda 4 on 5 of 5 seeds (by 9.36 points on average, p = 0.062)" in text[-3]
    assert text[-2] == "With 5 seeds no p below 0.062 is possible; 6 seeds can reach 0.05."
    assert text[-1].endswith("points seen, 1 seed more would show it with a chance of 80 %.")


def test_six_seeds_on_one_split_say_that_this_is_of_this_split(tmp_path):
    text = said(sweep(tmp_path, lambda l2, seed: 0.9 - 0.01 * (l2 + seed) ** 1.5, values=(1.0, 4.0), seeds=6, split=7))
    assert text[-1] == (
        "On this split, lambda 1 beats lambda 4 on 6 of 6 seeds (by 9.85 points on average, 95 % interval 7.00 to "
        "12.30, p = 0.031)."
    )


def test_no_difference_is_never_said_to_be_there_not(tmp_path):
    text = said(sweep(tmp_path, lambda l2, seed: 0.9 + 0.01 * ((seed % 2 == 0) == (l2 == 1.0)), values=(1.0, 10.0)))
    assert (
        "No difference is shown between lambda 1 and lambda 10 (lambda 1 ahead on 2 of 3, p = 0.74; 3 seeds could "
        "have shown a difference of 4.99 points)."
    ) in text


def test_the_choice_on_validation_is_told_apart_from_the_final_figure(tmp_path):
    text = said(sweep(tmp_path, falling, validation=lambda l2, seed: 0.7 + 0.01 * l2, seeds=6))
    assert text[2].startswith(
        "Chosen by validation accuracy (80.00 %): lambda 10. On the test part, not looked at for the choice: "
        "82.50 % on average over 6 seeds (95 % interval 72."
    )
    assert not any("flatters" in sentence for sentence in text)


def test_a_choice_that_the_test_part_refutes_is_told(tmp_path):
    text = said(sweep(tmp_path, falling, values=(0.0, 10.0), validation=lambda l2, seed: 0.7 + 0.01 * l2, seeds=6))
    assert (
        "lambda 10 was chosen, and yet on new samples of such data it is beaten by lambda 0 on 6 of 6 seeds "
        "(by 10.00 points on average, 95 % interval 0.91 to 19.09, p = 0.037)." in text
    )


def test_of_many_settings_the_best_is_compared_and_the_bias_is_told(tmp_path):
    text = said(sweep(tmp_path, falling, values=range(6), seeds=2))
    assert any("and 1 more (see the table)" in sentence for sentence in text)
    assert (
        text[-1]
        == "The best was picked by these same figures, so the p-values against it are smaller than they should be."
    )


def test_one_seed_each_says_that_luck_is_unknown(tmp_path):
    assert said(sweep(tmp_path, falling, seeds=1))[-1].startswith("Each setting was run with one seed")


def test_several_seeds_of_one_setting_have_a_spread(tmp_path):
    text = said(sweep(tmp_path, falling, values=(1.0,)))
    assert (
        text[1]
        == "One setting with 3 seeds: test accuracy 89.83 % on average over 3 seeds (95 % interval 86.04 to 93.63 %)."
    )


def test_training_figures_are_called_so(tmp_path):
    metrics = {"cost/train": 0.3, "loss/train": 0.3}
    runs = [stored_run(tmp_path, i, metrics=metrics, model__init_scale=0.1 + i) for i in range(2)]
    assert "No part was held out for testing: these are figures of the training part." in said(runs)


def test_a_training_loss_names_no_lambda_the_best(tmp_path):
    runs = [
        stored_run(tmp_path, i, metrics={"cost/train": 0.3, "loss/train": 0.1 * (1 + i)}, model__l2=float(i), seed=seed)
        for i in range(2)
        for seed in range(2)
    ]
    text = " ".join(said(runs))
    assert "Nothing is held out and lambda differs, so none of them is called the best" in text
    assert not {"The best by", "beats", "ahead"} & set(re.findall("The best by|beats|ahead", text))


def mixed(folder):
    """Three kinds of runs side by side: with a validation part, with a test part alone, with nothing held out."""
    runs = sweep(folder, falling, values=(1.0, 2.0), seeds=2, validation=lambda l2, seed: 0.8)
    for run in runs:
        run.params["data.validation_size"] = "0.2"
    metrics = {"accuracy/test": 0.7, "loss/test": 0.3}
    for i, seed in enumerate((0, 1)):
        runs.append(stored_run(folder, 10 + i, metrics=metrics, seed=seed, data__test_size=0.2, model__l2=3.0))
    trained = {"cost/train": 0.1, "loss/train": 0.1}
    return [
        *runs,
        stored_run(
            folder,
            20,
            metrics=trained,
            data__validation_size=0,
            data__test_size=0,
            model__l2=0.0,
            optimizer__method="CG",
        ),
    ]


def test_mixed_runs_do_not_say_that_there_is_no_validation_part(tmp_path):
    text = " ".join(said(mixed(tmp_path)))
    assert "There is no validation part" not in text
    assert "Not all of them have a validation part, so the best of 3 was chosen on the test part itself" in text


def test_long_names_become_letters_the_best_is_a_and_says_once_what_it_is(tmp_path):
    text = said(mixed(tmp_path))
    best = "TNC · lambda 1 · validation size 0.2"
    assert any(sentence.startswith(f"The best by test accuracy is A ({best}): 89.50 %") for sentence in text)
    assert any(sentence.startswith("A is ahead of B on 2 of 2 seeds") for sentence in text)
    assert not any("0 seeds" in sentence for sentence in text)


def test_what_is_missing_or_doubtful_is_told(tmp_path):
    runs = sweep(tmp_path, falling, values=(1.0, 2.0))
    runs[1].tags["nnexp.code_digest"] = "c2"
    runs += [
        stored_run(tmp_path, 90, status="KILLED", message="interrupted."),
        stored_run(tmp_path, 91, status="RUNNING"),
    ]
    again = stored_run(tmp_path, 92, key="run0000", metrics=runs[0].metrics, model__l2=1.0)
    for run in (runs[0], again):
        run.tags.update({"nnexp.theta_digest": "t", "nnexp.history_digest": "h"})
    text = said([*runs, again], made_up.plan("abc", ["run0000", "gone"]))
    assert text[:6] == [
        "9 runs, 7 of them finished.",
        "1 run was killed: interrupted.",
        "1 run is still running.",
        "1 job of the plan has no run yet.",
        "1 run repeats another to the last bit (equal digests), and each is counted once.",
        "Beware: the runs were made by 2 versions of the code that decides the result.",
    ]


def test_equal_keys_are_not_called_equal_where_the_digests_are_not(tmp_path):
    runs = sweep(tmp_path, falling, values=(1.0, 2.0))
    arithmetic = {"nnexp.numpy": "2.4", "nnexp.scipy": "1.17"}
    digests = {"nnexp.theta_digest": "t", "nnexp.history_digest": "h"}
    for number, run in enumerate(runs):
        run.tags.update({**digests, **arithmetic, "nnexp.blas_kernel": "SkylakeX", "nnexp.theta_digest": f"t{number}"})
    again = [stored_run(tmp_path, 90 + i, key=f"run000{i}", metrics=runs[i].metrics, model__l2=1.0) for i in range(3)]
    again[0].tags.update({**runs[0].tags, "nnexp.theta_digest": "other", "nnexp.blas_kernel": "Haswell"})
    again[1].tags.update({**runs[1].tags, "nnexp.history_digest": "other"})
    text = said([*runs, *again])
    assert not [sentence for sentence in text if "last bit" in sentence]
    assert text[1:5] == [
        "1 run has the key of a newer one, but other numbers: made with SkylakeX, the newer with Haswell; "
        "the newest counts.",
        "1 run has the key of a newer one, but other numbers, for which nothing recorded is the cause; "
        "the newest counts.",
        "1 run has the key of a newer one, but no digests to compare their numbers by; the newest counts.",
        "Beware: the runs were made with different arithmetic, which rounds differently: "
        "SkylakeX (4 runs) and Haswell (1 run).",
    ]


def test_runs_of_others_and_runs_without_a_test_part_do_not_spoil_the_comparison(tmp_path):
    runs = sweep(tmp_path, falling, values=(1.0, 2.0))
    runs.append(stored_run(tmp_path, 90, metrics={"cost/train": 0.1, "loss/train": 0.1}, model__l2=3.0))
    foreign = stored_run(tmp_path, 91)
    foreign.tags.clear()
    foreign.params.clear()
    text = said([*runs, foreign])
    assert "1 run not made by nnexp is in the table only." in text
    assert "1 setting without a test part comes last." in text
    assert any(sentence.startswith("The best by test accuracy is lambda 1") for sentence in text)
    assert not any("lambda 3" in sentence for sentence in text)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            ("TNC", "CG", "CG"),
            "Who has the lowest training cost depends on what is held equal: after 10 iterations TNC (0.400), after 20 "
            "evaluations CG (0.400) and after 0.5 seconds CG (0.400).",
        ),
        (
            ("CG", "CG", "CG"),
            "CG has the lowest training cost whether all get 10 iterations, 20 evaluations or 0.5 seconds.",
        ),
    ],
)
def test_the_three_axes_may_have_different_winners(settings, expected):
    axes = zip(SPEC.axes, (10, 20, 0.5), settings, strict=True)
    winners = [Winner(axis, budget, setting, 0.4) for axis, budget, setting in axes]
    assert sentences.about_curves(winners, SPEC.metric("cost/train")) == [expected]


def test_step_sizes_that_nobody_tuned_are_told(tmp_path):
    def told(**learning_rates):
        runs = []
        for method in ("TNC", "SGD", "Adam"):
            rates = learning_rates.get(method, [None])
            for rate in rates:
                given = {} if rate is None else {"optimizer__options__learning_rate": rate}
                metrics = {"accuracy/test": 0.9, "cost/train": 0.4}
                folder = tmp_path / f"{len(learning_rates)}"
                runs.append(stored_run(folder, len(runs), metrics=metrics, optimizer__method=method, **given))
        return " ".join(about_step_sizes(grouped(runs)))

    said_of_two = told()
    assert said_of_two.startswith("Adam and SGD ran with their default step sizes (optimizer.options.learning_rate)")
    assert told(SGD=[0.05]).startswith("Adam ran with its default step size (")
    assert told(SGD=[0.05], Adam=[0.01, 0.03]) == ""
