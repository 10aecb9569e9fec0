import itertools

import numpy as np
import pytest

from nnexp.statistics.budgets import expected_best


@pytest.mark.parametrize("values", [[0.3, 0.1, 0.7, 0.2], [0.5, 0.5, 0.9, 0.9, 0.1], [0.4]])
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_mean_and_spread_are_those_of_all_draws(values, higher_is_better):
    found = expected_best(np.array(values), np.arange(1, 6), higher_is_better=higher_is_better)
    best_of = np.max if higher_is_better else np.min
    for n in range(1, 6):
        best = best_of(list(itertools.product(values, repeat=n)), axis=1)
        assert found.mean[n - 1] == pytest.approx(best.mean(), abs=1e-12)
        assert found.spread[n - 1] == pytest.approx(best.std(), abs=1e-12)


def test_close_values_keep_their_spread():
    found = expected_best(1e8 + np.array([0.0, 1.0]))
    assert found.spread == pytest.approx([0.5, np.sqrt(3) / 4], rel=1e-9)


def test_it_ends_at_the_number_of_trials_and_never_gets_worse():
    found = expected_best(np.random.default_rng(0).normal(size=30))
    assert found.mean.shape == found.spread.shape == (30,)
    assert (np.diff(found.mean) > 0).all()


@pytest.mark.parametrize("values", [[], [np.nan, 1.0], [[1.0]]])
def test_values_that_are_none_are_rejected(values):
    with pytest.raises(ValueError, match="finite numbers"):
        expected_best(np.array(values))
