"""The exercise as it is usually coded: with a loop over the samples, and with whole matrices."""

from __future__ import annotations

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def unroll(theta, layers):
    """The two matrices of the exercise, bias in the first column."""
    n_in, n_hidden, n_out = layers
    cut = n_hidden * (n_in + 1)
    return theta[:cut].reshape(n_hidden, n_in + 1), theta[cut:].reshape(n_out, n_hidden + 1)


def loop(theta, layers, X, Y, l2):
    """Cost and gradient, one sample after the other, as the exercise's text describes it."""
    m = X.shape[0]
    theta1, theta2 = unroll(theta, layers)
    delta1, delta2 = np.zeros(theta1.shape), np.zeros(theta2.shape)
    J = 0.0
    for t in range(m):
        a1 = np.insert(X[t], 0, 1)
        z2 = theta1 @ a1
        a2 = np.insert(sigmoid(z2), 0, 1)
        h = sigmoid(theta2 @ a2)
        y = Y[t]
        J += np.sum(-y * np.log(h) - (1 - y) * np.log(1 - h))
        d3 = h - y
        gradient = sigmoid(z2) * (1 - sigmoid(z2))
        d2 = (theta2.T @ d3)[1:] * gradient
        delta1 += np.outer(d2, a1)
        delta2 += np.outer(d3, a2)
    return finish(J, delta1, delta2, theta1, theta2, m, l2)


def vectorised(theta, layers, X, Y, l2):
    """Cost and gradient of all samples at once."""
    m = X.shape[0]
    theta1, theta2 = unroll(theta, layers)
    a1 = np.insert(X, 0, 1, axis=1)
    z2 = a1 @ theta1.T
    a2 = np.insert(sigmoid(z2), 0, 1, axis=1)
    h = sigmoid(a2 @ theta2.T)
    J = np.sum(-Y * np.log(h) - (1 - Y) * np.log(1 - h))
    d3 = h - Y
    d2 = (d3 @ theta2[:, 1:]) * (sigmoid(z2) * (1 - sigmoid(z2)))
    return finish(J, d2.T @ a1, d3.T @ a2, theta1, theta2, m, l2)


def finish(J, delta1, delta2, theta1, theta2, m, l2):
    """Means, penalty, and the gradient in one vector."""
    J = J / m + l2 / (2 * m) * (np.sum(theta1[:, 1:] ** 2) + np.sum(theta2[:, 1:] ** 2))
    delta1, delta2 = delta1 / m, delta2 / m
    delta1[:, 1:] += l2 / m * theta1[:, 1:]
    delta2[:, 1:] += l2 / m * theta2[:, 1:]
    return J, np.concatenate([delta1.ravel(), delta2.ravel()])
