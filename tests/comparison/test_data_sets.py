"""Settings over several data sets, made from runs by hand."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

from nnexp.comparison import over_data_sets
from nnexp.comparison.data_sets import OverDataSets, _pairs
from nnexp.comparison.data_sets import over_data_sets as compare
from nnexp.comparison.metric import Metric
from nnexp.comparison.rank_diagram import draw
from nnexp.statistics.ranks import ranked
from tests.report.runs import grouped, stored_run

METRIC = Metric("accuracy/test", "test accuracy", "%", higher_is_better=True, is_share=True)
METHODS = ("TNC", "CG", "L-BFGS-B", "Adam", "GD")


def runs_of(folder, accuracies, *, seeds=(0, 1), key="optimizer__method", metric="accuracy/test", skip=(), **others):
    """A run for each data set, value and seed: `accuracies[data][value]` on average; `skip` are (data, value, seed)."""
    numbers, runs = itertools.count(), []
    for data, by_value in accuracies.items():
        for (value, mean), seed in itertools.product(by_value.items(), seeds):
            if (data, value, seed) not in skip:
                params = {"data__name": data, "seed": seed, key: value} | others
                found = stored_run(folder, next(numbers), digest=data, metrics={metric: mean + 0.001 * seed}, **params)
                runs.append(found)
    return runs


def table(n, values=METHODS, *, seed=0, spread=0.0):
    """Accuracies of n data sets, each value that much better than the one before."""
    rng = np.random.default_rng(seed)
    return {
        f"set{i:02d}": {v: float(0.8 - spread * j + 0.01 * rng.normal()) for j, v in enumerate(values)}
        for i in range(n)
    }


def said(groups):
    return over_data_sets.section(groups).sentences


def test_the_ranks_and_tests_are_those_of_the_means_over_the_seeds(tmp_path):
    accuracies = table(8, seed=3, spread=0.01)
    found = compare(grouped(runs_of(tmp_path, accuracies)))
    means = np.array([[accuracies[data][name] + 0.0005 for name in found.names] for data in found.data_sets])
    assert found.means == pytest.approx(means)
    ranks = scipy.stats.rankdata(-means, axis=1).mean(axis=0)
    assert found.ranks == pytest.approx(ranks)
    assert (np.diff(found.ranks) >= 0).all()
    assert found.friedman.chi2 == pytest.approx(scipy.stats.friedmanchisquare(*means.T).statistic)
    for pair in found.pairs:
        d = means[:, pair.first] - means[:, pair.second]
        assert pair.p == pytest.approx(scipy.stats.wilcoxon(d, method="exact").pvalue)
        assert (pair.wins, pair.difference) == ((d > 0).sum(), pytest.approx(np.median(d)))
    corrected = multipletests([pair.p for pair in found.pairs], method="holm")[1]
    assert [pair.p_holm for pair in found.pairs] == pytest.approx(corrected)


def test_many_data_sets_show_differences_and_few_say_that_they_cannot(tmp_path):
    many = said(grouped(runs_of(tmp_path / "many", table(12, spread=0.03))))
    assert many[0].startswith("5 settings on 12 data sets (set00, set01, set02, set03 and 8 more), ranked ")
    assert "ranked on each by test accuracy: TNC has the best average rank (1.00), then CG (2.00), " in many[0]
    assert many[1].startswith("Friedman's test shows that not all 5 settings are the same (χ² = ")
    assert many[2].startswith("Wilcoxon's signed-rank test shows 10 of 10 pairs to differ after Holm's correction")
    few = said(grouped(runs_of(tmp_path / "few", table(4, spread=0.03))))
    assert few[1].startswith("Friedman's test shows that not all 5 settings are the same")
    assert few[2] == (
        "4 data sets cannot show a difference of two settings, whatever it is: the smallest p of Wilcoxon's "
        "signed-rank test is 0.12, after Holm's correction for 10 pairs 1; it takes 9 data sets to reach 0.05."
    )
    assert not any("no difference" in sentence for sentence in few)
    two = said(grouped(runs_of(tmp_path / "two", table(2, METHODS[:3], spread=0.03))))
    assert two[1] == (
        "Friedman's test cannot show a difference of 3 settings on 2 data sets: the smallest p possible is 0.17."
    )


def test_equal_settings_show_no_difference_and_are_not_called_equal(tmp_path):
    sentences = said(grouped(runs_of(tmp_path, table(10, METHODS[:3], seed=1))))
    assert sentences[1].startswith("Friedman's test shows no difference of the 3 settings (χ² = ")
    assert sentences[1].endswith("which is no proof that they are equal.")
    assert sentences[2].startswith("Wilcoxon's signed-rank test shows no difference of two settings after Holm's")


def test_a_setting_that_lacks_a_data_set_or_a_seed_is_named_and_left_out(tmp_path):
    accuracies = table(3)
    del accuracies["set01"]["GD"]
    groups = grouped(runs_of(tmp_path, accuracies, seeds=(0, 1, 2), skip={("set02", "Adam", 1)}))
    found = compare(groups)
    assert set(found.names) == {"TNC", "CG", "L-BFGS-B"}
    assert dict(found.lacking) == {"GD": ("set01",), "Adam": ("set02",)}
    assert (
        "Left out of this part, since they lack a data set or some of the runs that others have on it: Adam (set02) "
        "and GD (set01)."
    ) in said(groups)


def test_of_many_that_are_left_out_the_first_is_named(tmp_path):
    groups = grouped(runs_of(tmp_path, {"a": table(1, range(10, 19))["set00"], "b": {10: 0.8, 11: 0.9}},
                             key="model__hidden_size"))  # fmt: skip
    assert said(groups)[-1].endswith("have on it: 7 settings, the first of them 12 units (b).")


def test_of_a_cost_the_lower_is_the_better(tmp_path):
    costs = {data: {1.0: 0.2 + 0.1 * i, 2.0: 0.3 + 0.1 * i} for i, data in enumerate("abcdefg")}
    groups = grouped(runs_of(tmp_path, costs, key="model__hidden_size", metric="cost/train"))
    found = compare(groups)
    assert found.metric.key == "cost/train"
    assert found.names[0] == "1 units"
    assert found.ranks.tolist() == [1.0, 2.0]
    assert found.friedman is None
    assert found.pairs[0].wins == 7
    assert found.pairs[0].difference == pytest.approx(0.1)
    assert "shows 1 of 1 pair to differ: 1 units is better than 2 units on 7 of 7 (p = 0.016)." in said(groups)[1]


def test_a_key_that_was_swept_on_one_data_set_alone_is_part_of_the_setting(tmp_path):
    runs = runs_of(tmp_path / "a", {"a": {"TNC": 0.9, "CG": 0.8}}, model__l2=1)
    more = runs_of(tmp_path / "b", {"b": {"TNC": 0.9, "CG": 0.8}}, model__l2=1)
    more += runs_of(tmp_path / "c", {"b": {"TNC": 0.7, "CG": 0.6}}, model__l2=5)
    found = compare(grouped([*runs, *_renumbered(more, 50)]))
    assert found.names == ("TNC", "CG")  # lambda is the same for all that are compared
    assert found.keys == ("optimizer.method",)
    assert set(found.lacking) == {"TNC · lambda 5", "CG · lambda 5"}


def test_step_sizes_are_part_of_a_setting_where_a_method_has_several(tmp_path):
    runs = []
    for place, data in enumerate("abc"):
        runs += _renumbered(runs_of(tmp_path / data, {data: {"TNC": 0.95}}, seeds=(0,)), 10 * place)
        for step, rate in enumerate((0.1, 1.0), 1):
            more = runs_of(tmp_path / f"{data}{step}", {data: {"Adam": 0.8 + 0.05 * step, "GD": 0.7}}, seeds=(0,),
                           optimizer__options__learning_rate=rate)  # fmt: skip
            runs += _renumbered(more, 10 * place + 3 * step)
    found = compare(grouped(runs))
    assert found.names[:3] == ("TNC", "Adam · learning rate 1", "Adam · learning rate 0.1")
    assert found.ranks.tolist() == [1, 2, 3, 4.5, 4.5]
    assert not found.lacking


def _renumbered(runs, start):
    return [
        replace(run, run_id=f"run{start + i:04d}", tags=run.tags | {"nnexp.run_key": f"k{start + i}"})
        for i, run in enumerate(runs)
    ]


@pytest.mark.parametrize(
    "accuracies",
    [table(1), {"a": {"TNC": 0.9}, "b": {"TNC": 0.9}}, {"a": {"TNC": 0.9, "CG": 0.8}, "b": {"GD": 0.9, "Adam": 0.8}}],
)
def test_where_settings_do_not_share_data_sets_there_is_nothing_to_say(tmp_path, accuracies):
    found = over_data_sets.section(grouped(runs_of(tmp_path, accuracies)))
    assert (found.sentences, found.tables, found.pictures) == ([], [], [])


def test_a_data_set_judged_by_another_figure_is_named(tmp_path):
    runs = runs_of(tmp_path / "a", table(3))
    runs += _renumbered(runs_of(tmp_path / "b", {"full": table(1)["set00"]}, metric="cost/train"), 90)
    assert said(grouped(runs))[-1] == (
        "full is left out of this part: the settings on it cannot be ranked by test accuracy."
    )


def test_long_names_are_numbered_and_the_table_says_what_they_are(tmp_path):
    values = [f"a method with a name that is long {i}" for i in range(3)]
    section = over_data_sets.section(grouped(runs_of(tmp_path, table(3, values))))
    assert section.tables[0].rows[0][0] == "S1"
    assert section.tables[0].rows[0][1].startswith("a method with a name")
    assert "S1 and S2 share the best average rank (1.67), then S3 (2.67)." in section.sentences[0]


def made(n, k, spread=0.4):
    """Some settings without their runs."""
    means = np.random.default_rng(n + k).normal(size=(n, k)) + spread * np.arange(k)[::-1]
    names, pairs = tuple(f"the method number {i} of all" for i in range(k)), _pairs(means)
    ranks = ranked(means).mean(axis=0)
    order = np.argsort(ranks, kind="stable")
    return OverDataSets(
        METRIC, tuple(map(str, range(n))), ("key",), names, (), means[:, order], ranks[order], None, pairs
    )


@pytest.mark.parametrize(("n", "k"), [(12, 5), (4, 5), (20, 14), (3, 3), (30, 40)])
def test_no_label_of_the_diagram_hides_another_and_all_are_within_it(n, k):
    figure = draw(made(n, k))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert sum("method" in text.get_text() for text in figure.axes[0].texts) == min(k, 24)
    for a, b in itertools.combinations(boxes, 2):
        assert not a.overlaps(b)
    width, height = figure.get_size_inches() * figure.dpi
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)


def test_the_caption_states_what_was_tested_and_how(tmp_path):
    [picture] = over_data_sets.section(grouped(runs_of(tmp_path, table(4)))).pictures
    for part in ("5 settings by test accuracy on 4 data sets", "Wilcoxon's signed-rank test of all 10 pairs",
                 "Holm's correction", "5 % level", "With 4 data sets no pair can be shown to differ"):  # fmt: skip
        assert part in picture.caption
