"""How often a report's statements are wrong, where the truth is known: `python docs/simulation.py`.

Data sets of 400 samples of two classes are drawn from one population. Two methods learn each, from the same split of
80 and 20 %: nearest class means on the first half of the features, and on the second half, which are alike. So the two
are equal in expectation, though not on any one split. Printed is how often a test at the 5 % level calls them
different, and how often a 95 % interval of the mean accuracy holds the true one.
"""

import argparse

import numpy as np

from nnexp.statistics.intervals import wilson
from nnexp.statistics.paired import Design

N, N_TRAIN, HALF, SHIFT = 400, 320, 5, 0.45
RATIO = (N - N_TRAIN) / N_TRAIN
NOT_CORRECTED = Design(ratio=0.0)
CORRECTED, FLIPS = Design(ratio=RATIO), Design()


def draw(rng, n):
    """Samples of two classes, shape (n, 2 * HALF), and their classes."""
    y = rng.integers(0, 2, n)
    return rng.normal(size=(n, 2 * HALF)) + SHIFT * (2 * y[:, None] - 1), y


def learned(X, y):
    """Nearest class means: a direction and a threshold."""
    means = [X[y == label].mean(axis=0) for label in (0, 1)]
    direction = means[1] - means[0]
    return direction, direction @ (means[0] + means[1]) / 2


def accuracies(rng, X, y):
    """Test accuracy of both methods on one random split."""
    order = rng.permutation(N)
    train, test = order[:N_TRAIN], order[N_TRAIN:]
    found = []
    for features in (slice(None, HALF), slice(HALF, None)):
        direction, threshold = learned(X[train, features], y[train])
        found.append(np.mean((X[test, features] @ direction > threshold) == y[test]))
    return found


def true_accuracy(rng, repetitions=2000):
    """Expected accuracy of one method over training sets, each on the population itself."""
    from scipy.special import ndtr

    found = []
    for _ in range(repetitions):
        X, y = draw(rng, N_TRAIN)
        direction, threshold = learned(X[:, :HALF], y)
        length, middle = np.linalg.norm(direction), SHIFT * direction.sum()
        found.append((ndtr((middle - threshold) / length) + ndtr((middle + threshold) / length)) / 2)
    return float(np.mean(found))


def simulate(n_seeds, repetitions, truth, rng):
    """Shares of false rejections by three tests, and of intervals that hold the truth."""
    rejected, covered, single = np.zeros(3), np.zeros(2), 0
    for _ in range(repetitions):
        X, y = draw(rng, N)
        both = np.array([accuracies(rng, X, y) for _ in range(n_seeds)])
        d = both[:, 0] - both[:, 1]
        rejected += [design.p(d) <= 0.05 for design in (CORRECTED, NOT_CORRECTED, FLIPS)]
        for i, design in enumerate((CORRECTED, NOT_CORRECTED)):
            summary = design.summary(both[:, 0])
            covered[i] += summary.low <= truth <= summary.high
        low, high = wilson(both[0, 0] * (N - N_TRAIN), N - N_TRAIN)
        single += low <= truth <= high
    return rejected / repetitions, covered / repetitions, single / repetitions


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5, 6, 10, 20])
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    truth = true_accuracy(rng)
    print(f"true accuracy {100 * truth:.2f} %; {arguments.repetitions} repetitions, in percent")
    print("       false rejections                     coverage of 95 % intervals")
    print("seeds  corrected t  paired t  sign flips    corrected t      t   Wilson, one seed")
    for n_seeds in arguments.seeds:
        rejected, covered, single = simulate(n_seeds, arguments.repetitions, truth, rng)
        print(
            f"{n_seeds:5d}  {100 * rejected[0]:11.1f}  {100 * rejected[1]:8.1f}  {100 * rejected[2]:10.1f}"
            f"    {100 * covered[0]:11.1f}  {100 * covered[1]:5.1f}  {100 * single:17.1f}"
        )


if __name__ == "__main__":
    main()
