import numpy as np
import pytest

from nnexp import datasets
from nnexp.optim import METHODS
from nnexp.training import fit


@pytest.fixture(scope="module")
def digits(cache):
    return datasets.load("digits", cache=str(cache)).split(0.2, 0.0, seed=0)


@pytest.mark.parametrize("method", METHODS)
def test_float32_trains_as_well_as_float64(digits, method):
    double, single = (fit(digits, hidden_sizes=[8], method=method, maxfun=120, dtype=d) for d in ("float64", "float32"))
    assert single.cost == pytest.approx(double.cost, rel=0.2)
    accuracies = [float(f.history["accuracy/test"][-1]) for f in (double, single)]
    assert np.ptp(accuracies) < 0.05
