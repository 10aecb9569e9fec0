import numpy as np
import pytest

from nnexp.tasks.network.report.layers import match_units


@pytest.fixture
def weights():
    return np.random.default_rng(0).normal(size=(8, 30))


def test_a_known_permutation_is_found(weights):
    order = np.random.default_rng(1).permutation(8)
    found = match_units(weights, weights[order])
    assert (order[found.partner] == np.arange(8)).all()
    assert found.correlation == pytest.approx(np.ones(8))


def test_units_turned_in_sign_scaled_and_shifted_are_found(weights):
    order, signs = np.random.default_rng(2).permutation(8), np.array([1, -1] * 4)
    other = 3 * signs[:, None] * weights[order] + 0.7
    found = match_units(weights, other)
    assert (order[found.partner] == np.arange(8)).all()
    assert found.correlation == pytest.approx(signs[found.partner])


def test_turned_units_are_alike_only_where_signs_do_not_count(weights):
    other = np.stack([-weights[0], weights[1] + 2 * weights[0]])
    assert match_units(weights[:2], other).partner.tolist() == [0, 1]
    assert match_units(weights[:2], other, either_sign=False).partner.tolist() == [1, 0]


@pytest.mark.parametrize("kept", [5, 8])
def test_a_smaller_layer_leaves_units_without_a_partner(weights, kept):
    found = match_units(weights, weights[:kept])
    assert found.partner.tolist() == [*range(kept), *[-1] * (8 - kept)]
    assert (found.correlation[kept:] == 0).all()


def test_the_sum_of_likeness_is_the_largest_there_is():
    # Unit 0 is like both, unit 1 only like the first: greedy matching would leave unit 1 with nothing.
    base = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])
    reference = np.stack([base[0] + 0.9 * base[1], base[0]])
    other = np.stack([base[0] + 0.1 * base[1], base[1] + 0.1 * base[0]])
    assert match_units(reference, other).partner.tolist() == [1, 0]


def test_constant_units_do_no_harm(weights):
    other = weights.copy()
    other[3] = 0
    found = match_units(weights, other)
    assert np.isfinite(found.correlation).all()
    assert sorted(found.partner) == list(range(8))
