import numpy as np
import pytest
import scipy.optimize

from nnexp.optim import METHODS, minimize

from .problems import BEALE, PROBLEMS, ROSENBROCK, options_for, run

EVERY = pytest.mark.parametrize("method", METHODS)
EACH = pytest.mark.parametrize("problem", PROBLEMS, ids=str)


def true_calls(record, problem, method):
    """Calls of fun and hessp, and one for each epoch of mini-batches."""
    per_epoch = -(-problem.n_samples // 8) if record.n_batches else 1
    assert record.n_batches % per_epoch == 0, method
    return len(record.costs) + record.n_products + record.n_batches // per_epoch


@EACH
@EVERY
def test_maxfun_is_never_exceeded_and_counts_every_call(method, problem):
    for maxfun in range(1, 13):
        record = run(method, problem, maxfun=maxfun)
        assert record.result.n_fev == true_calls(record, problem, method) <= maxfun
        if record.result.status == "maxfun":
            epochs = record.n_batches > 0 or (method in ("SGD", "Adam") and problem.batch is not None)
            assert record.result.n_fev == (maxfun - (maxfun + 1) % 2 if epochs else maxfun)
            assert f"stopped by optimizer.maxfun = {maxfun}," in record.result.message


@EACH
@EVERY
@pytest.mark.parametrize("maxiter", [0, 1, 2, 5])
def test_maxiter_is_never_exceeded(method, problem, maxiter):
    record = run(method, problem, maxiter=maxiter)
    result = record.result
    assert result.status == "maxiter" or (result.status == "converged" and result.n_iter < maxiter)
    assert result.n_iter == record.iterates[-1].n_iter <= maxiter
    if result.status == "maxiter":
        assert result.n_iter == maxiter
        assert f"stopped by optimizer.maxiter = {maxiter}," in result.message


@EVERY
def test_no_iteration_means_one_evaluation(method):
    record = run(method, BEALE, maxiter=0)
    assert len(record.costs) == record.result.n_fev == 1
    assert record.n_products == record.n_batches == 0
    np.testing.assert_array_equal(record.result.theta, BEALE.theta0)


@EACH
@EVERY
def test_a_budget_keeps_the_best_point_evaluated(method, problem):
    for budget in ({"maxfun": 7}, {"maxfun": 20}, {"maxiter": 4}):
        record = run(method, problem, **budget)
        if record.result.status != "converged":
            assert record.result.cost == min(record.costs)


def test_a_budget_keeps_the_best_point_even_if_the_method_has_left_it():
    record = run("Adam", ROSENBROCK, maxiter=5, options={"learning_rate": 0.5, "batch_size": None})
    assert record.costs[-1] > min(record.costs) == record.result.cost
    assert record.iterates[-1].n_iter == 5


@EVERY
def test_long_runs_count_every_call_too(method):
    record = run(method, ROSENBROCK, maxfun=600)
    assert record.result.n_fev == len(record.costs) + record.n_products <= 600


@pytest.mark.parametrize("method", ["TNC", "L-BFGS-B", "CG", "Newton-CG", "trust-ncg", "trust-krylov"])
def test_scipys_own_limits_are_out_of_the_way(method, monkeypatch):
    original, passed = scipy.optimize.minimize, {}

    def spy(*args, options, **kwargs):
        passed.update(options)
        return original(*args, options=options, **kwargs)

    monkeypatch.setattr(scipy.optimize, "minimize", spy)
    run(method, BEALE)
    limits = {"TNC": ["maxfun"], "L-BFGS-B": ["maxfun", "maxiter"]}.get(method, ["maxiter"])
    assert {name: passed[name] for name in limits} == dict.fromkeys(limits, 2**31 - 1)


@pytest.mark.parametrize("method", ["BFGS", "trust-ncg", "trust-krylov"])
def test_maxiter_binds_beyond_scipys_default_of_200_a_parameter(method):
    def endless(theta):  # its slope never ends
        return float(-np.log(theta[0])), -1 / theta

    def hessp(theta, v):
        return v / theta**2

    options = {"initial_trust_radius": 1.0, "max_trust_radius": 1.5, "gtol": 0.0} if method.startswith("trust") else {}
    if method == "BFGS":
        options["gtol"] = 0.0
    result = minimize(endless, np.ones(1), method=method, maxiter=600, maxfun=10_000, options=options, hessp=hessp)
    assert (result.status, result.n_iter) == ("maxiter", 600)


@EACH
@EVERY
def test_no_point_is_evaluated_twice(method, problem):
    points = []

    def fun(theta):
        points.append(theta.tobytes())
        return problem.fun(theta)

    options = options_for(method, problem) | ({"batch_size": None} if method in ("SGD", "Adam") else {})
    minimize(fun, problem.theta0, method=method, maxiter=60, maxfun=300, options=options, hessp=problem.hessp)
    assert len(points) == len(set(points))


def test_a_trust_region_that_shrinks_for_long_counts_every_call():
    points = []

    def fun(theta):
        points.append(theta[0])
        return float(theta[0] ** 2), 2 * theta

    def hessp(theta, v):  # understates the curvature, so that the first steps proposed are far too long
        points.append(None)
        return 1e-9 * v

    options = {"initial_trust_radius": 900.0, "gtol": 1e-9}
    result = minimize(fun, np.array([1e-3]), method="trust-ncg", maxiter=14, maxfun=200, options=options, hessp=hessp)
    assert len(points) == result.n_fev


def test_of_equal_costs_the_latest_iterate_is_kept():
    def flat(theta):
        return 1.0, np.ones(2)

    moved = minimize(flat, np.zeros(2), method="GD", maxiter=3, maxfun=50)
    np.testing.assert_array_equal(moved.theta, [-3.0, -3.0])
    probed = minimize(flat, np.zeros(2), method="GD", maxiter=3, maxfun=5, options={"backtracking": True})
    np.testing.assert_array_equal(probed.theta, np.zeros(2))
    assert (probed.status, probed.n_iter, probed.n_fev) == ("maxfun", 0, 5)
