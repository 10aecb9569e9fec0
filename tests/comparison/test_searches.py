"""Which of the searched keys mattered, of trials made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from nnexp.comparison import searches
from nnexp.comparison.sections import Section
from tests.report.runs import grid, grouped, stored_run

pytestmark = pytest.mark.slow  # a forest for each random key


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(searches, "RANDOM_KEYS", 2)
    monkeypatch.setattr(searches, "TREES", 24)


def trials(folder, n, *, seed=0, noise=0.005, seeds=(0,), **others):
    """A search of three keys: the accuracy falls with the logarithm of lambda, a little with the units, no more."""
    rng, runs = np.random.default_rng(seed), []
    for number in range(n):
        l2, size, scale = 10 ** rng.uniform(-3, 2), int(rng.integers(5, 60)), rng.uniform(0.05, 0.5)
        for each in seeds:
            accuracy = 0.9 - 0.02 * np.log10(l2) + 0.0004 * size + noise * rng.normal()
            params = {"model__l2": l2, "model__hidden_size": size, "model__init_scale": scale, "seed": each}
            metrics = {"accuracy/test": float(accuracy)}
            runs.append(stored_run(folder, number * len(seeds) + each, metrics=metrics, **params, **others))
    return runs


def section_of(runs):
    [group] = grouped(runs)
    section = Section("")
    searches.add_to(section, group)
    return section


def test_the_key_that_decides_has_the_largest_share_and_noise_is_called_so(tmp_path):
    [group] = grouped(trials(tmp_path, 40))
    found = searches.importances(group)
    assert list(found.shares)[:2] == ["model.l2", "model.hidden_size"]
    assert sum(found.shares.values()) == pytest.approx(1)
    # Of the variance of uniform draws, width^2 / 12: (0.02 * 5)^2 of lambda to (0.0004 * 55)^2 of the units.
    assert found.shares["model.l2"] == pytest.approx(0.01 / (0.01 + 0.022**2), abs=0.06)
    assert found.shares["model.init_scale"] < 2 * found.noise < 0.1
    assert found == searches.importances(group)  # the forest has a seed of its own


def test_the_section_has_a_sentence_a_table_and_a_picture_and_few_trials_are_a_guess(tmp_path):
    section = section_of(trials(tmp_path, 14))
    [sentence], [table], [picture] = section.sentences, section.tables, section.pictures
    assert sentence.startswith(
        "Of what the searched keys explain of test accuracy, each by itself, over 14 trials: lambda "
    )
    assert "14 trials are few for this: it is a guess below some 30." in sentence
    assert table.rows[0][0] == "lambda"
    assert picture.name == "importances"


def test_a_key_that_not_all_trials_have_is_left_out_and_said(tmp_path):
    runs = trials(tmp_path / "a", 12)
    for i, run in enumerate(trials(tmp_path / "b", 12, seed=1)):
        own = {"optimizer.options.learning_rate": str(0.01 * (1 + i)), "optimizer.method": "Adam"}
        tags = run.tags | {"nnexp.run_key": f"more{i}"}
        runs.append(replace(run, run_id=f"more{i}", tags=tags, params=run.params | own))
    [group] = grouped(runs)
    found = searches.importances(group)
    assert found.left_out == ("optimizer.options.learning_rate",)
    assert "optimizer.method" in found.shares
    assert "Left out, since not all trials have it: learning rate." in section_of(runs).sentences[0]


def test_several_seeds_of_a_setting_are_one_trial(tmp_path):
    [group] = grouped(trials(tmp_path, 10, seeds=(0, 1)))
    assert searches.importances(group).n_trials == 10


def test_a_grid_and_a_handful_of_trials_have_no_importances(tmp_path):
    def accuracy(model__l2, model__hidden_size):
        return 0.9 - 0.01 * model__l2 + 0.001 * model__hidden_size

    runs = grid(tmp_path / "a", accuracy=accuracy, model__l2=(0.0, 1.0, 2.0, 3.0), model__hidden_size=(5, 10, 20))
    for section in (section_of(runs), section_of(trials(tmp_path / "b", 9))):
        assert (section.sentences, section.tables, section.pictures) == ([], [], [])


def test_equal_figures_have_no_importances(tmp_path):
    [group] = grouped([replace(run, metrics={"accuracy/test": 0.9}) for run in trials(tmp_path, 12)])
    assert searches.importances(group) is None
