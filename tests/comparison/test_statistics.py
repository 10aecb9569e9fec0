import itertools
import math

import numpy as np
import pytest
import scipy.stats

from nnexp.comparison.statistics import (
    EXACT_UP_TO,
    FLIPS,
    compare,
    holm,
    least_p,
    seeds_needed,
    sign_flip_test,
    summarize,
)

VALUES = [0.91, 0.93, 0.92, 0.97, 0.90, 0.94]


def test_the_interval_is_scipys_bca_bootstrap_of_the_mean():
    found = summarize(VALUES)
    expected = scipy.stats.bootstrap(
        (VALUES,), np.mean, n_resamples=4999, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert found.method == "BCa"
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.mean == pytest.approx(np.mean(VALUES))
    assert min(VALUES) < found.low < found.mean < found.high < max(VALUES)


def test_the_same_values_give_the_same_interval():
    assert summarize(VALUES) == summarize(VALUES)


def test_equal_values_have_an_interval_of_length_zero():
    found = summarize([0.5] * 5)
    assert (found.low, found.high, found.method) == (0.5, 0.5, "percentile")


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
    # SciPy has none; Holm's own derivation: a hypothesis falls if Bonferroni rejects each set of them that it is in.
    p = np.random.default_rng(m).uniform(0, 0.6, size=m) ** 2
    sets = [set(chosen) for size in range(1, m + 1) for chosen in itertools.combinations(range(m), size)]
    closed = [max(min(1.0, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in range(m)]
    assert holm(p) == pytest.approx(closed, abs=1e-12)


def test_holm_leaves_out_what_was_not_tested():
    found = holm([0.02, math.nan, 0.03])
    assert found[[0, 2]] == pytest.approx([0.04, 0.04])
    assert np.isnan(found[1])
    assert holm([]).size == 0


def test_settings_are_compared_over_their_common_seeds():
    values = {"a": {0: 0.9, 1: 0.8, 2: 0.7, 3: 0.1}, "b": {2: 0.8, 1: 0.9, 0: 0.9, 7: 0.9}}
    (found,) = compare(values, [("a", "b")])
    assert (found.first, found.second) == ("b", "a")
    assert (found.n, found.wins, found.ties) == (3, 2, 1)
    assert found.difference.mean == pytest.approx(0.2 / 3)
    assert found.p == found.p_holm == 0.5
    assert not found.differs


def test_lower_is_better_turns_the_winner_around():
    values = {"a": {0: 0.1, 1: 0.2}, "b": {0: 0.3, 1: 0.3}}
    (found,) = compare(values, [("a", "b")], higher_is_better=False)
    assert found.first == "a"
    assert found.difference.mean == pytest.approx(0.15)


def test_comparisons_are_corrected_together():
    values = {
        "a": dict(enumerate([9, 8, 9, 8, 9, 8, 9, 9])),
        "b": dict(enumerate([1] * 8)),
        "c": dict(enumerate([2] * 8)),
    }
    found = compare(values, [("a", "b"), ("a", "c"), ("b", "c")])
    assert [c.p for c in found] == [2 / 256] * 3
    assert [c.p_holm for c in found] == pytest.approx([6 / 256] * 3)
    assert [c.least for c in found] == pytest.approx([6 / 256] * 3)
    assert all(c.differs for c in found)


def test_one_common_seed_is_not_tested():
    (found,) = compare({"a": {0: 1.0}, "b": {0: 2.0}}, [("a", "b")])
    assert found.n == 1
    assert math.isnan(found.p)
    assert not found.differs


@pytest.mark.parametrize("comparisons", [1, 3, 6, 11])
def test_the_seeds_said_to_be_needed_are_just_enough(comparisons):
    n = seeds_needed(comparisons)
    assert comparisons * least_p(n) <= 0.05 < comparisons * least_p(n - 1)
