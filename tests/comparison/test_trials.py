"""The expected best of a search over its trials."""

import numpy as np
import pytest

from nnexp.comparison import trials
from nnexp.comparison.citing import cited
from nnexp.comparison.sections import Section
from nnexp.statistics.budgets import expected_best
from tests.report.runs import grouped, stored_run


def search(folder, n=12, seeds=(0,), **more):
    """Trials whose test accuracy follows no order."""
    rng, runs = np.random.default_rng(0), []
    for trial in range(n):
        for seed in seeds:
            metrics = {"accuracy/test": float(rng.uniform(0.7, 0.9)), "loss/test": 1.0}
            swept = {key: value(trial) for key, value in more.items()}
            runs.append(stored_run(folder, len(runs), metrics=metrics, model__l2=1.5**-trial, seed=seed, **swept))
    return runs


def test_a_search_tells_what_fewer_trials_would_have_found(tmp_path):
    runs = search(tmp_path, seeds=(0, 1))
    (group,) = grouped(runs)
    (found,) = trials.searches(group)
    in_order = [np.mean([run.metrics["accuracy/test"] for run in runs[2 * i : 2 * i + 2]]) for i in range(12)]
    assert found.values == pytest.approx(in_order)  # as they began, not as their lambdas rise
    section = Section("x")
    trials.add_to(section, group)
    best = expected_best(np.array(in_order))
    mean, spread, highest = 100 * best.mean[5], 100 * best.spread[5], 100 * max(in_order)
    assert section.sentences == [
        f"6 trials, half of the 12, drawn at random would have found a test accuracy of {mean:.2f} % on average "
        f"(standard deviation {spread:.2f} points); all of them found {highest:.2f} %."
    ]
    (picture,) = section.pictures
    assert cited(section.methods) == ["dodge2019"]
    assert "Dots: the best so far of the 12 trials in the order in which they began." in picture.caption
    assert "A trial is the mean over its seeds." in picture.caption
    assert "Chosen and reported by one figure, test accuracy" in picture.caption
    expected, so_far = picture.figure.axes[0].lines
    assert expected.get_ydata() == pytest.approx(100 * best.mean)
    assert so_far.get_ydata() == pytest.approx(100 * np.maximum.accumulate(in_order))


def test_methods_that_are_tuned_are_searches_of_their_own(tmp_path):
    (group,) = grouped(search(tmp_path, optimizer__method=lambda trial: ("Adam", "SGD", "SGD", "SGD", "CG")[trial % 5]))
    found = trials.searches(group)
    assert [(one.name, len(one.values)) for one in found] == [("Adam", 3), ("SGD", 7)]
    section = Section("x")
    trials.add_to(section, group)
    assert section.sentences == []
    assert "One line for each method of which 3 settings or more were tried." in section.pictures[0].caption


def test_a_small_sweep_and_one_without_numbers_are_no_search(tmp_path):
    (group,) = grouped(search(tmp_path, n=9))
    assert trials.searches(group) == []
    metrics = {"accuracy/test": 0.8}
    (group,) = grouped([stored_run(tmp_path, i, metrics=metrics, model__activation=f"own.a{i}") for i in range(12)])
    assert trials.searches(group) == []
