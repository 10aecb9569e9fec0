import numpy as np
import pytest

from nnexp.nn import initialize, n_parameters, pack, unpack

SIZES = (4, 7, 3, 2)


def test_the_exercise_has_10285_parameters():
    assert n_parameters((400, 25, 10)) == 10285


def test_pack_inverts_unpack():
    theta = np.random.default_rng(0).standard_normal(n_parameters(SIZES))
    np.testing.assert_array_equal(pack(*unpack(theta, SIZES)), theta)


def test_biases_are_the_first_column_of_each_matrix():
    weights, biases = unpack(np.arange(n_parameters((2, 3, 1))), (2, 3, 1))
    np.testing.assert_array_equal(biases[0], [0, 3, 6])
    np.testing.assert_array_equal(weights[0], [[1, 2], [4, 5], [7, 8]])
    np.testing.assert_array_equal(biases[1], [9])
    np.testing.assert_array_equal(weights[1], [[10, 11, 12]])


def test_unpack_gives_views():
    theta = np.zeros(n_parameters(SIZES))
    weights, biases = unpack(theta, SIZES)
    for view in (*weights, *biases):
        view += 1
    assert np.all(theta == 1)


def test_the_exercises_start_is_one_uniform_draw_in_the_order_of_theta():
    theta = initialize((400, 25, 10), 0.12, np.random.default_rng(0))
    np.testing.assert_array_equal(theta, np.random.default_rng(0).uniform(-0.12, 0.12, 10285))


def test_glorot_scales_each_layer_and_leaves_biases_zero():
    weights, biases = unpack(initialize((300, 100, 10), "glorot", np.random.default_rng(0)), (300, 100, 10))
    for weight, (n_in, n_out) in zip(weights, [(300, 100), (100, 10)], strict=True):
        limit = np.sqrt(6 / (n_in + n_out))
        assert 0.95 * limit < np.abs(weight).max() <= limit
        np.testing.assert_allclose(weight.var(), 2 / (n_in + n_out), rtol=0.15)
    assert not np.concatenate(biases).any()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: unpack(np.zeros(5), (2, 1)), r"shape \(3,\).*got \(5,\)"),
        (lambda: initialize((2, 1), -0.1, np.random.default_rng(0)), "`init_scale`.*-0.1"),
        (lambda: initialize((2, 1), np.nan, np.random.default_rng(0)), "`init_scale`.*nan"),
        (lambda: initialize((2, 1), "he", np.random.default_rng(0)), "`init_scale`.*'he'"),
        (lambda: initialize((2, 0, 1), 0.1, np.random.default_rng(0)), "`layer_sizes`"),
        (lambda: initialize((2,), 0.1, np.random.default_rng(0)), "`layer_sizes`"),
        (lambda: pack([np.zeros((3, 2)), np.zeros((1, 4))], [np.zeros(3), np.zeros(1)]), "expected weights of shapes"),
    ],
)
def test_what_does_not_fit_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
