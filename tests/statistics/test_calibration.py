"""Calibration against scikit-learn and against its definition, sample by sample."""

import itertools
import json
import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from nnexp.statistics.calibration import EDGES, N_BINS, Calibration, calibration, pooled


def drawn(n=400, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(n_classes, 0.4), size=n)
    return p, np.array([rng.choice(n_classes, p=row) for row in p])


def plain_ece(p, y):
    """Of the definition: for each bin, its samples one by one."""
    gap = 0.0
    for low, high in itertools.pairwise(EDGES):
        held = [i for i in range(len(y)) if low < max(p[i]) <= high]
        if held:
            confidence = math.fsum(max(p[i]) for i in held) / len(held)
            accuracy = sum(list(p[i]).index(max(p[i])) == y[i] for i in held) / len(held)
            gap += len(held) / len(y) * abs(accuracy - confidence)
    return gap


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_the_brier_score_is_scikit_learns_without_its_half(n_classes):
    p, y = drawn(n_classes=n_classes)
    expected = brier_score_loss(np.eye(n_classes)[y], p, scale_by_half=False)
    assert calibration(p, y).brier == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_the_calibration_error_is_that_of_its_definition(n_classes):
    p, y = drawn(n_classes=n_classes, seed=n_classes)
    assert calibration(p, y).ece == pytest.approx(plain_ece(p, y), rel=1e-12, abs=1e-12)


def test_a_probability_on_an_edge_is_in_the_bin_below():
    p = np.array([[EDGES[9], 1 - EDGES[9]], [1.0, 0.0]])
    found = calibration(p, np.array([0, 1]))
    assert np.flatnonzero(found.counts).tolist() == [8, N_BINS - 1]
    assert found.right[[8, N_BINS - 1]].tolist() == [1, 0]


def test_sure_and_right_is_zero_and_sure_and_wrong_is_the_worst():
    p = np.eye(3)
    assert (calibration(p, np.arange(3)).brier, calibration(p, np.arange(3)).ece) == (0, 0)
    assert (calibration(p, np.array([1, 2, 0])).brier, calibration(p, np.array([1, 2, 0])).ece) == (2, 1)


def test_parts_taken_together_are_the_whole():
    p, y = drawn()
    whole, parts = calibration(p, y), pooled([calibration(p[:150], y[:150]), calibration(p[150:], y[150:])])
    assert parts.n == whole.n == 400
    assert parts.brier == pytest.approx(whole.brier, rel=1e-12)
    assert parts.ece == pytest.approx(whole.ece, rel=1e-12)


def test_it_is_kept_as_json_and_read_again_and_other_bins_are_refused():
    found = calibration(*drawn(n=20))
    text = json.dumps(found.as_dict(), allow_nan=False)
    again = Calibration.from_dict(json.loads(text))
    assert again.as_dict() == found.as_dict()
    with pytest.raises(ValueError, match="15 bins"):
        Calibration.from_dict(json.loads(text) | {"edges": [0, 0.5, 1]})


@pytest.mark.parametrize(("p", "y"), [(np.eye(2), np.zeros(3, int)), (np.zeros((0, 2)), np.zeros(0, int))])
def test_shapes_that_do_not_fit_are_refused(p, y):
    with pytest.raises(ValueError, match="expected probabilities"):
        calibration(p, y)
