"""The simulation of docs/statistics.md, with fewer repetitions."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def simulation():
    spec = importlib.util.spec_from_file_location("simulation", DOCS / "simulation.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_equal_methods_are_rarely_called_different_and_intervals_hold_the_truth(simulation):
    rng = np.random.default_rng(0)
    truth = simulation.true_accuracy(rng, 300)
    rejected, covered, single = simulation.simulate(10, 300, truth, rng)
    corrected, paired_t, flips = rejected
    assert corrected <= 0.09  # three standard errors above 5 %
    assert min(paired_t, flips) > 0.15
    assert covered[0] >= 0.91 > 0.85 > covered[1]
    assert single >= 0.91
