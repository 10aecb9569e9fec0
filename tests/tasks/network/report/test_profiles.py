import numpy as np
import pytest

from nnexp.tasks.network.report.profiles import data_profile, performance_profile

INF = np.inf


def test_performance_profile_by_hand():
    costs = np.array([[3, 12, INF], [10, 5, INF]])  # ratios 1, 4; 2, 1
    found = performance_profile(costs, np.array([1, 1.99, 2, 4]))
    assert found.tolist() == [[0.5, 0.5, 0], [0.5, 0.5, 0], [1, 0.5, 0], [1, 1, 0]]


def test_a_problem_that_nobody_solves_counts_for_nobody():
    costs = np.array([[2.0, INF], [INF, INF]])
    assert performance_profile(costs, np.array([1.0, 1e9])).tolist() == [[0.5, 0], [0.5, 0]]


def test_data_profile_by_hand():
    costs = np.array([[3, 12, INF], [10, 5, INF]])
    found = data_profile(costs, np.array([0, 3, 5, 10, 12]))
    assert found.tolist() == [[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0], [1, 0.5, 0], [1, 1, 0]]


@pytest.mark.parametrize("profile", [performance_profile, data_profile])
def test_profiles_rise_and_stay_shares(profile):
    rng = np.random.default_rng(0)
    costs = rng.integers(1, 50, size=(20, 4)).astype(float)
    costs[rng.random(costs.shape) < 0.2] = INF
    found = profile(costs, np.linspace(1, 60, 100))
    assert (np.diff(found, axis=0) >= 0).all()
    assert found.min() >= 0
    assert found.max() <= 1


def test_profiles_are_those_counted_one_by_one():
    rng = np.random.default_rng(1)
    costs = rng.integers(1, 30, size=(13, 3)).astype(float)
    costs[rng.random(costs.shape) < 0.3] = INF
    limits = np.array([1.0, 1.5, 2, 3, 7, 11, 29, 500])
    for method, limit in np.ndindex(3, len(limits)):
        within = [costs[p, method] < INF and costs[p, method] <= limits[limit] * min(costs[p]) for p in range(13)]
        assert performance_profile(costs, limits)[limit, method] == pytest.approx(sum(within) / 13, abs=1e-12)
        solved = [costs[p, method] <= limits[limit] for p in range(13)]
        assert data_profile(costs, limits)[limit, method] == pytest.approx(sum(solved) / 13, abs=1e-12)
