import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from nnexp.statistics.ranks import (
    cliques,
    critical_difference,
    data_sets_needed,
    friedman,
    least_p,
    ranked,
    wilcoxon,
)

# Demsar 2006, table 6: areas under the curve of four variants of C4.5 on 14 data sets.
C45 = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.97501, 0.975],  # equal as printed; the paper ranks them by more digits
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def tables(most_rows, most_columns):
    """Tables of small numbers, which have ties, but not in all rows alone."""
    shapes, values = st.tuples(st.integers(2, most_rows), st.integers(3, most_columns)), st.integers(0, 5)
    found = shapes.flatmap(lambda shape: st.lists(values, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])
                           .map(lambda cells: np.array(cells, dtype=float).reshape(shape)))  # fmt: skip
    return found.filter(lambda table: (table != table[:, :1]).any())


def test_demsars_example():
    found = friedman(C45)
    n, k = C45.shape
    assert found.ranks == pytest.approx((3.143, 2.000, 2.893, 1.964), abs=5e-4)
    # He does not correct for ties.
    chi2 = 12 * n / (k * (k + 1)) * (sum(rank**2 for rank in found.ranks) - k * (k + 1) ** 2 / 4)
    assert chi2 == pytest.approx(9.28, abs=0.005)
    assert (n - 1) * chi2 / (n * (k - 1) - chi2) == pytest.approx(3.69, abs=0.005)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, 0.10) == pytest.approx(2.291 * np.sqrt(4 * 5 / (6 * 14)), abs=0.001)


@pytest.mark.parametrize(
    ("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (10, 3.164)]
)
def test_the_quantiles_are_those_of_demsars_table_5(k, q):
    assert critical_difference(k, 1) / np.sqrt(k * (k + 1) / 6) == pytest.approx(q, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(tables(6, 5))
def test_the_statistic_is_scipys(table):
    found, expected = friedman(table), scipy.stats.friedmanchisquare(*table.T)
    assert found.chi2 == pytest.approx(expected.statistic, rel=1e-12, abs=1e-12)
    assert found.p_chi2 == pytest.approx(expected.pvalue, rel=1e-12, abs=1e-12)


def test_the_f_is_that_of_an_analysis_of_variance_of_the_ranks():
    ranks = scipy.stats.rankdata(-C45, axis=1)
    n, k = ranks.shape
    between = n * ((ranks.mean(axis=0) - ranks.mean()) ** 2).sum() / (k - 1)
    rest = ranks - ranks.mean(axis=0) - ranks.mean(axis=1, keepdims=True) + ranks.mean()
    f = between / ((rest**2).sum() / ((n - 1) * (k - 1)))
    found = friedman(C45)
    assert found.f == pytest.approx(f, rel=1e-12)
    assert found.p_f == pytest.approx(scipy.stats.f.sf(f, k - 1, (k - 1) * (n - 1)), rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(tables(3, 4))
def test_the_exact_p_counts_all_orders(table):
    def statistic(rows):
        return (np.sum(rows, axis=0) ** 2).sum()

    rows = [tuple(row) for row in scipy.stats.rankdata(-table, axis=1)]
    orders = itertools.product(*(list(itertools.permutations(row)) for row in rows[1:]))
    found = [statistic([rows[0], *order]) >= statistic(rows) - 1e-9 for order in orders]
    exact = friedman(table)
    assert exact.is_exact
    assert exact.p == pytest.approx(np.mean(found), abs=1e-12)


def test_the_exact_p_is_that_of_friedmans_own_table():
    # Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, table A.22: k = 3, n = 3 and k = 4, n = 2.
    assert friedman(np.array([[1, 2, 3]] * 3)).p == pytest.approx(1 / 36)
    assert friedman(np.array([[1, 2, 3], [1, 2, 3], [1, 3, 2]])).p == pytest.approx(0.194, abs=5e-4)
    assert friedman(np.array([[1, 2, 3, 4]] * 2)).p == pytest.approx(1 / 24)
    assert friedman(np.array([[1, 2, 3, 4]] * 2)).least == pytest.approx(1 / 24)


def test_of_many_methods_or_data_sets_the_f_is_taken_and_never_below_what_is_possible():
    rng = np.random.default_rng(0)
    found = friedman(rng.normal(size=(12, 9)))
    assert (found.is_exact, found.p) == (False, found.p_f)
    agreed = friedman(np.arange(27.0).reshape(3, 9))
    assert agreed.f == np.inf
    assert agreed.p == agreed.least > 0


def test_the_exact_p_keeps_the_level_where_all_methods_are_the_same():
    rng = np.random.default_rng(1)
    p = [friedman(rng.normal(size=(4, 4))).p for _ in range(500)]
    assert np.mean(np.array(p) <= 0.05) < 0.08


def test_ties_share_ranks_and_the_direction_turns_them():
    table = np.array([[0.9, 0.8, 0.9], [3.0, 2.0, 1.0]])
    assert ranked(table).tolist() == [[1.5, 3, 1.5], [1, 2, 3]]
    assert ranked(table, higher_is_better=False).tolist() == [[2.5, 1, 2.5], [3, 2, 1]]
    assert ranked(np.array([[0.1 + 0.2, 0.3]])).tolist() == [[1.5, 1.5]]  # equal but for rounding


def test_methods_that_are_equal_everywhere_do_not_differ():
    assert friedman(np.ones((4, 3))).p == 1.0
    assert wilcoxon([0.0, 0.0, 0.0]) == 1.0


@pytest.mark.parametrize("table", [np.ones((1, 3)), np.ones((3, 1)), np.array([[1, np.nan], [1, 2]]), np.ones(3)])
def test_a_table_that_is_too_small_or_not_finite_is_refused(table):
    with pytest.raises(ValueError, match="expected finite figures of 2 data sets and 2 methods"):
        friedman(table)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=30, unique=True), st.randoms(use_true_random=False))
def test_wilcoxon_is_scipys_exact_one_where_there_are_no_ties(sizes, random):
    d = np.array(sizes) * np.array([random.choice((-1, 1)) for _ in sizes]) / 1e6
    assert wilcoxon(d) == pytest.approx(scipy.stats.wilcoxon(d, method="exact").pvalue, rel=1e-12, abs=1e-15)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9).filter(any))
def test_wilcoxon_with_zeros_and_ties_counts_all_signs(d):
    d = np.array(d, dtype=float)
    ranks = scipy.stats.rankdata(np.abs(d))[d != 0]  # Pratt: the zeros take part in the ranking
    seen = ranks[d[d != 0] > 0].sum()
    sums = [np.dot(ranks, signs) for signs in itertools.product((0, 1), repeat=len(ranks))]
    p = 2 * min(np.mean(np.array(sums) <= seen + 1e-9), np.mean(np.array(sums) >= seen - 1e-9))
    assert wilcoxon(d) == pytest.approx(min(1, p), abs=1e-12)


def test_wilcoxon_of_many_is_close_to_scipys_normal_approximation_with_pratts_zeros():
    d = np.round(np.random.default_rng(0).normal(0.1, 1, 80), 1)
    assert (d == 0).any()
    expected = scipy.stats.wilcoxon(d, zero_method="pratt", method="asymptotic").pvalue
    assert wilcoxon(d) == pytest.approx(expected, rel=0.03)


def test_the_smallest_p_and_the_data_sets_that_it_takes():
    assert wilcoxon([1, 2, 3, 4]) == least_p(4) == 0.125
    for m in (1, 3, 10, 45):
        n = data_sets_needed(m)
        assert m * least_p(n) <= 0.05 < m * least_p(n - 1)


def test_cliques_are_the_largest_groups_without_a_difference():
    assert cliques(4, []) == [(0, 1, 2, 3)]
    assert cliques(40, []) == [tuple(range(40))]  # at once, though it has 2^40 subsets
    assert cliques(4, [(0, 3)]) == [(0, 1, 2), (1, 2, 3)]
    assert cliques(3, list(itertools.combinations(range(3), 2))) == []
    assert cliques(4, [(0, 1), (0, 3), (1, 2)]) == [(0, 2), (1, 3), (2, 3)]


@settings(max_examples=40, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda pair: pair[0] < pair[1])))
def test_two_methods_share_a_clique_if_they_were_not_shown_to_differ(differing):
    found = cliques(7, sorted(differing))
    for pair in itertools.combinations(range(7), 2):
        assert any(set(pair) <= set(group) for group in found) == (pair not in differing)
    assert not any(set(a) < set(b) for a in found for b in found)
