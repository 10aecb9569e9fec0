"""The course's form against its own cost, and the fast objective against it."""

import numpy as np
import pytest

from nnexp.nn import ACTIVATIONS, Objective, backprop

from .reference import Problem, assert_close, complex_step

PROBLEMS = [
    Problem(sizes, activation, l2)
    for sizes in [(6, 3), (6, 5, 3), (6, 7, 4, 3), (5, 3, 8, 4, 2)]
    for activation in ACTIVATIONS
    for l2 in (0, 0.7)
]
EACH = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: f"{p.activation} {p.sizes} {p.l2}")


def test_it_knows_the_activations_of_the_objective():
    assert list(backprop.HIDDEN) == list(ACTIVATIONS)


@EACH
def test_its_gradient_is_the_complex_step_of_its_cost(problem):
    assert_close(problem.gradient(problem.theta), complex_step(problem.cost, problem.theta), rtol=1e-14)


@pytest.mark.usefixtures("products")
@EACH
def test_the_fast_objective_is_the_same(problem):
    cost, gradient = Objective(*problem.arguments, **problem.keywords)(problem.theta)
    np.testing.assert_allclose(cost, problem.cost(problem.theta), rtol=1e-14)
    assert_close(gradient, problem.gradient(problem.theta), rtol=1e-14)


def test_the_arguments_are_not_changed():
    problem = Problem((6, 7, 4, 3))
    arrays = problem.theta, problem.X, problem.Y
    before = [array.copy() for array in arrays]
    problem.cost(problem.theta)
    problem.gradient(problem.theta)
    for array, original in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, original)
