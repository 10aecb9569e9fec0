import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from nnexp.statistics.completeness import Completeness, completeness
from nnexp.statistics.intervals import summarize, wilson
from nnexp.statistics.paired import Design, compare, holm
from nnexp.statistics.power import detectable, needed, power
from nnexp.statistics.sign_flips import (
    EXACT_UP_TO,
    FLIPS,
    least_p,
    replicates_needed,
    sign_flip_interval,
    sign_flip_test,
)

VALUES = [0.91, 0.93, 0.92, 0.97, 0.90, 0.94]
SEEDS, SPLITS = Design(), Design(ratio=0.25)


def test_an_interval_of_independent_values_is_students():
    found = summarize(VALUES)
    expected = scipy.stats.ttest_1samp(VALUES, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (found.n, found.mean, found.method) == (6, pytest.approx(np.mean(VALUES)), "t")


def test_the_corrected_interval_and_test_are_those_of_nadeau_and_bengio():
    # Their equation 9, written out: the variance of the mean is (1 / J + n_test / n_train) S^2.
    d, ratio = np.array(VALUES) - 0.92, 0.25
    se = np.sqrt((1 / 6 + ratio) * np.var(d, ddof=1))
    assert SPLITS.p(d) == pytest.approx(2 * scipy.stats.t.sf(abs(d.mean()) / se, 5), abs=1e-12)
    low, high = scipy.stats.t.interval(0.95, 5, d.mean(), se)
    assert SPLITS.interval(d) == pytest.approx((low, high), abs=1e-12)
    found = summarize(d, ratio)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


def test_without_overlap_the_corrected_test_is_the_paired_t_test():
    assert Design(ratio=0.0).p(np.array(VALUES) - 0.92) == pytest.approx(
        scipy.stats.ttest_1samp(VALUES, 0.92).pvalue, abs=1e-12
    )


def test_equal_values_have_no_interval_and_rounding_is_no_spread():
    assert math.isnan(summarize([0.5] * 5).low)
    assert math.isnan(summarize([0.1 + 0.2, 0.3, 0.3]).high)


@pytest.mark.parametrize(("right", "total"), [(934, 1000), (0, 10), (10, 10), (1, 3), (500, 1000)])
def test_a_single_runs_interval_is_wilsons(right, total):
    expected = scipy.stats.binomtest(right, total).proportion_ci(method="wilson")
    assert wilson(right, total) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert wilson(right, total) == pytest.approx(proportion_confint(right, total, method="wilson"), abs=1e-12)


@pytest.mark.parametrize(("values", "n"), [([], 0), ([0.3], 1), ([0.3, 0.4], 2), ([0.3, 0.4, math.nan], 2)])
def test_fewer_than_three_values_have_no_interval(values, n):
    found = summarize(values)
    assert (found.n, found.method) == (n, "none")
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_sign_flips_of_three_differences_counted_by_hand():
    # Sums of all patterns of 1, 2, 4: +-7, +-5, +-3, +-1. As far as 1 + 2 - 4 = -1: all eight. As far as 5: four.
    assert sign_flip_test([1, 2, -4]) == 1.0
    assert sign_flip_test([-1, 2, 4]) == 0.5
    assert sign_flip_test([1, 2, 4]) == 0.25


def scipys_sign_flips(a, b):
    """The exact permutation test of paired samples: each pair either way round."""
    return scipy.stats.permutation_test(
        (a, b),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue


@pytest.mark.parametrize("n", range(2, EXACT_UP_TO + 1))
def test_sign_flips_are_scipys_exact_permutation_test_of_pairs(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(0.4, 1, size=n), rng.normal(size=n)
    assert sign_flip_test(a - b) == pytest.approx(scipys_sign_flips(a, b), abs=1e-12)
    a, b = rng.integers(0, 4, size=n), rng.integers(0, 4, size=n)  # many patterns tie with the one seen
    assert sign_flip_test(a - b) == pytest.approx(scipys_sign_flips(a, b), abs=1e-12)


def test_random_flips_of_more_pairs_come_close_to_scipys_exact_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.4, 1, size=EXACT_UP_TO + 1), rng.normal(size=EXACT_UP_TO + 1)
    expected = scipys_sign_flips(a, b)
    four_standard_errors = 4 * np.sqrt(expected * (1 - expected) / FLIPS)
    assert sign_flip_test(a - b) == pytest.approx(expected, abs=four_standard_errors)


def test_five_seeds_allow_no_p_below_a_sixteenth():
    assert sign_flip_test([0.1, 0.2, 0.3, 0.4, 0.5]) == 0.0625 == least_p(5)
    assert least_p(6) < 0.05 < least_p(5)
    assert sign_flip_test([0.1]) == 1.0 == least_p(1)


def test_zero_differences_say_nothing():
    assert sign_flip_test([0.0, 0.0, 0.0]) == 1.0
    assert sign_flip_test([0.1, 0.1, 0.0]) == 0.5


def test_many_differences_are_tested_by_random_flips_close_to_the_normal_limit():
    d = np.random.default_rng(1).normal(0.35, 1, size=40)
    expected = 2 * scipy.stats.norm.sf(d.sum() / np.sqrt((d**2).sum()))
    assert sign_flip_test(d) == pytest.approx(expected, rel=0.1)
    assert sign_flip_test(np.abs(d)) == least_p(40)


def test_holms_correction_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.04, none below the one before.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("m", range(1, 8))
def test_holms_correction_is_the_closed_test_of_bonferronis(m):
    # Holm's own derivation: a hypothesis falls if Bonferroni rejects each set of them that it is in.
    p = np.random.default_rng(m).uniform(0, 0.6, size=m) ** 2
    sets = [set(chosen) for size in range(1, m + 1) for chosen in itertools.combinations(range(m), size)]
    closed = [max(min(1.0, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in range(m)]
    assert holm(p) == pytest.approx(closed, abs=1e-12)
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)


def test_holm_leaves_out_what_was_not_tested():
    found = holm([0.02, math.nan, 0.03])
    assert found[[0, 2]] == pytest.approx([0.04, 0.04])
    assert np.isnan(found[1])
    assert holm([]).size == 0


def test_settings_are_compared_over_their_common_seeds():
    values = {"a": {0: 0.9, 1: 0.8, 2: 0.7, 3: 0.1}, "b": {2: 0.8, 1: 0.9, 0: 0.9, 7: 0.9}}
    (found,) = compare(values, [("a", "b")], SEEDS)
    assert (found.first, found.second) == ("b", "a")
    assert (found.n, found.wins, found.ties) == (3, 2, 1)
    assert found.difference.mean == pytest.approx(0.2 / 3)
    assert found.p == found.p_holm == 0.5
    assert not found.differs


def test_lower_is_better_turns_the_winner_around():
    values = {"a": {0: 0.1, 1: 0.2}, "b": {0: 0.3, 1: 0.3}}
    (found,) = compare(values, [("a", "b")], SEEDS, higher_is_better=False)
    assert found.first == "a"
    assert found.difference.mean == pytest.approx(0.15)


def test_comparisons_are_corrected_together():
    values = {
        "a": dict(enumerate([9, 8, 9, 8, 9, 8, 9, 9])),
        "b": dict(enumerate([1] * 8)),
        "c": dict(enumerate([2] * 8)),
    }
    found = compare(values, [("a", "b"), ("a", "c"), ("b", "c")], SEEDS)
    assert [c.p for c in found] == [2 / 256] * 3
    assert [c.p_holm for c in found] == pytest.approx([6 / 256] * 3)
    assert [c.least for c in found] == pytest.approx([6 / 256] * 3)
    assert all(c.differs for c in found)


def test_one_common_seed_is_not_tested():
    (found,) = compare({"a": {0: 1.0}, "b": {0: 2.0}}, [("a", "b")], SEEDS)
    assert found.n == 1
    assert math.isnan(found.p)
    assert not found.differs


@pytest.mark.parametrize("comparisons", [1, 3, 6, 11])
def test_the_seeds_said_to_be_needed_are_just_enough(comparisons):
    n = replicates_needed(comparisons)
    assert comparisons * least_p(n) <= 0.05 < comparisons * least_p(n - 1)


@pytest.mark.parametrize("n", [6, 7, 9, 12])
def test_the_interval_of_the_sign_flips_holds_what_the_test_does_not_reject(n):
    d = np.random.default_rng(n).normal(0.4, 1, size=n)
    low, high = sign_flip_interval(d)
    step = 1e-9
    assert sign_flip_test(d - low) > 0.05 >= sign_flip_test(d - low + step)
    assert sign_flip_test(d - high) > 0.05 >= sign_flip_test(d - high - step)
    for delta in np.linspace(low - 1, high + 1, 41):
        if not low <= delta <= high:
            assert sign_flip_test(d - delta) <= 0.05


def test_five_seeds_have_no_interval_of_sign_flips_and_many_have_a_random_one():
    assert math.isnan(sign_flip_interval([0.1, 0.2, 0.3, 0.4, 0.5])[0])
    d = np.random.default_rng(3).normal(0.4, 1, size=40)
    assert sign_flip_interval(d) == pytest.approx(
        scipy.stats.t.interval(0.95, 39, d.mean(), d.std(ddof=1) / 40**0.5), abs=0.03
    )


@pytest.mark.parametrize(("shift", "n"), [(0.5, 5), (1.0, 10), (0.2, 100), (0.0, 8)])
def test_the_power_without_overlap_is_that_of_a_paired_t_test(shift, n):
    assert power(shift, 1.0, n) == pytest.approx(TTestPower().power(shift, n, 0.05), abs=1e-9)


@pytest.mark.parametrize(("n", "ratio"), [(3, 0.0), (5, 0.25), (20, 0.25), (5, 2.0)])
def test_what_is_detectable_has_a_power_of_80_percent(n, ratio):
    assert power(detectable(0.3, n, ratio), 0.3, n, ratio) == pytest.approx(0.8, abs=1e-8)


@pytest.mark.parametrize(("n", "comparisons"), [(6, 1), (7, 1), (8, 3), (9, 1), (14, 1)])
def test_what_sign_flips_can_show_they_show_with_a_chance_of_80_percent(n, comparisons):
    shift = SEEDS.detectable(1.0, n, comparisons)
    rng = np.random.default_rng(1)
    shown = [sign_flip_test(d) <= 0.05 / comparisons for d in rng.normal(shift, 1.0, size=(600, n))]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.06)
    assert SEEDS.detectable(1.0, 5) == math.inf


def test_power_by_simulation():
    rng = np.random.default_rng(0)
    d = rng.normal(1.0, 1.0, size=(20_000, 6))
    shown = np.mean(scipy.stats.ttest_1samp(d, 0, axis=1).pvalue <= 0.05)
    assert power(1.0, 1.0, 6) == pytest.approx(shown, abs=0.015)


def test_the_replicates_needed_are_the_fewest_and_overlap_may_forbid_them():
    n = needed(0.5, 1.0)
    assert power(0.5, 1.0, n) >= 0.8 > power(0.5, 1.0, n - 1)
    assert needed(0.5, 1.0, ratio=0.25) is None  # the standard error stays above 0.5
    assert needed(2.0, 1.0, ratio=0.25) == 9


def test_a_margin_makes_two_settings_equivalent_only_where_the_interval_says_so():
    rng = np.random.default_rng(1)
    values = {"a": dict(enumerate(rng.normal(0.9, 0.001, 8))), "b": dict(enumerate(rng.normal(0.9, 0.001, 8)))}
    (found,) = compare(values, [("a", "b")], SPLITS, margin=0.01)
    low, high = SPLITS.interval(np.array([values["a"][i] - values["b"][i] for i in range(8)]), 0.1)
    assert found.is_equivalent
    assert -0.01 < low < high < 0.01
    assert not compare(values, [("a", "b")], SPLITS, margin=0.0005)[0].is_equivalent
    assert not compare(values, [("a", "b")], SPLITS)[0].is_equivalent


def test_ties_leave_fewer_patterns():
    values = {"a": dict(enumerate([2, 2, 2, 2, 1, 1])), "b": dict(enumerate([1, 1.5, 1.7, 1.2, 1, 1]))}
    (found,) = compare(values, [("a", "b")], SEEDS)
    assert (found.wins, found.ties, found.losses) == (4, 2, 0)
    assert found.p == found.least == 0.125


def test_settings_that_lack_what_half_of_the_others_have_are_not_ranked():
    found = completeness({"a": range(6), "b": range(6), "c": range(3)})
    assert found.common == frozenset(range(6))
    assert found.missing == {"c": frozenset({3, 4, 5})}


def test_where_one_alone_has_all_they_are_ranked_over_what_all_have():
    assert completeness({"a": range(6), "b": range(3)}) == Completeness(frozenset(range(3)), {})
    found = completeness({"a": range(6), "b": range(2)})  # two are too few to rank by
    assert found.missing == {"b": frozenset({2, 3, 4, 5})}
    found = completeness({"a": range(6), "b": range(3), "c": range(5)}, {"c": [5]})  # what failed stays out of it
    assert found.missing == {"c": frozenset({5})}
    assert found.common == frozenset(range(3))


def test_a_seed_that_one_setting_alone_has_is_no_reason():
    found = completeness({"a": [0, 1, 2, 9], "b": [0, 1, 2], "c": [0, 1, 2]})
    assert (found.common, found.missing) == (frozenset({0, 1, 2}), {})


def test_a_setting_that_failed_on_a_seed_is_not_ranked_though_few_have_that_seed():
    found = completeness({"a": [0, 1, 2], "b": [0, 1], "c": [0, 1]}, {"b": [2], "a": [2]})
    assert found.missing == {"b": frozenset({2})}


def test_power_does_without_the_half_second_that_scipy_stats_takes_to_import():
    code = "from nnexp.statistics import power; import sys; power.needed(1.0, 2.0); print('scipy.stats' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
