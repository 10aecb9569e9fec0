import numpy as np
import pytest
from scipy.special import expit, log_expit

from nnexp.nn import ACTIVATIONS, Forward, Objective, cross_entropy, predict, probabilities

from .reference import Problem, assert_close


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [(6, 3), (6, 5, 3), (6, 7, 4, 3)], ids=str)
def test_forward_gives_the_logits_of_the_formulas(sizes, activation):
    problem = Problem(sizes, activation)
    forward = Forward(problem.X, sizes, activation=activation)
    for theta in (problem.theta, 2 * problem.theta):
        assert_close(forward(theta), problem.logits(theta), rtol=1e-13)


def test_forward_returns_new_arrays():
    problem = Problem((6, 5, 3))
    forward = Forward(problem.X, problem.sizes)
    first = forward(problem.theta)
    kept = first.copy()
    forward(2 * problem.theta)
    np.testing.assert_array_equal(first, kept)


def test_forward_in_float32():
    problem = Problem((6, 5, 3))
    logits = Forward(problem.X, problem.sizes, dtype=np.float32)(problem.theta)
    assert logits.dtype == np.float32
    assert_close(logits, problem.logits(problem.theta), rtol=1e-5)


def test_forward_names_samples_that_do_not_fit():
    with pytest.raises(ValueError, match=r"X of shape \(n, 6\).*got \(2, 5\)"):
        Forward(np.zeros((2, 5)), (6, 3))


def test_cross_entropy_is_the_objectives_loss():
    problem = Problem((6, 5, 3))
    fun = Objective(*problem.arguments, **problem.keywords)
    cost, _ = fun(problem.theta)
    loss = cross_entropy(fun.logits(problem.theta), problem.Y)
    np.testing.assert_allclose(loss, cost - fun.penalty(problem.theta), rtol=1e-13)


def test_cross_entropy_is_the_log_probability_of_the_truth():
    logits, Y = np.array([[0.3, -2.0], [5.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    p = expit(logits)
    expected = -np.sum(Y * np.log(p) + (1 - Y) * np.log(1 - p)) / 2
    np.testing.assert_allclose(cross_entropy(logits, Y), expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_cross_entropy_does_not_overflow(dtype):
    logits = np.array([[1e30, -1e30], [60, -60]], dtype)
    with np.errstate(over="raise", invalid="raise"):
        assert cross_entropy(logits, np.array([[1, 0], [1, 0]])) == pytest.approx(-2 * log_expit(60.0) / 2, rel=1e-6)
        assert cross_entropy(logits[:1], np.array([[0, 1]])) == pytest.approx(2e30)


def test_probabilities_are_sigmoids():
    logits = np.array([[-800.0, -1, 0], [2, 30, 800]])
    np.testing.assert_allclose(probabilities(logits), expit(logits), atol=1e-16)


def test_predict_takes_the_largest_output_and_the_first_of_equals():
    np.testing.assert_array_equal(predict(np.array([[0.1, -3, 2], [-5, -1, -1]])), [2, 1])
