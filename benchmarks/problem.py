"""The measured problem: the exercise's data and network."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from nnexp import datasets
from nnexp.datasets import Dataset, Split
from nnexp.nn import initialize

LAYERS = (400, 25, 10)
L2 = 1.0


DATA = Path(__file__).resolve().parent.parent / "data"  # cache of the rebuilt images, shared with runs in the checkout


@cache
def data() -> Dataset:
    """The 5,000 images of the exercise."""
    return datasets.load("ex4", cache=str(DATA))


def split() -> Split:
    """Training and test part of the default run."""
    return data().split(0.2, 0.0, 0)


def theta0(layers: tuple[int, ...] = LAYERS) -> np.ndarray:
    """Initial theta of the default run."""
    return initialize(layers, 0.12, np.random.default_rng(0))


def flop(n_samples: int, layers: tuple[int, ...] = LAYERS) -> float:
    """Floating-point operations of the matrix products of one evaluation of cost and gradient."""
    pairs = list(pairwise(layers))
    forward_and_gradient = sum(a * b for a, b in pairs) * 2
    back = sum(a * b for a, b in pairs[1:])
    return 2.0 * n_samples * (forward_and_gradient + back)
