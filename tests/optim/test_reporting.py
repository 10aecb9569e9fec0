import signal

import numpy as np
import pytest

from nnexp.optim import METHODS, Iterate, NonFiniteCostError, minimize

from .problems import BEALE, LOGISTIC, PROBLEMS, QUADRATIC, ROSENBROCK, run

EVERY = pytest.mark.parametrize("method", METHODS)
EACH = pytest.mark.parametrize("problem", PROBLEMS, ids=str)
BUDGETS = [{"maxiter": 6}, {"maxfun": 9}, {"maxfun": 14}, {"maxfun": 150}]


def assert_last_row_is_the_result(record):
    """Of a method that has gone uphill since, the result is an earlier iterate, and its message says so."""
    last, result = record.iterates[-1], record.result
    if result.kept_iter < result.n_iter:
        assert record.went_uphill
        assert result.message.endswith(f" Kept is the best point, of iteration {result.kept_iter}.")
        assert result.cost == min(iterate.cost for iterate in record.iterates) < last.cost
        assert last.n_iter == result.n_iter
        last = next(iterate for iterate in record.iterates if iterate.n_iter == result.kept_iter)
        np.testing.assert_array_equal(last.theta, result.theta)
        return
    assert "Kept" not in result.message
    np.testing.assert_array_equal(last.theta, result.theta)
    np.testing.assert_array_equal(last.gradient, result.gradient)
    assert (last.cost, last.n_iter) == (result.cost, result.n_iter)
    assert last.n_fev <= result.n_fev


@EACH
@EVERY
@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_every_iteration_is_reported_once_with_its_own_cost_and_gradient(method, problem, budget):
    record = run(method, problem, **budget)
    assert [iterate.n_iter for iterate in record.iterates] == list(range(len(record.iterates)))
    np.testing.assert_array_equal(record.iterates[0].theta, problem.theta0)
    for iterate in record.iterates:
        cost, gradient = problem.fun(iterate.theta.copy())
        assert iterate.cost == cost
        np.testing.assert_array_equal(iterate.gradient, gradient)
    assert (np.diff([iterate.n_fev for iterate in record.iterates]) >= 0).all()
    assert_last_row_is_the_result(record)


@EVERY
def test_an_iterate_never_changes(method):
    seen = []
    run(method, BEALE, maxiter=6, callback=lambda it: seen.append((it, it.theta.copy(), it.gradient.copy())))
    for iterate, theta, gradient in seen:
        np.testing.assert_array_equal(iterate.theta, theta)
        np.testing.assert_array_equal(iterate.gradient, gradient)
        with pytest.raises(ValueError, match="read-only"):
            iterate.theta[0] = 0.0


def interrupt(_=None):
    signal.raise_signal(signal.SIGINT)


@EVERY
@pytest.mark.parametrize("seed", range(3))
def test_ctrl_c_in_an_evaluation_keeps_the_best_point(method, seed):
    at = int(np.random.default_rng(seed).integers(2, 25))
    record = run(method, ROSENBROCK, before=lambda n: interrupt() if n == at else None)
    assert record.result.status == "interrupted"
    assert not record.result.success
    assert "interrupted by Ctrl-C" in record.result.message
    assert record.result.n_fev == at
    assert record.result.cost == np.nanmin(record.costs)
    assert_last_row_is_the_result(record)


@EVERY
def test_ctrl_c_in_the_callback_keeps_the_best_point(method):
    heard = []

    def callback(iterate):
        if iterate.n_iter == 3 and not heard:
            heard.append(iterate)
            interrupt()

    record = run(method, LOGISTIC, callback=callback)
    assert record.result.status == "interrupted"
    assert record.result.n_iter == 3
    assert [iterate.n_iter for iterate in record.iterates] == [0, 1, 2, 3, 3]
    assert_last_row_is_the_result(record)


def test_ctrl_c_in_a_mini_batch_keeps_the_best_point():
    calls, iterates = [], []

    def batch(theta, indices):
        calls.append(1)
        if len(calls) == 11:  # in the second epoch of 8 batches
            interrupt()
        return LOGISTIC.batch(theta, indices)

    result = minimize(
        LOGISTIC.fun,
        LOGISTIC.theta0,
        method="Adam",
        maxiter=50,
        maxfun=50,
        options={"batch_size": 8},
        batch=batch,
        n_samples=60,
        rng=np.random.default_rng(0),
        callback=iterates.append,
    )
    assert (result.status, result.n_iter, result.n_fev) == ("interrupted", 1, 3)
    np.testing.assert_array_equal(result.theta, iterates[-1].theta)


def test_ctrl_c_for_ever_in_the_callback_still_gives_a_result():
    record = run("L-BFGS-B", ROSENBROCK, callback=interrupt)
    assert record.result.status == "interrupted"
    assert (record.result.n_iter, record.result.n_fev) == (0, 1)
    assert record.result.cost == ROSENBROCK.fun(ROSENBROCK.theta0)[0]


def test_ctrl_c_while_a_worse_point_is_reported_goes_back_to_the_best():
    def callback(iterate):
        if iterate.n_iter == 2:
            interrupt()

    record = run("GD", QUADRATIC, options={"learning_rate": 0.5}, callback=callback)  # 25 * 0.5 > 2: it diverges
    assert [iterate.n_iter for iterate in record.iterates] == [0, 1, 2, 2]
    assert record.iterates[3].cost == record.iterates[2].cost > record.result.cost
    np.testing.assert_array_equal(record.result.theta, QUADRATIC.theta0)
    assert_last_row_is_the_result(record)


@EVERY
def test_ctrl_c_in_the_first_evaluation_gives_back_the_start(method):
    record = run(method, BEALE, before=interrupt)
    assert record.result.status == "interrupted"
    assert np.isnan(record.result.cost)
    assert record.iterates == []
    np.testing.assert_array_equal(record.result.theta, BEALE.theta0)


@EVERY
@pytest.mark.parametrize("place", ["fun", "callback"])
def test_an_error_of_the_caller_comes_through(method, place):
    class OwnError(Exception):
        pass

    def fail(n):
        if n == 3:
            raise OwnError

    hook = {"before": fail} if place == "fun" else {"callback": lambda iterate: fail(iterate.n_iter)}
    with pytest.raises(OwnError):
        run(method, BEALE, **hook)


@EVERY
@pytest.mark.parametrize("bad", [(np.nan, 1.0), (np.inf, 1.0), (1.0, np.nan)], ids=str)
def test_a_value_that_is_not_finite_names_evaluation_and_iteration(method, bad):
    calls = []

    def fun(theta):
        calls.append(1)
        cost, gradient = BEALE.fun(theta)
        return (bad[0], gradient * bad[1]) if len(calls) == 3 else (cost, gradient)

    options = {"learning_rate": 1e-3, "batch_size": None} if method in ("SGD", "Adam") else {}
    if method == "GD":
        options = {"learning_rate": 1e-3}
    with pytest.raises(NonFiniteCostError, match=r"at evaluation \d+, in iteration \d+") as caught:
        minimize(fun, BEALE.theta0, method=method, maxiter=50, maxfun=200, options=options, hessp=BEALE.hessp)
    assert caught.value.n_fev >= 3
    assert isinstance(caught.value, ArithmeticError)
    assert str(caught.value).startswith("the gradient has 2 entries" if np.isnan(bad[1]) else f"the cost is {bad[0]}")


def test_a_start_that_is_not_finite_is_iteration_0():
    with pytest.raises(NonFiniteCostError, match="the cost is nan at evaluation 1, in iteration 0"):
        minimize(lambda t: (np.nan, t), np.ones(2), method="TNC", maxiter=5, maxfun=5)


def test_a_product_that_is_not_finite_is_an_error():
    with pytest.raises(NonFiniteCostError, match="Hessian-vector product has 2 entries"):
        minimize(BEALE.fun, BEALE.theta0, method="trust-ncg", maxiter=5, maxfun=50, hessp=lambda theta, v: v * np.nan)


@pytest.mark.parametrize("method", ["GD", "SGD", "Adam"])
def test_with_too_large_a_step_the_rows_are_the_iterates_and_the_best_point_is_said_apart(method):
    options = {"learning_rate": 0.3} | ({} if method == "GD" else {"batch_size": None})
    for budget in ({"maxiter": 6}, {"maxfun": 7}):
        record = run(method, ROSENBROCK if method == "Adam" else QUADRATIC, options=options, **budget)
        assert [iterate.cost for iterate in record.iterates] == record.costs
        assert (record.result.n_iter, record.result.n_fev) == (6, 7)
        assert record.result.kept_iter == int(np.argmin(record.costs)) < 6
        assert f" of iteration {record.result.kept_iter}." in record.result.message


def test_diverging_gradient_descent_is_an_error_without_warnings():
    with pytest.raises(
        NonFiniteCostError, match=r"the (cost|gradient) .* at evaluation (\d+), in iteration (\d+)"
    ) as e:
        run("GD", BEALE, options={"learning_rate": 10.0})
    assert e.value.n_fev == e.value.n_iter + 1


def test_a_diverging_mini_batch_is_an_error():
    with pytest.raises(NonFiniteCostError, match="of a mini-batch"):
        minimize(
            LOGISTIC.fun,
            LOGISTIC.theta0,
            method="SGD",
            maxiter=50,
            maxfun=50,
            options={"batch_size": 8},
            batch=lambda theta, indices: (np.inf, theta),
            n_samples=60,
            rng=np.random.default_rng(0),
        )


def test_the_callback_keeps_its_floating_point_warnings():
    with pytest.raises(RuntimeWarning, match="divide by zero"):
        run("CG", QUADRATIC, callback=lambda iterate: np.ones(1) / np.zeros(1))


def test_a_line_search_without_success_is_a_result():
    wrong = lambda theta: (QUADRATIC.fun(theta)[0], -QUADRATIC.fun(theta)[1])  # noqa: E731 - uphill
    for method in ("TNC", "L-BFGS-B", "CG", "BFGS"):
        result = minimize(wrong, QUADRATIC.theta0, method=method, maxiter=50, maxfun=500)
        assert result.status == "failed", method
        assert result.message.startswith(f"{method} failed: ")
        assert result.cost <= QUADRATIC.fun(QUADRATIC.theta0)[0]


def test_the_callback_is_optional_and_gets_iterates():
    assert minimize(QUADRATIC.fun, QUADRATIC.theta0, method="CG", maxiter=9, maxfun=9).n_fev <= 9
    assert all(isinstance(iterate, Iterate) for iterate in run("CG", QUADRATIC).iterates)
