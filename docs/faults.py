"""Four faults of published solutions of exercise 4, reproduced, and what each costs.

    python docs/faults.py              all four, in a minute or two
    python docs/faults.py lambda       a regularized cost that ignores lambda
    python docs/faults.py biases       a regularized gradient that zeroes the biases of theta itself
    python docs/faults.py maxiter      maxiter, ignored by TNC
    python docs/faults.py accuracy     accuracy on the training set only

The functions of the first half are written in the style of such notebooks. nnexp provides the data and the right number
for comparison with each wrong one. The numbers are those of `training.kernel=portable`, where the processor has it.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterable

import numpy as np
from scipy.optimize import minimize

from nnexp import datasets, kernels
from nnexp.datasets import Dataset
from nnexp.nn import Objective, initialize
from nnexp.readers import ConfigError
from nnexp.tasks.network.training import FitResult, blas_threads, fit
from nnexp.terminal import percent

N_INPUTS, N_HIDDEN, N_LABELS = 400, 25, 10
LAYER_SIZES = (N_INPUTS, N_HIDDEN, N_LABELS)
BUDGET = 400


# The notebook. Y holds a 1 at the label of each sample; the matrices have the bias in column 0.


def sigmoid(z):
    """The logistic function."""
    return 1 / (1 + np.exp(-z))


def matrices(theta):
    """Theta1 (25, 401) and Theta2 (10, 26). They are views: they share their memory with `theta`."""
    cut = N_HIDDEN * (1 + N_INPUTS)
    return theta[:cut].reshape(N_HIDDEN, 1 + N_INPUTS), theta[cut:].reshape(N_LABELS, 1 + N_HIDDEN)


def feed_forward(theta, X):
    """The activations of all layers, those of the input and of the hidden layer with a 1 in front."""
    theta1, theta2 = matrices(theta)
    ones = np.ones((len(X), 1))
    a1 = np.hstack([ones, X])
    a2 = np.hstack([ones, sigmoid(a1 @ theta1.T)])
    return a1, a2, sigmoid(a2 @ theta2.T)


def cost(theta, X, Y):
    """The cost without a penalty."""
    _, _, h = feed_forward(theta, X)
    return -(Y * np.log(h) + (1 - Y) * np.log(1 - h)).sum() / len(X)


def gradient(theta, X, Y):
    """Its gradient, by back-propagation."""
    a1, a2, h = feed_forward(theta, X)
    _, theta2 = matrices(theta)
    d3 = h - Y
    d2 = (d3 @ theta2)[:, 1:] * a2[:, 1:] * (1 - a2[:, 1:])
    return np.concatenate([(d2.T @ a1).ravel(), (d3.T @ a2).ravel()]) / len(X)


def penalty_that_ignores_lambda(theta, m, lmbda):
    """Fault 1: a 1 in the place of lambda."""
    theta1, theta2 = matrices(theta)
    return 1 / (2 * m) * ((theta1[:, 1:] ** 2).sum() + (theta2[:, 1:] ** 2).sum())


def gradient_that_zeroes_biases(theta, X, Y, lmbda):
    """Fault 2: the biases are not to be penalized, so they are set to 0, in the matrices that share theta's memory."""
    result = gradient(theta, X, Y)
    theta1, theta2 = matrices(theta)
    theta1[:, 0] = 0
    theta2[:, 0] = 0
    return result + lmbda / len(X) * np.concatenate([theta1.ravel(), theta2.ravel()])


# The comparisons.


def train(data: Dataset, seed: int = 0, l2: float = 1.0) -> FitResult:
    """Train on all of the data with the default settings, as `nnexp data.test_size=0` does."""
    return fit(data.split(0, 0, seed), hidden_sizes=[N_HIDDEN], l2=l2, maxfun=BUDGET, seed=seed)


def accuracy(theta, data: Dataset) -> float:
    """Share of correct predictions."""
    _, _, h = feed_forward(theta, data.X)
    return float(np.mean(h.argmax(axis=1) == data.y))


def table(head: list[str], rows: Iterable[list[str]]) -> None:
    """Print aligned columns, each row as it comes."""
    widths = [len(name) for name in head]
    for row in [head], rows:
        for cells in row:
            print("  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)), flush=True)


def lambda_ignored(data: Dataset) -> None:
    """Fault 1. The faulty cost of one network, and training with this cost and the right gradient."""
    X, Y, m = data.X, data.Y, len(data.y)
    start = initialize(LAYER_SIZES, 0.12, np.random.default_rng(0))
    theta = train(data).theta

    def faulty(theta, lmbda):
        return cost(theta, X, Y) + penalty_that_ignores_lambda(theta, m, lmbda)

    def rows():
        for lmbda in (0.0, 1.0, 3.0, 10.0):
            right = Objective(X, Y, LAYER_SIZES, l2=lmbda)
            with np.errstate(all="ignore"):  # this cost also takes the logarithm of 0
                done = minimize(
                    lambda theta, lmbda=lmbda, right=right: (faulty(theta, lmbda), right(theta)[1]),
                    start, jac=True, method="TNC", options={"maxfun": BUDGET},
                )  # fmt: skip
            same = [f"{faulty(theta, lmbda):.6f}", f"{right(theta)[0]:.6f}"]
            trained = [f"{right(done.x)[0]:.6f}", f"{train(data, l2=lmbda).cost:.6f}"]
            yield [f"{lmbda:g}", *same, *trained, str(done.nfev)]

    head = ["lambda", "faulty cost", "right cost", "trained with it: right cost", "trained correctly", "evaluations"]
    table(head, rows())


def biases_zeroed(data: Dataset) -> None:
    """Fault 2. Train correctly, then call the faulty gradient once with the weights, as older SciPy did with its x."""
    right = Objective(data.X, data.Y, LAYER_SIZES, l2=1.0)

    def rows():
        for seed in range(3):
            theta = train(data, seed).theta.copy()
            for when in ("before", "after"):
                yield [str(seed), when, f"{right(theta)[0]:.6f}", percent(accuracy(theta, data)), f"{theta[0]:.6f}"]
                gradient_that_zeroes_biases(theta, data.X, data.Y, 1.0)

    table(["seed", "weights", "right cost", "training accuracy", "first entry"], rows())


def maxiter_ignored(data: Dataset) -> None:
    """Fault 3. SciPy's TNC with the option maxiter, and with maxfun, which it knows."""
    start = initialize(LAYER_SIZES, 0.12, np.random.default_rng(0))
    right = Objective(data.X, data.Y, LAYER_SIZES, l2=1.0)
    warned = []

    def rows():
        for options in ({"maxiter": BUDGET}, {"maxfun": BUDGET}):
            began = time.perf_counter()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                done = minimize(right, start, jac=True, method="TNC", options=options)
            warned.extend(f"{options} warned: {' '.join(str(warning.message).split())}" for warning in caught)
            seconds, share = time.perf_counter() - began, accuracy(done.x, data)
            yield [str(options), str(done.nfev), f"{seconds:.1f}", f"{done.fun:.6f}", percent(share)]

    table(["         options", "evaluations", "seconds", "right cost", "training accuracy"], rows())
    print(*warned, sep="\n")


def training_accuracy_only(data: Dataset) -> None:
    """Fault 4. Accuracy on the 4,000 training samples and on 1,000 held-out samples."""
    split = data.split(0.2, 0, 0)

    def rows():
        for lmbda in (0.0, 0.1, 1.0, 3.0, 10.0):
            done = fit(split, hidden_sizes=[N_HIDDEN], l2=lmbda, maxfun=BUDGET, evaluate_every=BUDGET)
            yield [f"{lmbda:g}", *(percent(done.kept[f"accuracy/{part}"]) for part in ("train", "test"))]

    table(["lambda", "training accuracy", "test accuracy"], rows())


FAULTS = {
    "lambda": lambda_ignored,
    "biases": biases_zeroed,
    "maxiter": maxiter_ignored,
    "accuracy": training_accuracy_only,
}


def main(names: list[str]) -> int:
    """Show the named faults, or all."""
    if unknown := [name for name in names if name not in FAULTS]:
        print(f"`{unknown[0]}` must be one of {', '.join(FAULTS)}", file=sys.stderr)
        return 2
    data = datasets.load("ex4", cache="data")
    with blas_threads(1):
        for name in names or FAULTS:
            print(FAULTS[name].__doc__)
            FAULTS[name](data)
            print()
    return 0


def use_portable_kernel() -> None:
    """Begin this process anew with the portable kernel, where the processor has it."""
    kernels.of_command(sys.argv[1:], sys.argv[1:])
    try:
        kernels.require(kernels.PORTABLE)
    except ConfigError as error:
        print(error, file=sys.stderr)


if __name__ == "__main__":
    use_portable_kernel()
    sys.exit(main(sys.argv[1:]))
