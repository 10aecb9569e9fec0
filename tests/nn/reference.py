"""The objective in its plain form, straight from the formulas, for any kind of number, and problems to try it on."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

FUNCTIONS = {
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
    "tanh": (np.tanh, lambda a: 1 - a * a),
    "relu": (lambda z: z * (z.real > 0), lambda a: (a.real > 0).astype(a.real.dtype)),
}


def layers(theta, sizes):
    matrices, start = [], 0
    for n_in, n_out in pairwise(sizes):
        matrices.append(theta[start : start + n_out * (n_in + 1)].reshape(n_out, n_in + 1))
        start += n_out * (n_in + 1)
    return [matrix[:, 1:] for matrix in matrices], [matrix[:, 0] for matrix in matrices]


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
        n = sum(n_out * (n_in + 1) for n_in, n_out in pairwise(self.sizes))
        self.theta = self.scale * rng.standard_normal(n)
        self.v = rng.standard_normal(n)

    @property
    def keywords(self):
        return {"activation": self.activation, "l2": self.l2}

    @property
    def arguments(self):
        return self.X, self.Y, self.sizes

    def forward(self, theta):
        value = FUNCTIONS[self.activation][0]
        weights, biases = layers(theta, self.sizes)
        activations = [self.X.astype(theta.dtype)]
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            z = activations[-1] @ w.T + b
            activations.append(value(z) if i < len(weights) - 1 else z)
        return activations

    def cost(self, theta):
        """J; analytic, so that it takes complex numbers too."""
        *_, logits = self.forward(theta)
        loss = np.sum(np.log1p(np.exp((1 - 2 * self.Y) * logits))) / self.n_samples
        return loss + self.l2 / (2 * self.n_samples) * sum((w * w).sum() for w in layers(theta, self.sizes)[0])

    def gradient(self, theta):
        """Back-propagation as in the exercise."""
        derivative, m = FUNCTIONS[self.activation][1], self.n_samples
        weights, _ = layers(theta, self.sizes)
        *activations, logits = self.forward(theta)
        delta = (1 / (1 + np.exp(-logits)) - self.Y) / m
        parts = []
        for w, a in zip(weights[::-1], activations[::-1], strict=True):
            parts.insert(0, np.column_stack([delta.sum(axis=0), delta.T @ a + self.l2 / m * w]).ravel())
            delta = delta @ w * derivative(a)
        return np.concatenate(parts)


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
