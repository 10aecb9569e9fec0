"""That a page has its parts about data sets, splits and searches where its runs have them."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.report.runs import stored_run
from tests.report.test_other_tasks import Rated
from tests.report.test_report import assert_stands_alone, names, report

pytestmark = pytest.mark.slow  # each takes seconds, alone or by its fixtures


def runs_of(folder, accuracy, **swept):
    """A run without a history for each combination."""
    found = []
    for number, values in enumerate(itertools.product(*swept.values())):
        params = dict(zip(swept, values, strict=True))
        metrics = {"accuracy/test": float(accuracy(**params))}
        found.append(stored_run(folder, number, metrics=metrics, digest=str(params.get("data__name")), **params))
    return found


def test_several_data_sets_have_a_part_of_their_own(tmp_path):
    def accuracy(data__name, optimizer__method, seed):
        return 0.9 - 0.1 * len(optimizer__method) - 0.01 * len(data__name) + 0.001 * seed

    swept = {"data__name": ("digits", "wine", "iris"), "optimizer__method": ("CG", "TNC", "Adam"), "seed": (0, 1)}
    result = report(runs_of(tmp_path / "runs", accuracy, **swept), tmp_path / "out")
    page = result.path.read_text()
    assert_stands_alone(page)
    assert "<h2>Over all data sets</h2>" in page
    assert "CG has the best average rank (1.00), then TNC (2.00) and Adam (3.00)." in page
    assert "Critical-difference diagram" in page
    assert "ranks" in names(result)
    assert "Average ranks were compared by Friedman&#39;s test" in page
    assert page.count("The settings were ranked by the mean of the test accuracy") == 1  # what all data sets share
    ranks = next(text for text in result.sentences if text.startswith("3 settings on 3 data sets (digits, wine and "))
    assert ranks in result.choice


def test_several_tasks_with_several_data_sets_each_have_a_part_each(tmp_path, monkeypatch):
    monkeypatch.setattr("nnexp.tasks.recorded", lambda name: Rated())
    runs = []
    for task, data, lr in itertools.product(("first", "second"), "ab", (1, 2, 3)):
        run = stored_run(tmp_path / "runs", len(runs), metrics={"score": 0.9 - 0.1 * lr}, digest=data)
        runs.append(
            replace(run, params={"task.options.lr": str(lr), "seed": "0"}, tags=run.tags | {"nnexp.task": task})
        )
    result = report(runs, tmp_path / "out")
    page = result.path.read_text()
    assert {"first-ranks", "second-ranks"} <= names(result)
    assert "<h2>Over all data sets of first</h2>" in page
    assert "<h2>Over all data sets of second</h2>" in page
    assert_stands_alone(page)


def test_a_sweep_of_splits_and_seeds_says_where_the_variance_comes_from(tmp_path):
    rng = np.random.default_rng(0)
    effects = rng.normal(size=(4, 4))

    def accuracy(data__split_seed, seed):
        return 0.9 + 0.02 * effects[0, data__split_seed] + 0.005 * effects[data__split_seed, seed]

    result = report(runs_of(tmp_path / "runs", accuracy, data__split_seed=range(4), seed=range(4)), tmp_path / "out")
    assert any("over 4 splits with 4 seeds each, the split has" in sentence for sentence in result.sentences)
    assert "Where the variance of test accuracy comes from" in result.path.read_text()


def test_a_search_says_which_of_its_keys_mattered(tmp_path, monkeypatch):
    monkeypatch.setattr("nnexp.comparison.searches.RANDOM_KEYS", 1)
    monkeypatch.setattr("nnexp.comparison.searches.TREES", 8)
    rng = np.random.default_rng(0)
    runs = [
        stored_run(
            tmp_path / "runs",
            number,
            metrics={"accuracy/test": float(0.9 - 0.02 * np.log10(l2))},
            model__l2=l2,
            model__init_scale=rng.uniform(),
        )
        for number, l2 in enumerate(10 ** rng.uniform(-2, 2, 12))
    ]
    result = report(runs, tmp_path / "out")
    assert "importances" in names(result)
    assert any(
        sentence.startswith("Of what the searched keys explain of test accuracy") for sentence in result.sentences
    )
    assert_stands_alone(result.path.read_text())
