import numpy as np
import pytest

from nnexp.nn import ACTIVATIONS, Objective, objective

from .reference import Problem, assert_close

PROBLEMS = [
    Problem(sizes, activation, l2)
    for sizes in [(6, 3), (6, 5, 3), (6, 7, 4, 3), (5, 3, 8, 4, 2)]
    for activation in ACTIVATIONS
    for l2 in (0, 0.7)
]
EACH = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: f"{p.activation} {p.sizes} {p.l2}")


def make(problem, **keywords):
    return Objective(*problem.arguments, **problem.keywords, **keywords)


@pytest.mark.usefixtures("products")
@EACH
def test_it_is_the_derivative_of_the_gradient_along_v(problem):
    h = 1e-30
    exact = problem.gradient(problem.theta + 1j * h * problem.v).imag / h
    assert_close(make(problem).hessp(problem.theta, problem.v), exact, rtol=1e-12)


@EACH
def test_it_is_symmetric(problem):
    fun, u = make(problem), np.random.default_rng(1).standard_normal(problem.theta.size)
    left, right = u @ fun.hessp(problem.theta, problem.v), problem.v @ fun.hessp(problem.theta, u)
    np.testing.assert_allclose(left, right, rtol=1e-9)


def test_it_is_linear_in_v():
    problem = PROBLEMS[6]
    fun, u = make(problem), np.random.default_rng(1).standard_normal(problem.theta.size)
    of_sum = fun.hessp(problem.theta, 2 * problem.v - 3 * u)
    assert_close(of_sum, 2 * fun.hessp(problem.theta, problem.v) - 3 * fun.hessp(problem.theta, u), rtol=1e-12)


@pytest.mark.parametrize("threads", [1, 2])
def test_samples_of_many_passes_add_up(threads):
    problem = Problem((20, 6, 4, 3), n_samples=11_000, scale=0.3)
    exact = problem.gradient(problem.theta + 1e-30j * problem.v).imag / 1e-30
    assert_close(make(problem, threads=threads).hessp(problem.theta, problem.v), exact, rtol=1e-12)


def test_float32_agrees_to_its_precision():
    problem = PROBLEMS[12]
    single = make(problem, dtype=np.float32).hessp(problem.theta, problem.v)
    assert single.dtype == np.float64
    assert_close(single, make(problem).hessp(problem.theta, problem.v), rtol=1e-5)


def test_other_calls_in_between_do_not_matter():
    problem = Problem((6, 7, 4, 3))
    expected = make(problem).hessp(problem.theta, problem.v)
    fun = make(problem)
    fun.hessp(problem.theta, problem.v)
    for disturb in (
        lambda: fun(2 * problem.theta),
        lambda: fun.logits(problem.v),
        lambda: fun.batch(problem.v, np.arange(7)),
        lambda: fun.hessp(problem.v, problem.theta),
    ):
        disturb()
        np.testing.assert_array_equal(fun.hessp(problem.theta, problem.v), expected)


def test_the_objective_is_the_same_after_as_before():
    problem = Problem((6, 7, 4, 3))
    fun = make(problem)
    cost, gradient = fun(problem.theta)
    fun.hessp(problem.theta, problem.v)
    again, again_gradient = fun(problem.theta)
    assert again == cost
    np.testing.assert_array_equal(again_gradient, gradient)


def test_products_at_one_theta_share_its_passes(monkeypatch):
    problem = Problem((6, 7, 4, 3))
    fun = make(problem)
    fun.hessp(problem.theta, problem.v)
    fun(2 * problem.theta)
    monkeypatch.setattr(objective.Passes, "forward", None)
    for _ in range(3):
        fun.hessp(2 * problem.theta, problem.v)
