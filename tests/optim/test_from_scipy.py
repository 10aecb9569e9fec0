"""What is taken from SciPy is there and does what is expected of it; here a SciPy that changed it shows first."""

import inspect

import numpy as np
import pytest
import scipy

from nnexp.optim import from_scipy, minimize
from nnexp.optim.evaluations import Point

from .problems import BEALE, LOGISTIC, ROSENBROCK, run


def test_the_private_line_search_is_where_it_was_and_takes_what_we_give():
    assert from_scipy.more_thuente is not None, (
        f"SciPy {scipy.__version__} has no scipy.optimize._linesearch.line_search_wolfe1: BFGS takes other steps now"
    )
    names = list(inspect.signature(from_scipy.more_thuente).parameters)
    assert names[:7] == ["f", "fprime", "xk", "pk", "gfk", "old_fval", "old_old_fval"]
    assert {"c1", "c2", "amin", "amax"} <= set(names)


def wolfe_step(problem, theta):
    cost, gradient = problem.fun(theta)
    step = from_scipy.wolfe_step(
        lambda t: problem.fun(t)[0],
        lambda t: problem.fun(t)[1],
        Point(theta, cost, gradient),
        -gradient,
        cost + np.linalg.norm(gradient) / 2,
        c1=1e-4,
        c2=0.9,
    )
    return cost, gradient, step


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize("problem", [ROSENBROCK, BEALE, LOGISTIC], ids=str)
def test_a_step_fulfils_the_strong_wolfe_conditions(problem, public, monkeypatch):
    if public:
        monkeypatch.setattr(from_scipy, "more_thuente", None)
    theta = problem.theta0
    cost, gradient, step = wolfe_step(problem, theta)
    slope = -gradient @ gradient
    cost_there, gradient_there = problem.fun(theta - step * gradient)
    assert cost_there <= cost + 1e-4 * step * slope
    assert abs(gradient_there @ -gradient) <= 0.9 * abs(slope)


def test_bfgs_gets_along_without_the_private_line_search(monkeypatch):
    monkeypatch.setattr(from_scipy, "more_thuente", None)
    result = run("BFGS", ROSENBROCK).result
    assert result.status == "converged"
    np.testing.assert_allclose(result.theta, ROSENBROCK.minimizer, atol=1e-4)


def test_the_symmetric_products_read_one_triangle():
    rng = np.random.default_rng(0)
    x, y, full = rng.normal(size=4), rng.normal(size=4), rng.normal(size=(4, 4))
    symmetric = np.triu(full) + np.triu(full, 1).T
    a = np.asfortranarray(np.triu(full))
    np.testing.assert_allclose(from_scipy.symmetric_product(a, x), symmetric @ x)
    updated = from_scipy.add_symmetric_rank_two(a, x, y)
    assert np.shares_memory(updated, a)
    np.testing.assert_allclose(np.triu(updated), np.triu(symmetric + np.outer(x, y) + np.outer(y, x)))


def test_a_line_search_that_finds_nothing_says_so_without_a_warning():
    def uphill(theta):  # its "gradient" points the wrong way
        return float(theta @ theta), -2 * theta

    result = minimize(uphill, np.ones(2), method="BFGS", maxiter=10, maxfun=200)
    assert result.status == "failed"
    np.testing.assert_array_equal(result.theta, 1)
