import numpy as np
import pytest
import scipy.optimize

from nnexp import datasets
from nnexp.blas import blas_threads
from nnexp.nn import Objective, initialize
from nnexp.optim import METHODS, minimize

from .problems import BEALE, PROBLEMS, ROSENBROCK, options_for, run

EVERY = pytest.mark.parametrize("method", METHODS)
EACH = pytest.mark.parametrize("problem", PROBLEMS, ids=str)


def true_calls(record, problem, method):
    """Calls of fun and hessp; an epoch of mini-batches counts one, together with the call of fun that measures it."""
    per_epoch = -(-problem.n_samples // 8) if record.n_batches else 1
    assert record.n_batches % per_epoch == 0, method
    if record.n_batches:
        assert len(record.costs) == 1 + record.n_batches // per_epoch
    return len(record.costs) + record.n_products


@EACH
@EVERY
def test_maxfun_is_never_exceeded_and_counts_every_call(method, problem):
    for maxfun in range(1, 13):
        record = run(method, problem, maxfun=maxfun)
        assert record.result.n_fev == true_calls(record, problem, method) <= maxfun
        if record.result.status == "maxfun":
            assert record.result.n_fev == maxfun
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


@pytest.mark.parametrize("method", ["L-BFGS-B", "CG", "Newton-CG"])
def test_scipys_own_limits_are_out_of_the_way(method, monkeypatch):
    original, passed = scipy.optimize.minimize, {}

    def spy(*args, options, **kwargs):
        passed.update(options)
        return original(*args, options=options, **kwargs)

    monkeypatch.setattr(scipy.optimize, "minimize", spy)
    run(method, BEALE)
    limits = {"L-BFGS-B": ["maxfun", "maxiter"]}.get(method, ["maxiter"])
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
def test_no_point_is_evaluated_and_no_product_made_twice(method, problem):
    points = []

    def fun(theta):
        points.append(theta.tobytes())
        return problem.fun(theta)

    def hessp(theta, v):
        points.append(theta.tobytes() + v.tobytes())
        return problem.hessp(theta, v)

    options = options_for(method, problem) | ({"batch_size": None} if method in ("SGD", "Adam") else {})
    minimize(fun, problem.theta0, method=method, maxiter=60, maxfun=300, options=options, hessp=hessp)
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seed", "maxfun"),
    [("ex4", 0, 100), ("ex4", 2, 50), *(("digits", seed, maxfun) for seed in (0, 1) for maxfun in (25, 50, 100))],
)
def test_tnc_does_as_well_as_scipys_with_the_same_budget(name, seed, maxfun, cache):
    train = datasets.load(name, cache=str(cache)).split(0.2, 0.0, seed).train
    layer_sizes = (train.X.shape[1], 25, 10)
    theta0 = initialize(layer_sizes, 0.12, np.random.default_rng(seed))
    costs = []

    def fun(theta):
        cost, gradient = objective(theta)
        costs.append(cost)
        return cost, gradient

    with blas_threads(1):
        objective = Objective(train.X, train.Y, layer_sizes, l2=1.0)
        scipy.optimize.minimize(fun, theta0, jac=True, method="TNC", options={"maxfun": maxfun})
        result = minimize(objective, theta0, method="TNC", maxiter=400, maxfun=maxfun)
    assert result.cost <= min(costs[:maxfun])
    assert result.n_fev <= maxfun


@pytest.mark.parametrize("method", [method for method in METHODS if METHODS[method].needs_hessp])
def test_a_newton_direction_that_the_budget_cuts_short_is_still_tried(method):
    scales = np.geomspace(1, 1e4, 40)
    for maxfun in range(5, 60):
        calls = []

        def fun(theta, calls=calls):
            calls.append("fun")
            return float(np.logaddexp(0, scales * theta).sum() + theta @ theta), (
                scales / (1 + np.exp(-scales * theta)) + 2 * theta
            )

        def hessp(theta, v, calls=calls):
            calls.append("product")
            p = 1 / (1 + np.exp(-scales * theta))
            return scales**2 * p * (1 - p) * v + 2 * v

        result = minimize(fun, np.full(40, 1e-4), method=method, maxiter=400, maxfun=maxfun, hessp=hessp)
        assert result.status == "maxfun"
        assert len(calls) == result.n_fev
        assert calls[-2:] != ["product", "product"]
