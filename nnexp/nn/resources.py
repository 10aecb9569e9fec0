"""What a network takes before it is made: memory of an objective; memory and time of a full gradient check."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnexp.nn.objective import MOST_SUMS, SAMPLES_PER_PASS
from nnexp.nn.parameters import n_parameters

TEMPORARIES = 6  # complex arrays of one layer that live at once in a gradient check
ELEMENTS_PER_SECOND = 1e8  # that a gradient check gets through, roughly
EVALUATIONS_PER_PARAMETER = 4  # two for the central difference, and a complex one, which takes as long as two


def objective_bytes(layer_sizes: Sequence[int], n_samples: int, dtype: np.dtype) -> int:
    """Bytes that an objective takes, roughly: folded weights, sums of the gradient, samples and work arrays."""
    n_params, item = n_parameters(layer_sizes), np.dtype(dtype).itemsize
    n_sums = min(MOST_SUMS, -(-n_samples // SAMPLES_PER_PASS))
    work = 3 * sum(layer_sizes[1:]) * min(n_samples, SAMPLES_PER_PASS)
    return item * (n_params * (3 * 2 + n_sums) + layer_sizes[0] * n_samples + work)


def gradient_check_bytes(layer_sizes: Sequence[int], n_samples: int) -> int:
    """Bytes that a full gradient check takes, roughly: z of all layers twice, and the temporaries of the widest."""
    widest = max(layer_sizes[2:], default=1)
    return n_samples * (8 * 2 * sum(layer_sizes[1:]) + 16 * TEMPORARIES * widest)


def gradient_check_seconds(layer_sizes: Sequence[int], n_samples: int) -> float:
    """Seconds that a full gradient check takes, within a factor of a few: a parameter changes every later layer."""
    elements = 0.0
    for layer in range(1, len(layer_sizes)):
        n_units_after = sum(layer_sizes[layer + 1 :])
        elements += (1 + layer_sizes[layer - 1]) * layer_sizes[layer] * (1 + n_units_after)
    return EVALUATIONS_PER_PARAMETER * elements * n_samples / ELEMENTS_PER_SECOND
