import numpy as np
import pytest
from scipy.special import expit

from nnexp.nn import ACTIVATIONS

Z = np.linspace(-8, 8, 100)  # without 0, the kink of relu
EACH = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)


@pytest.mark.parametrize(("name", "expected"), [("sigmoid", expit), ("tanh", np.tanh), ("relu", lambda z: z * (z > 0))])
def test_values_are_those_of_the_function(name, expected):
    np.testing.assert_allclose(ACTIVATIONS[name](Z), expected(Z), rtol=1e-12, atol=1e-16)


@EACH
def test_derivatives_are_those_of_the_value(activation):
    h = 1e-5
    first = (activation(Z + h) - activation(Z - h)) / (2 * h)
    np.testing.assert_allclose(activation.derivative(Z), first, atol=1e-9)
    second = (activation.derivative(Z + h) - activation.derivative(Z - h)) / (2 * h)
    np.testing.assert_allclose(activation.second_derivative(Z), second, atol=1e-9)


@EACH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_arguments_do_not_overflow(activation, dtype):
    z = np.array([-1e30, 1e30], dtype)
    with np.errstate(all="raise"):
        assert np.all(np.isfinite(activation(z)))
        assert activation(z).dtype == dtype


def test_the_slope_of_relu_at_its_kink_is_zero():
    assert ACTIVATIONS["relu"].derivative(np.zeros(1)) == 0
