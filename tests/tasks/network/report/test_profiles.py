import numpy as np
import pytest

from nnexp.tasks.network.report.profiles import data_profile, evaluations_to_solve, performance_profile, solve_costs

INF = np.inf

# Two problems, three methods. Problem 0: f0 = 10, fL = 0; to within tau = 0.1 means f <= 1. Problem 1: f0 = 4, fL = 2.
FAST = (np.array([1.0, 3, 6]), np.array([10.0, 1.0, 0.0]))
SLOW = (np.array([1.0, 8, 12]), np.array([10.0, 5.0, 0.9]))
STUCK = (np.array([1.0, 2, 20]), np.array([10.0, 6.0, 6.0]))
SECOND = (
    (np.array([1.0, 4, 10]), np.array([4.0, 2.3, 2.1])),
    (np.array([1.0, 5]), np.array([4.0, 2.0])),
    None,
)


def test_a_problem_is_solved_at_the_first_row_that_is_low_enough():
    n_fev, cost = np.array([1.0, 4, 9, 12]), np.array([3.0, 2.0, 1.0, 0.5])
    assert evaluations_to_solve(n_fev, cost, 1.0) == 9
    assert evaluations_to_solve(n_fev, cost, 0.4) == INF


def test_costs_counted_by_hand():
    assert solve_costs([[FAST, SLOW, STUCK], SECOND], 0.1).tolist() == [[3, 12, INF], [10, 5, INF]]
    assert solve_costs([[FAST, SLOW, STUCK], SECOND], 0.01).tolist() == [[6, INF, INF], [INF, 5, INF]]


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
