import numpy as np
import pytest
import scipy.optimize
from scipy.optimize import check_grad

from nnexp.optim import METHODS, minimize

from .problems import BEALE, LOGISTIC, PROBLEMS, QUADRATIC, ROSENBROCK, run

SCIPY = ["TNC", "L-BFGS-B", "CG", "BFGS", "Newton-CG", "trust-ncg", "trust-krylov"]
EVERY = pytest.mark.parametrize("method", METHODS)
EACH = pytest.mark.parametrize("problem", PROBLEMS, ids=str)


@EACH
def test_the_problems_have_right_derivatives(problem):
    theta, v = problem.theta0 + 0.1, np.linspace(1, 2, problem.theta0.size)
    assert check_grad(lambda t: problem.fun(t)[0], lambda t: problem.fun(t)[1], theta) < 1e-4
    difference = (problem.fun(theta + 1e-6 * v)[1] - problem.fun(theta - 1e-6 * v)[1]) / 2e-6
    np.testing.assert_allclose(problem.hessp(theta, v), difference, rtol=1e-6)


@EACH
@pytest.mark.parametrize("method", SCIPY)
def test_second_order_and_conjugate_methods_find_the_minimum(method, problem):
    result = run(method, problem).result
    assert result.status == "converged"
    assert result.success
    assert result.cost == pytest.approx(problem.minimum, abs=1e-6)
    np.testing.assert_allclose(result.theta, problem.minimizer, atol=5e-3)


@pytest.mark.parametrize("problem", [QUADRATIC, BEALE, LOGISTIC], ids=str)
@pytest.mark.parametrize("method", ["GD", "SGD", "Adam"])
def test_methods_of_fixed_steps_come_near_the_minimum(method, problem):
    result = run(method, problem, maxiter=1500).result
    assert result.cost - problem.minimum < 2e-3


def test_gradient_descent_converges_at_a_small_gradient():
    result = run("GD", QUADRATIC, options={"learning_rate": 0.05, "gtol": 1e-7}).result
    assert result.status == "converged"
    assert np.abs(result.gradient).max() <= 1e-7


@EACH
@pytest.mark.parametrize("method", SCIPY)
def test_scipy_takes_the_same_way_without_us(method, problem):
    hessp = problem.hessp if METHODS[method].needs_hessp else None
    direct = scipy.optimize.minimize(
        problem.fun,
        problem.theta0,
        jac=True,
        hessp=hessp,
        method=method,
        options={"maxfun": 10_000} if method == "TNC" else {},
    )
    result = run(method, problem).result
    assert result.n_iter == direct.nit
    if method in ("BFGS", "trust-ncg", "trust-krylov"):  # our own, equal to rounding
        np.testing.assert_allclose(result.theta, direct.x, atol=1e-6)
    else:
        np.testing.assert_array_equal(result.theta, direct.x)


@EVERY
def test_cost_and_gradient_belong_to_theta(method):
    result = run(method, BEALE, maxfun=30).result
    cost, gradient = BEALE.fun(result.theta.copy())
    assert result.cost == cost
    np.testing.assert_array_equal(result.gradient, gradient)


@EVERY
def test_same_inputs_give_same_bits(method):
    first, second = (run(method, LOGISTIC, maxfun=60).result for _ in range(2))
    assert first.theta.tobytes() == second.theta.tobytes()
    assert (first.cost, first.n_iter, first.n_fev, first.message) == (
        second.cost,
        second.n_iter,
        second.n_fev,
        second.message,
    )


@EVERY
def test_inputs_are_not_mutated(method):
    theta0 = ROSENBROCK.theta0.copy()

    def vandal(theta):
        cost, gradient = ROSENBROCK.fun(theta.copy())
        theta[:] = 77.0
        return cost, gradient

    def vandal_product(theta, v):
        product = ROSENBROCK.hessp(theta.copy(), v.copy())
        theta[:] = v[:] = 77.0
        return product

    options = {"batch_size": None} if method in ("SGD", "Adam") else {}
    if method in ("GD", "SGD"):
        options["learning_rate"] = 1e-4
    kept = minimize(vandal, theta0, method=method, maxiter=5, maxfun=40, options=options, hessp=vandal_product)
    honest = run(method, ROSENBROCK, maxiter=5, maxfun=40, options=options).result
    np.testing.assert_array_equal(theta0, ROSENBROCK.theta0)
    np.testing.assert_array_equal(kept.theta, honest.theta)


@EVERY
def test_an_objective_may_return_the_same_array_again(method):
    buffer = np.empty(4)

    def fun(theta):
        cost, buffer[:] = QUADRATIC.fun(theta)
        return cost, buffer

    options = {"batch_size": None} if method in ("SGD", "Adam") else {}
    if method in ("GD", "SGD"):
        options["learning_rate"] = 1e-2
    reused = minimize(
        fun, QUADRATIC.theta0, method=method, maxiter=8, maxfun=30, options=options, hessp=QUADRATIC.hessp
    )
    fresh = run(method, QUADRATIC, maxiter=8, maxfun=30, options=options).result
    np.testing.assert_array_equal(reused.theta, fresh.theta)


@EVERY
def test_a_start_at_the_minimum_converges_or_stays(method):
    result = minimize(
        QUADRATIC.fun,
        QUADRATIC.minimizer,
        method=method,
        maxiter=3,
        maxfun=30,
        options={"batch_size": None} if method in ("SGD", "Adam") else {},
        hessp=QUADRATIC.hessp,
    )
    assert result.cost == QUADRATIC.minimum
    np.testing.assert_array_equal(result.theta, QUADRATIC.minimizer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "NOPE"}, r"`optimizer.method` must be one of TNC, .*Adam, got 'NOPE'"),
        ({"maxiter": -1}, r"`optimizer.maxiter` must be an integer >= 0, got -1"),
        ({"maxiter": 2.5}, r"`optimizer.maxiter` must be an integer >= 0, got 2.5"),
        ({"maxfun": 0}, r"`optimizer.maxfun` must be an integer >= 1, got 0"),
        ({"maxfun": True}, r"`optimizer.maxfun` must be an integer >= 1, got True"),
        ({"theta0": np.zeros((2, 2))}, r"`theta0` must be a vector of finite numbers, got shape \(2, 2\)"),
        ({"theta0": np.array([0.0, np.nan])}, r"`theta0` must be a vector of finite numbers"),
        ({"method": "trust-ncg"}, r"`hessp` is needed by `optimizer.method` trust-ncg"),
        ({"method": "Adam"}, r"`batch`, `n_samples` and `rng` are needed by Adam"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    arguments = {"theta0": QUADRATIC.theta0, "method": "TNC", "maxiter": 5, "maxfun": 5} | change
    with pytest.raises(ValueError, match=message):
        minimize(QUADRATIC.fun, **arguments)


def test_a_gradient_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"expected a gradient of shape \(4,\), got \(1, 4\)"):
        minimize(lambda t: (0.0, t[None]), QUADRATIC.theta0, method="TNC", maxiter=5, maxfun=5)


def test_a_method_that_converged_gives_its_own_final_point():
    def ledge(theta):  # flat at -1, where the cost is higher than at the start
        return (5.0, np.zeros(1)) if theta[0] < 0 else (0.0, np.ones(1))

    result = minimize(ledge, np.zeros(1), method="GD", maxiter=5, maxfun=5)
    assert (result.status, result.cost, result.n_iter) == ("converged", 5.0, 1)
