"""Problems to try the objective on, with what `nnexp.nn.backprop` says of them."""

from dataclasses import dataclass, field

import numpy as np

from nnexp.nn import backprop, n_parameters


@dataclass
class Problem:
    """Random data, unequal layer sizes, biases that are not zero."""

    sizes: tuple
    activation: str = "sigmoid"
    l2: float = 0.7
    n_samples: int = 37
    scale: float = 0.9
    seed: int = 0
    X: np.ndarray = field(init=False)
    Y: np.ndarray = field(init=False)
    theta: np.ndarray = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        self.X = rng.standard_normal((self.n_samples, self.sizes[0])) * (rng.random((self.n_samples, 1)) > 0.1)
        self.Y = rng.integers(0, 2, (self.n_samples, self.sizes[-1])).astype(float)
        n = n_parameters(self.sizes)
        self.theta = self.scale * rng.standard_normal(n)
        self.v = rng.standard_normal(n)

    @property
    def keywords(self):
        return {"activation": self.activation, "l2": self.l2}

    @property
    def arguments(self):
        return self.X, self.Y, self.sizes

    def logits(self, theta):
        return backprop.feed_forward(theta, self.X, self.sizes, activation=self.activation)[1]

    def cost(self, theta):
        return backprop.cost(theta, *self.arguments, **self.keywords)

    def gradient(self, theta):
        return backprop.gradient(theta, *self.arguments, **self.keywords)


def complex_step(fun, theta, h=1e-30):
    """Gradient of `fun` by complex step."""
    theta = theta.astype(complex)
    result = np.empty(theta.size)
    for i in range(theta.size):
        theta[i] += 1j * h
        result[i] = fun(theta).imag / h
        theta[i] = theta[i].real
    return result


def assert_close(actual, expected, rtol):
    """Equal to `rtol` of the largest entry."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * np.abs(expected).max())
