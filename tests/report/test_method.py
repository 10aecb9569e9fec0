"""The methods paragraph says what was done, and only that; its references are there."""

import ast
import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest

from nnexp.comparison.citing import cited, written
from nnexp.comparison.grouping import compare_settings, with_sample_sizes
from nnexp.comparison.sections import Section
from nnexp.report import method
from nnexp.report.method import Software, Used
from nnexp.report.references import REFERENCES
from tests.report.runs import grouped, stored_run

PACKAGE = Path(__file__).resolve().parents[2] / "nnexp"


def plain(sentences):
    return " ".join(written(s, str, lambda place: f"[{', '.join(place.keys)}]") for s in sentences)


def measured(folder, n_seeds=4, n_settings=2, **params):
    """Runs of settings that differ a little, on splits of 20 %."""
    rows = [(i, seed) for i in range(n_settings) for seed in range(n_seeds)]
    return [
        stored_run(folder, n, metrics={"accuracy/test": 0.8 + 0.01 * i + 0.003 * ((7 * n) % 5), "loss/test": 0.5},
                   model__l2=float(i), seed=seed, data__test_size=0.2, **params)
        for n, (i, seed) in enumerate(rows)
    ]  # fmt: skip


def told(runs, reports=None):
    (group,) = grouped(runs)
    group = with_sample_sizes(group, lambda run_id, name, parse: reports)
    compared = [(metric, compare_settings(group, metric)) for metric in group.spec.compared(group)]
    return method.about_group(group, Used.of(group, compared)), Used.of(group, compared)


def test_seeds_that_draw_the_split_have_the_corrected_test_and_its_interval(tmp_path):
    sentences, used = told(measured(tmp_path, n_settings=3))
    text = plain(sentences)
    assert "20 % of the samples, stratified by class, were held out for testing" in text
    assert "3 settings of lambda (0, 1 and 2) were run with 4 seeds each." in text
    assert "corrected resampled t-test [nadeau2003]." in text
    assert "with n_test / n_train = 0.25 [nadeau2003]." in text
    assert "by Holm's method for up to 3 comparisons [holm1979]." in text
    assert text.count("about other samples of the same kind.") == 1
    assert "sign-flip" not in text
    assert set(cited(sentences)) == {"nadeau2003", "holm1979"}
    assert used.about_n == "n = 4 seeds of a setting."
    assert used.about_intervals == (
        "95 % intervals: t intervals with the correction of Nadeau and Bengio (2003), n_test / n_train = 0.25."
    )


def test_seeds_on_one_split_have_the_sign_flip_test_and_plain_intervals(tmp_path):
    sentences, used = told(measured(tmp_path, n_seeds=6, data__split_seed=7))
    text = plain(sentences)
    assert "the split by a seed of its own (7)" in text
    assert "two-sided exact sign-flip permutation test of the mean difference [fisher1935]; the interval" in text
    assert "Means over the seeds are given with 95 % t intervals." in text
    assert "further seeds, not about other data" in text
    assert "Holm" not in text  # of one comparison
    assert set(cited(sentences)) == {"fisher1935", "hartigan1969"}
    assert used.about_intervals == "95 % intervals: t intervals."


def test_one_run_has_no_test_and_wilsons_interval_only_where_it_was_given(tmp_path):
    runs = measured(tmp_path, n_seeds=1, n_settings=1)
    sentences, used = told(runs)
    assert cited(sentences) == []
    assert "Pairs" not in plain(sentences)
    assert used.about_intervals == ""
    reports = {"confusion": {"counts": [[90, 10], [0, 100]]}}
    sentences, used = told(runs, reports)
    assert cited(sentences) == ["wilson1927"]
    assert used.about_intervals == "95 % intervals: Wilson's (1927), of the samples of a single run."


@pytest.mark.parametrize(
    ("used", "works"),
    [
        (Used(1), []),
        (Used(5, intervals=frozenset({"t"})), []),
        (Used(5, "fold", ratio=0.25, intervals=frozenset({"corrected t"})), ["nadeau2003", "bouckaert2004"]),
        (Used(5, tests=frozenset({"sign flip"}), n_corrected=1), ["fisher1935"]),
        (Used(5, tests=frozenset({"sign flip"}), n_corrected=2), ["fisher1935", "holm1979"]),
        (Used(5, ratio=0.25, tests=frozenset({"corrected t"}), margin="0.50 points"), ["nadeau2003", "schuirmann1987"]),
    ],
)
def test_only_what_was_used_is_cited(used, works):
    assert cited([*method.about_intervals(used), *method.about_tests(used)]) == works


def test_more_than_the_exact_test_allows_is_said_to_be_drawn():
    text = plain(method.about_tests(Used(20, tests=frozenset({"sign flip"}))))
    assert "with 99,999 random patterns" in text
    assert "exact" not in text


def test_what_all_sections_share_is_said_once():
    first = Section("Data set a", methods=[("Same.",), ("Only a.",)])
    second = Section("Data set b", methods=[("Same.",), ("Only b.",)])
    told = method.paragraphs([first, Section("Bare"), second], Software(("1.0",), ("K, NumPy 2, SciPy 1",)))
    assert [plain(paragraph) for paragraph in told] == [
        "Same.",
        "Data set a. Only a.",
        "Data set b. Only b.",
        "All was computed with nnexp 1.0, on the BLAS kernel K, NumPy 2, SciPy 1 [harris2020, virtanen2020].",
    ]
    assert method.paragraphs([Section("Bare")], Software((), ())) == []


@pytest.mark.parametrize(
    ("folds", "tested", "seeds", "expected"),
    [
        (3, (0, 1, 2), (0,), "3-fold cross-validation, stratified by class, held out each sample once for testing."),
        (3, (0, 1, 2), (0, 1), "once for testing, repeated 2 times with a split of its own each."),
        (5, (0, 1, 2), (0,), "Of 5-fold cross-validation, stratified by class, only folds 0, 1 and 2 were held out"),
        (5, (4,), (0, 1), "only fold 4 was held out for testing, one in each run."),
    ],
)
def test_of_cross_validation_only_the_folds_that_were_run_are_told(tmp_path, folds, tested, seeds, expected):
    runs = [
        stored_run(tmp_path, n, metrics={"accuracy/test": 0.8}, data__folds=folds, data__fold=fold, seed=seed)
        for n, (fold, seed) in enumerate(itertools.product(tested, seeds))
    ]
    (group,) = grouped(runs)
    assert expected in plain(group.spec.about_training(group))
    on_one_split = [replace(run, params=run.params | {"data.split_seed": "7"}) for run in runs]
    (group,) = grouped(on_one_split)
    assert "repeated" not in plain(group.spec.about_training(group))


def test_all_methods_are_named_and_all_scales_of_the_start(tmp_path):
    names = ["TNC", "L-BFGS-B", "CG", "Newton-CG", "trust-ncg", "GD", "SGD", "Adam"]
    metrics, rate = {"accuracy/test": 0.8}, {"optimizer__options__learning_rate": 0.1}
    runs = [
        stored_run(tmp_path, n, metrics=metrics, optimizer__method=name, model__init_scale=0.1 * (1 + n % 2), **rate)
        for n, name in enumerate(names)
    ]
    (group,) = grouped(runs)
    text = plain(group.spec.about_training(group))
    named = f"{', '.join(sorted(names, key=str)[:-1])} and {sorted(names, key=str)[-1]}"
    assert f"The methods were {named} from a start drawn uniformly from (−s, s), with s of 0.1 and 0.2" in text
    assert "; their options: learning_rate 0.1." in text


def test_a_function_of_the_users_own_is_named_with_its_options(tmp_path):
    from nnexp.comparison.spec import ComparisonSpec

    runs = [
        replace(run, params={"task.name": "my.train", "task.options.lr": "0.1", "seed": run.params["seed"]})
        for run in measured(tmp_path, n_settings=1)
    ]
    (group,) = grouped(runs)
    group = replace(group, spec=ComparisonSpec({}, lambda metrics, params: []))
    assert plain(group.spec.about_training(group)) == "The runs are of my.train, with lr 0.1."


def test_every_work_that_is_cited_anywhere_is_known_and_can_be_found():
    trees = [ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "cite"]
    keys = {key.value for node in named for key in node.args if isinstance(key, ast.Constant)}
    assert len(keys) > 8
    assert keys <= set(REFERENCES)
    for key, work in REFERENCES.items():
        assert key.endswith(str(work.year))
        assert re.fullmatch(r"10\.\d{4,}/\S+", work.doi) or work.address or work.is_book, key
        assert all(family for _, family in work.authors)


def test_works_are_written_in_short_and_in_full():
    work = REFERENCES["nadeau2003"]
    assert work.short == "Nadeau and Bengio, 2003"
    assert work.text == (
        "C. Nadeau and Y. Bengio. Inference for the generalization error. Machine Learning 52(3), 239–281, 2003."
    )
    assert REFERENCES["harris2020"].short == "Harris et al., 2020"
    assert "S. van der Walt and others." in REFERENCES["harris2020"].text


def test_many_data_sets_are_named_in_one_paragraph_and_a_test_stays_with_what_is_claimed_by_it():
    def of(name):
        return Section(f"Data set {name}", methods=[("Same.",), (f"The networks learned the data set {name}.",)])

    told = method.paragraphs([of("a"), of("b")], Software(("1.0",), ()))
    assert plain(told[1]) == "The networks learned the data set a. The networks learned the data set b."
    (piece,) = method.about_tests(Used(5, ratio=0.25, tests=frozenset({"corrected t"}), n_corrected=3))
    assert cited([piece]) == ["nadeau2003", "holm1979"]
    assert plain([piece]).endswith("[holm1979]. What is claimed of pairs is about other samples of the same kind.")


def test_settings_that_are_equal_everywhere_were_not_tested(tmp_path):
    runs = measured(tmp_path)
    for run in runs:
        run.metrics["accuracy/test"] = 0.9
    sentences, used = told(runs)
    assert used.tests == frozenset()
    assert "Pairs" not in plain(sentences)
