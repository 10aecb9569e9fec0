import numpy as np
import pytest

from nnexp import datasets
from nnexp.optim import METHODS
from nnexp.tasks.network.training import fit


@pytest.fixture(scope="module")
def digits(cache):
    return datasets.load("digits", cache=str(cache)).split(0.2, 0.0, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_float32_trains_as_well_as_float64(digits, method):
    double, single = (fit(digits, hidden_sizes=[8], method=method, maxfun=120, dtype=d) for d in ("float64", "float32"))
    assert single.cost == pytest.approx(double.cost, rel=0.2)
    accuracies = [float(f.history["accuracy/test"][-1]) for f in (double, single)]
    assert np.ptp(accuracies) < 0.05


def test_the_last_row_is_an_iterate_and_what_is_kept_of_an_earlier_one_is_said_apart(digits):
    options = {"learning_rate": 20.0, "momentum": 0.0}
    result = fit(digits, hidden_sizes=[8], method="SGD", maxiter=8, options=options, l2=0.0, evaluate_every=3)
    costs = result.history["cost/train"]
    assert (result.n_iter, result.n_fev, len(costs)) == (8, 9, 9)
    assert result.kept_iter == int(np.argmin(costs)) < 8
    assert result.cost == result.kept["cost/train"] == costs.min() < costs[-1]
    assert result.loss == result.kept["loss/train"] == result.history["loss/train"][result.kept_iter]
    assert not np.isnan(result.history["accuracy/test"][-1])
    assert result.message.endswith(f"Kept is the best point, of iteration {result.kept_iter}.")
