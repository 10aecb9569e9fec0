import itertools

import numpy as np
import pytest

from nnexp.optim import minimize

from .problems import BEALE, LOGISTIC, QUADRATIC, ROSENBROCK, run


def test_gradient_descent_takes_its_step():
    theta = run("GD", QUADRATIC, maxiter=1, options={"learning_rate": 0.01}).result.theta
    np.testing.assert_array_equal(theta, QUADRATIC.theta0 - 0.01 * QUADRATIC.fun(QUADRATIC.theta0)[1])


@pytest.mark.parametrize("problem", [QUADRATIC, ROSENBROCK, BEALE, LOGISTIC], ids=str)
@pytest.mark.parametrize("factor", [0.5, 0.2])
def test_backtracking_steps_fulfil_armijos_condition_and_the_longer_one_does_not(problem, factor):
    c1, first = 0.3, 10.0
    options = {"backtracking": True, "decrease_factor": factor, "c1": c1, "learning_rate": first}
    iterates = run("GD", problem, maxiter=20, options=options).iterates
    for before, after in itertools.pairwise(iterates):
        g = before.gradient
        step = (before.theta - after.theta) @ g / (g @ g)
        assert after.cost <= before.cost - c1 * step * (g @ g) + 1e-12
        if before.n_iter == 0 and step < first * 0.99:
            longer = problem.fun(before.theta - step / factor * g)[0]
            assert longer > before.cost - c1 * step / factor * (g @ g)


def test_backtracking_survives_a_step_far_too_long():
    result = run("GD", QUADRATIC, options={"backtracking": True, "learning_rate": 1e6}).result
    assert result.status == "converged"


def test_backtracking_lengthens_its_steps_where_the_ground_gets_flatter():
    def quartic(theta):
        return float(np.sum(theta**4)), 4 * theta**3

    iterates = []
    minimize(
        quartic,
        np.full(2, 100.0),
        method="GD",
        maxiter=40,
        maxfun=500,
        options={"backtracking": True},
        callback=iterates.append,
    )
    steps = [(a.theta[0] - b.theta[0]) / a.gradient[0] for a, b in itertools.pairwise(iterates)]
    assert steps[-1] > 100 * steps[0]


def test_backtracking_uphill_fails():
    result = minimize(
        lambda t: (QUADRATIC.fun(t)[0], -QUADRATIC.fun(t)[1]),
        QUADRATIC.theta0,
        method="GD",
        maxiter=5,
        maxfun=500,
        options={"backtracking": True},
    )
    assert result.status == "failed"
    assert "no step along the gradient decreases the cost" in result.message


def test_first_steps_of_adam_by_hand():
    options = {"learning_rate": 0.1, "beta1": 0.8, "beta2": 0.9, "epsilon": 0.5, "batch_size": None}
    iterates = run("Adam", BEALE, maxiter=3, options=options).iterates
    g1, g2 = iterates[0].gradient, iterates[1].gradient
    first = BEALE.theta0 - 0.1 * g1 / (np.abs(g1) + 0.5)
    np.testing.assert_allclose(iterates[1].theta, first, rtol=1e-14)
    m = (0.8 * 0.2 * g1 + 0.2 * g2) / (1 - 0.64)
    v = (0.9 * 0.1 * g1**2 + 0.1 * g2**2) / (1 - 0.81)
    np.testing.assert_allclose(iterates[2].theta, first - 0.1 * m / (np.sqrt(v) + 0.5), rtol=1e-14)


@pytest.mark.parametrize("nesterov", [False, True])
def test_first_steps_of_momentum_by_hand(nesterov):
    options = {"learning_rate": 0.01, "momentum": 0.7, "nesterov": nesterov, "batch_size": None}
    iterates = run("SGD", BEALE, maxiter=3, options=options).iterates
    g1, g2 = iterates[0].gradient, iterates[1].gradient
    v1 = -0.01 * g1
    v2 = 0.7 * v1 - 0.01 * g2
    first = BEALE.theta0 + (0.7 * v1 - 0.01 * g1 if nesterov else v1)
    second = first + (0.7 * v2 - 0.01 * g2 if nesterov else v2)
    np.testing.assert_allclose(iterates[1].theta, first, rtol=1e-14)
    np.testing.assert_allclose(iterates[2].theta, second, rtol=1e-14)


@pytest.mark.parametrize("method", ["SGD", "Adam"])
def test_an_epoch_shows_every_sample_once_in_a_new_order(method):
    seen = []

    def batch(theta, indices):
        seen.append(indices)
        return LOGISTIC.batch(theta, indices)

    result = minimize(
        LOGISTIC.fun,
        LOGISTIC.theta0,
        method=method,
        maxiter=2,
        maxfun=100,
        options={"batch_size": 16},
        batch=batch,
        n_samples=60,
        rng=np.random.default_rng(0),
    )
    assert [len(indices) for indices in seen] == [16, 16, 16, 12] * 2
    first, second = np.concatenate(seen[:4]), np.concatenate(seen[4:])
    np.testing.assert_array_equal(np.sort(first), np.arange(60))
    np.testing.assert_array_equal(np.sort(second), np.arange(60))
    assert (first != second).any()
    assert (result.n_iter, result.n_fev) == (2, 3)


@pytest.mark.parametrize("method", ["SGD", "Adam"])
def test_batches_as_large_as_the_data_are_the_full_batch(method):
    large, none = (run(method, LOGISTIC, maxiter=5, options={"batch_size": size}) for size in (60, None))
    np.testing.assert_array_equal(large.result.theta, none.result.theta)
    assert large.n_batches == 0
    assert large.result.n_fev == 6


def test_other_random_numbers_give_another_way():
    results = [
        minimize(
            LOGISTIC.fun,
            LOGISTIC.theta0,
            method="SGD",
            maxiter=2,
            maxfun=100,
            batch=LOGISTIC.batch,
            n_samples=60,
            rng=np.random.default_rng(seed),
        ).cost
        for seed in (0, 0, 1)
    ]
    assert results[0] == results[1] != results[2]
