"""The subproblems of the trust-region methods against what defines their solution, and against themselves."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.linalg import eigvalsh_tridiagonal

from nnexp.optim.krylov import KrylovSubproblem, smallest
from nnexp.optim.quadratic import Model
from nnexp.optim.steihaug import SteihaugSubproblem, boundary

from .problems import LOGISTIC, QUADRATIC


def tridiagonal(diagonal, beside):
    return np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)


@pytest.mark.parametrize("radius", [1e-3, 0.5, 3.0, 1e3])
@pytest.mark.parametrize("kind", ["convex", "indefinite", "concave", "flat", "one"])
def test_the_small_problem_is_solved_as_more_and_sorensen_ask(kind, radius):
    rng = np.random.default_rng(3)
    n = 1 if kind == "one" else 9
    diagonal, beside = rng.normal(size=n), np.abs(rng.normal(size=n - 1)) + 0.1
    lowest = eigvalsh_tridiagonal(diagonal, beside)[0]
    diagonal += {"convex": 0.5 - lowest, "concave": -8.0, "flat": -lowest}.get(kind, 0.0)
    h, multiplier = smallest(list(diagonal), list(beside), 2.0, radius)
    T, length = tridiagonal(diagonal, beside), np.linalg.norm(h)
    scale = np.abs(T).max() + multiplier
    assert multiplier >= 0
    assert length <= radius * (1 + 1e-9)
    assert multiplier == 0 or length == pytest.approx(radius, rel=1e-9)
    assert np.linalg.eigvalsh(T)[0] + multiplier >= -1e-9 * scale
    left = (T + multiplier * np.eye(n)) @ h
    left[0] += 2.0
    assert np.linalg.norm(left) <= 1e-7 * (2.0 + scale * length)


def test_in_the_hard_case_the_step_reaches_the_boundary_along_the_least_curvature():
    h, multiplier = smallest([1.0, -1.0], [1e-200], 2.0, 5.0)  # nothing leads from the gradient to the curvature of -1
    assert np.linalg.norm(h) == pytest.approx(5)
    assert multiplier == pytest.approx(1)
    assert h[0] == pytest.approx(-1)


def model_at(problem, theta, made=None):
    cost, gradient = problem.fun(theta)

    def product(v):
        if made is not None:
            made.append(v)
        return problem.hessp(theta, v)

    return Model(cost, gradient, np.linalg.norm(gradient), product, has_budget=lambda: True)


@pytest.mark.parametrize("kind", [SteihaugSubproblem, KrylovSubproblem, partial(KrylovSubproblem, inexact=False)])
def test_one_subproblem_serves_smaller_radii_too(kind):
    theta, made = LOGISTIC.theta0 + 1.0, []
    model = model_at(LOGISTIC, theta, made)
    one = kind(model)
    for radius in (1.0, 0.1, 0.01):
        step = one.solve(radius)
        s = step.s
        assert step.value == pytest.approx(
            model.cost + model.gradient @ s + s @ LOGISTIC.hessp(theta, s) / 2, rel=1e-12
        )
        fresh = kind(model_at(LOGISTIC, theta)).solve(radius)
        assert step.is_on_boundary == (np.linalg.norm(s) == pytest.approx(radius))
        assert step.value <= fresh.value + 1e-9 * abs(fresh.value)
        if radius == 1.0:
            n_products = len(made)
    assert len(made) == n_products  # none for the smaller radii


@pytest.mark.parametrize("kind", [SteihaugSubproblem, KrylovSubproblem])
def test_at_a_zero_gradient_the_step_is_zero(kind):
    step = kind(model_at(QUADRATIC, QUADRATIC.minimizer.copy())).solve(1.0)
    np.testing.assert_array_equal(step.s, 0)


@pytest.mark.parametrize("kind", [SteihaugSubproblem, KrylovSubproblem])
def test_without_budget_the_step_takes_one_product(kind):
    made = []
    model = replace(model_at(LOGISTIC, LOGISTIC.theta0 + 1.0, made), has_budget=lambda: False)
    step = kind(model).solve(1e3)
    assert len(made) == 1
    assert step.value < model.cost


@pytest.mark.parametrize(
    ("s", "d"), [([0.0, 0.0], [3.0, 4.0]), ([0.3, -0.2], [1e-8, 2e-8]), ([0.9, 0.0], [-1.0, 1e-9])]
)
def test_the_boundary_is_met_on_both_sides(s, d):
    s, d = np.array(s), np.array(d)
    back, ahead = boundary(s, d, 2.0)
    assert back < 0 < ahead
    for t in (back, ahead):
        assert np.linalg.norm(s + t * d) == pytest.approx(2.0, rel=1e-14)
