"""The published values of the exercise, with its own weights and images."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from nnexp.nn import Objective, backprop, full_check, initialize, predict

SIZES = (400, 25, 10)
WEIGHTS = Path(os.environ.get("NNEXP_EX4_WEIGHTS", Path(__file__).parents[3] / "shared" / "data" / "ex4weights.mat"))


@pytest.fixture(scope="module")
def images(cache):
    from nnexp.datasets import load

    return load("ex4", cache=cache)


@pytest.fixture(scope="module")
def theta():
    if not WEIGHTS.exists():
        pytest.skip(f"no file {WEIGHTS}; NNEXP_EX4_WEIGHTS says where the exercise's weights are")
    stored = loadmat(WEIGHTS)
    return np.concatenate([stored["Theta1"].ravel(), stored["Theta2"].ravel()])


@pytest.mark.parametrize(("l2", "cost"), [(0, 0.287629165161319), (1, 0.3837698590909237), (3, 0.5760512469501331)])
def test_the_cost_is_the_published_one(images, theta, l2, cost):
    assert Objective(images.X, images.Y, SIZES, l2=l2)(theta)[0] == pytest.approx(cost, rel=1e-13)


def test_float32_gives_the_published_cost_to_its_precision(images, theta):
    assert Objective(images.X, images.Y, SIZES, dtype=np.float32)(theta)[0] == pytest.approx(0.287629165, rel=1e-5)


def test_the_training_accuracy_is_the_published_one(images, theta):
    fun = Objective(images.X, images.Y, SIZES)
    assert np.mean(predict(fun.logits(theta)) == images.y) == 0.9752


@pytest.mark.slow
def test_the_gradient_passes_the_full_check_on_some_of_the_images(images):
    part = images.subset(np.arange(0, 5000, 100))
    theta = initialize(SIZES, 0.12, np.random.default_rng(0))
    _, gradient = Objective(part.X, part.Y, SIZES, l2=1.0)(theta)
    result = full_check(part.X, part.Y, SIZES, theta, gradient, activation="sigmoid", l2=1.0)
    assert result.n_params == 10285
    assert result.central_difference < 1e-8
    assert result.complex_step < 1e-13


@pytest.mark.parametrize(("l2", "cost"), [(0, 0.287629165161319), (1, 0.3837698590909237), (3, 0.5760512469501331)])
def test_the_courses_form_gives_the_published_cost_and_the_fast_gradient(images, theta, l2, cost):
    plain = images.X, images.Y, SIZES
    assert backprop.cost(theta, *plain, l2=l2) == pytest.approx(cost, rel=1e-13)
    gradient = Objective(*plain, l2=l2)(theta)[1]
    np.testing.assert_allclose(gradient, backprop.gradient(theta, *plain, l2=l2), rtol=0, atol=1e-15)
