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
    """Cost and gradient as the exercise's notebooks have them: matrices, and two loops over the samples."""
    m = X.shape[0]
    theta1, theta2 = map(np.asmatrix, unroll(theta, layers))
    X, Y = np.asmatrix(X), np.asmatrix(Y)
    a1 = np.insert(X, 0, values=np.ones(m), axis=1)
    z2 = a1 * theta1.T
    a2 = np.insert(sigmoid(z2), 0, values=np.ones(m), axis=1)
    h = sigmoid(a2 * theta2.T)
    J = 0.0
    for i in range(m):
        J += np.sum(np.multiply(-Y[i], np.log(h[i])) - np.multiply(1 - Y[i], np.log(1 - h[i])))
    delta1, delta2 = np.zeros(theta1.shape), np.zeros(theta2.shape)
    for i in range(m):
        d3 = h[i] - Y[i]
        slope = np.multiply(sigmoid(z2[i]), 1 - sigmoid(z2[i]))
        d2 = np.multiply((d3 * theta2)[:, 1:], slope)
        delta1 += d2.T * a1[i]
        delta2 += d3.T * a2[i]
    return finish(J, *map(np.asarray, (delta1, delta2, theta1, theta2)), m, l2)


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
