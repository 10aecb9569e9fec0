"""Activations of a user's own: the forms in which they are given, what is refused, and the mathematics with them."""

import numpy as np
import pytest
from scipy.special import erf, expit

from nnexp.nn import Activation, Forward, Objective, as_activation, check_activation, full_check

from .reference import Problem, assert_close


def swish(z):
    return z / (1 + np.exp(-z))


def swish_slope(z):
    s = 1 / (1 + np.exp(-z))
    return s + z * s * (1 - s)


def swish_bend(z):
    s = 1 / (1 + np.exp(-z))
    return s * (1 - s) * (2 + z * (1 - 2 * s))


def normal(z):
    return np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


SWISH = Activation(swish, swish_slope, swish_bend, "swish")
# One that is not analytic by its formula, and one of a function that takes no complex numbers.
SOFTSIGN = Activation(
    lambda z: z / (1 + np.abs(z)), lambda z: (1 + np.abs(z)) ** -2, lambda z: -2 * np.sign(z) * (1 + np.abs(z)) ** -3
)
EXPIT = Activation(expit, lambda z: expit(z) * expit(-z), lambda z: expit(z) * expit(-z) * (expit(-z) - expit(z)))
GELU = Activation(
    lambda z: z * (1 + erf(z / np.sqrt(2))) / 2,
    lambda z: (1 + erf(z / np.sqrt(2))) / 2 + z * normal(z),
    lambda z: normal(z) * (2 - z * z),
)
LEAKY = Activation(
    lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1, 0.01), lambda z: np.zeros_like(z)
)
ALL = {"swish": SWISH, "softsign": SOFTSIGN, "expit": EXPIT, "gelu": GELU, "leaky relu": LEAKY}
PROBLEMS = [Problem(s, a) for s in [(6, 3), (6, 5, 3), (5, 3, 8, 4, 2)] for a in ALL.values()]
EACH = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: f"{p.sizes}")


def make(problem, **keywords):
    return Objective(*problem.arguments, **problem.keywords, **keywords)


@pytest.mark.parametrize("activation", ALL.values(), ids=ALL)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_right_ones_pass_the_check(activation, dtype):
    check_activation(activation, dtype)


@pytest.mark.usefixtures("products")
@EACH
def test_the_objective_agrees_with_the_plain_form_and_with_the_numerical_gradient(problem):
    cost, gradient = make(problem)(problem.theta)
    np.testing.assert_allclose(cost, problem.cost(problem.theta), rtol=1e-14)
    assert_close(gradient, problem.gradient(problem.theta), rtol=1e-14)
    checked = full_check(*problem.arguments, problem.theta, gradient, **problem.keywords)
    assert checked.complex_step < 1e-13
    assert checked.central_difference < 1e-6
    forward = Forward(problem.X, problem.sizes, activation=problem.activation)
    assert_close(forward(problem.theta), problem.logits(problem.theta), rtol=1e-13)


@EACH
def test_the_hessian_is_the_derivative_of_the_gradient(problem):
    exact = problem.gradient(problem.theta + 1e-30j * problem.v).imag / 1e-30
    fun = make(problem)
    for _ in range(2):
        assert_close(fun.hessp(problem.theta, problem.v), exact, rtol=1e-12)
    np.testing.assert_array_equal(fun(problem.theta)[1], make(problem)(problem.theta)[1])


def test_the_built_in_tanh_is_one_of_these():
    own = Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2, lambda z: -2 * np.tanh(z) * (1 - np.tanh(z) ** 2))
    built_in, problem = Problem((6, 7, 4, 3), "tanh"), Problem((6, 7, 4, 3), own)
    one, other = make(built_in), make(problem)
    assert_close(other(problem.theta)[1], one(problem.theta)[1], rtol=1e-14)
    assert_close(other.hessp(problem.theta, problem.v), one.hessp(problem.theta, problem.v), rtol=1e-13)
    rows = np.arange(20)
    assert_close(other.batch(problem.theta, rows)[1], one.batch(problem.theta, rows)[1], rtol=1e-14)


def test_many_samples_and_threads_give_the_same_bits():
    problem = Problem((20, 6, 4, 3), SWISH, n_samples=11_000, scale=0.3)
    serial, threaded = make(problem), make(problem, threads=2)
    assert_close(serial(problem.theta)[1], problem.gradient(problem.theta), rtol=1e-13)
    np.testing.assert_array_equal(serial(problem.theta)[1], threaded(problem.theta)[1])
    np.testing.assert_array_equal(serial.logits(problem.v), threaded.logits(problem.v))
    exact = problem.gradient(problem.theta + 1e-30j * problem.v).imag / 1e-30
    assert_close(serial.hessp(problem.theta, problem.v), exact, rtol=1e-12)


def test_float32_agrees_to_its_precision():
    problem = Problem((6, 7, 4, 3), SWISH)
    single, double = make(problem, dtype=np.float32), make(problem)
    assert_close(single(problem.theta)[1], double(problem.theta)[1], rtol=1e-5)
    assert_close(single.hessp(problem.theta, problem.v), double.hessp(problem.theta, problem.v), rtol=1e-4)


def test_without_a_second_derivative_there_are_no_hessian_products():
    problem = Problem((4, 5, 3), Activation(swish, swish_slope, name="mylib.swish"))
    make(problem)(problem.theta)
    with pytest.raises(ValueError, match=r"mylib\.swish has no second derivative"):
        make(problem).hessp(problem.theta, problem.v)


class Swish:
    def __call__(self, z):
        return swish(z)

    def derivative(self, z):
        return swish_slope(z)

    second_derivative = staticmethod(swish_bend)


def with_attributes(z):
    return swish(z)


with_attributes.derivative = swish_slope


@pytest.mark.parametrize("found", [SWISH, Swish, Swish(), with_attributes, (swish, swish_slope, swish_bend)])
def test_each_form_of_an_activation(found):
    activation = as_activation(found, "mylib.swish")
    assert activation.name == "mylib.swish"
    check_activation(activation)
    assert (activation.second_derivative is None) == (found is with_attributes)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (swish, r"mylib\.it has no derivative; give it one, a function of z: it\.derivative = \.\.\."),
        (3, "expected a function with a derivative"),
        ((), "expected a function with a derivative"),
        ((swish,), "has no derivative"),
        ((swish, 3), r"expected \(function, derivative\)"),
        ((swish, swish, swish, swish), r"expected \(function, derivative\)"),
        (type("Needy", (), {"__init__": lambda self, x: None}), "must be callable without arguments, got TypeError"),
    ],
)
def test_what_is_no_activation(found, told):
    with pytest.raises(ValueError, match=told):
        as_activation(found, "mylib.it")


def mutating(z):
    z *= 2
    return z


@pytest.mark.parametrize(
    ("functions", "told"),
    [
        ((swish, lambda z: swish_slope(z) + 1e-7), r"the derivative at z = .* must be .*, by complex step, got "),
        ((swish, swish_slope, swish_slope), r"the second derivative at z = .* must be "),
        ((expit, expit), "the derivative at z = .* must be .*, by central difference, got "),
        ((mutating, swish_slope), "the function must not change its argument"),
        ((swish, lambda z: 1.0), r"the derivative must keep the shape of its argument, \(4, 13\), got \(\)"),
        ((lambda z: 1j * z, swish), "must give real numbers"),
        ((lambda z: np.exp(2 * z) / (1 + np.exp(2 * z)), swish), "at z = 700 must be finite in float64, got nan"),
        ((lambda z: z / z.sum(), swish), "must be elementwise"),
        ((lambda z: float(z), swish), "must take an array of any shape, got TypeError"),
    ],
)
def test_what_does_not_fit_is_told_with_the_point(functions, told):
    with pytest.raises(ValueError, match=told) as caught:
        check_activation(as_activation(functions, "mylib.it"))
    assert str(caught.value).startswith("mylib.it: ")
    assert "\n" not in str(caught.value)


def test_what_overflows_in_float32_only_is_refused_only_there():
    careless = Activation(lambda z: np.log(np.cosh(z / 8)), lambda z: np.tanh(z / 8) / 8)
    check_activation(careless)
    check_activation(Activation(lambda z: np.log(np.cosh(z)), np.tanh))
    with pytest.raises(ValueError, match="at z = -700 must be finite in float32, got inf"):
        check_activation(Activation(lambda z: np.log(np.cosh(z)), np.tanh), np.float32)
