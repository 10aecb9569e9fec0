"""The subproblem of trust-krylov against what defines its solution, and against itself."""

import numpy as np
import pytest
from scipy.linalg import eigvalsh_tridiagonal

from nnexp.optim.krylov import KrylovSubproblem, smallest

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


@pytest.mark.parametrize("inexact", [True, False])
def test_the_basis_serves_smaller_radii_too(inexact):
    theta = LOGISTIC.theta0 + 1.0
    made = []

    def subproblem():
        def hessp(theta, v):
            made.append(v)
            return LOGISTIC.hessp(theta, v)

        parts = (lambda t: LOGISTIC.fun(t)[0], lambda t: LOGISTIC.fun(t)[1])
        return KrylovSubproblem(theta, *parts, None, hessp, inexact=inexact)

    one = subproblem()
    for radius in (1.0, 0.1, 0.01):
        step, is_on_the_boundary = one.solve(radius)
        before = len(made)
        value = one(step)
        assert len(made) == before  # the value at the step takes no product
        assert value == pytest.approx(one(step.copy()), rel=1e-12)
        fresh, _ = subproblem().solve(radius)
        assert is_on_the_boundary == (np.linalg.norm(step) == pytest.approx(radius))
        assert one(step) <= one(fresh) + 1e-9 * abs(one(fresh))


def test_at_a_zero_gradient_the_step_is_zero():
    centre = QUADRATIC.minimizer.copy()
    parts = (lambda t: QUADRATIC.fun(t)[0], lambda t: QUADRATIC.fun(t)[1])
    step, _ = KrylovSubproblem(centre, *parts, None, QUADRATIC.hessp).solve(1.0)
    np.testing.assert_array_equal(step, 0)
