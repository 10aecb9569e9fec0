import numpy as np
import pytest
from scipy import stats

from nnexp.statistics.runtimes import ecdf, expected_running_time, targets, times_to

INF = np.inf


def histories(n=20):
    """Descents that go uphill now and then, have equal rows and NaN."""
    rng = np.random.default_rng(0)
    for _ in range(n):
        values = np.cumsum(rng.normal(-0.5, 1.0, size=30)).round(1)
        values[rng.integers(30)] = np.nan
        yield np.cumsum(rng.integers(1, 5, size=30)).astype(float), values


def test_times_are_those_of_the_first_row_that_is_low_enough():
    wanted = np.linspace(2, -20, 57).round(1)
    for spent, values in histories():
        found = times_to(spent, values, wanted)
        for target, time in zip(wanted, found, strict=True):
            reached = [s for s, v in zip(spent, values, strict=True) if v <= target]
            assert time == (reached[0] if reached else INF)


def test_targets_are_shares_of_the_possible_decrease():
    assert targets(10.0, 2.0, np.array([1.0, 0.5, 0.01])) == pytest.approx([10.0, 6.0, 2.08], abs=1e-15)


def test_the_ecdf_is_that_of_scipy():
    rng = np.random.default_rng(1)
    runtimes = rng.integers(1, 40, size=(6, 11, 3)).astype(float)
    budgets = np.array([0.0, 1, 5.5, 17, 39, 100])
    expected = [stats.ecdf(runtimes[..., method].ravel()).cdf.evaluate(budgets) for method in range(3)]
    np.testing.assert_allclose(ecdf(runtimes, budgets), np.transpose(expected), rtol=0, atol=1e-12)


def test_what_is_not_reached_is_beyond_every_budget():
    runtimes = np.array([[3.0, INF], [INF, INF]])
    assert ecdf(runtimes, np.array([2.9, 3.0, 1e300])).tolist() == [[0, 0], [0.5, 0], [0.5, 0]]


def test_expected_running_time_by_hand():
    runtimes = np.array([[10.0, INF, 4.0], [INF, INF, 6.0], [30.0, INF, 8.0]])
    spent = np.array([[99.0, 100, 99], [100, 100, 99], [99, 100, 99]])
    assert expected_running_time(runtimes, spent).tolist() == [70.0, INF, 6.0]


def test_expected_running_time_is_what_restarts_take():
    rng = np.random.default_rng(2)
    runtimes = np.where(rng.random(40) < 0.4, rng.integers(5, 90, size=40).astype(float), INF)
    spent = np.full(40, 100.0)
    drawn = rng.integers(40, size=400_000)
    times = np.where(np.isfinite(runtimes), runtimes, spent)[drawn]
    ends = np.flatnonzero(np.isfinite(runtimes[drawn]))  # each success ends a series of restarts
    totals = np.diff(np.append(0.0, np.cumsum(times)[ends]))
    expected = expected_running_time(runtimes[:, None], spent[:, None])[0]
    assert totals.mean() == pytest.approx(expected, rel=4 * totals.std() / expected / np.sqrt(len(totals)))
