"""Reference runs: trained once, kept, and only used for the problem that they are of."""

import json
from functools import cache

import numpy as np
import pytest
from omegaconf import OmegaConf

from nnexp.comparison.spec import References
from nnexp.compose import compose
from nnexp.datasets import load
from nnexp.tasks.network.report import references
from nnexp.tasks.network.report.keys import COST
from nnexp.tasks.network.report.problems import Attempt, Method, Problem
from nnexp.tasks.network.training import fit

TNC = Method("TNC")


@cache
def recorded(seed, *overrides):
    words = ["experiment=smoke", f"seed={seed}", "data.cache=null", *overrides]
    return OmegaConf.to_yaml(compose(words), resolve=True).encode()


@pytest.fixture(scope="module")
def starts():
    """The costs at the start of two seeds of experiment=smoke."""
    data = load("digits", cache=None)
    return data.digest, [
        fit(data.split(0.2, 0, seed, "none"), hidden_sizes=[8], maxfun=1, seed=seed).cost for seed in range(2)
    ]


def attempt(seed, start):
    """A run that began at a cost; its id says its seed."""
    return Attempt(str(seed), (20.0,), {COST: np.array([start, 3.0])})


@pytest.fixture
def problems(starts):
    digest, costs = starts
    return [
        Problem("digits", digest, (("seed", seed),), (), {TNC: attempt(seed, cost)}) for seed, cost in enumerate(costs)
    ]


def read(run_id, name, parse):
    assert name == "config/config.yaml"
    return parse(recorded(int(run_id)))


@pytest.fixture
def wanted(tmp_path):
    return References(tmp_path / "references", 12)


def test_references_begin_where_the_runs_do_and_are_trained_once(problems, wanted, monkeypatch, capfd):
    made = references.of_problems(problems, read, wanted)
    assert [reference.evaluations for reference in made] == [12, 12]
    assert all(reference.cost < 4 for reference in made)
    assert not any(reference.has_ended for reference in made)
    assert "reference 2 of 2, digits, seed 1: cost " in capfd.readouterr().err
    files = sorted(wanted.folder.iterdir())
    assert {path.stem for path in files} == {reference.key for reference in made}

    monkeypatch.setattr(references, "fit", None)  # nothing is trained again
    assert references.of_problems(problems, read, wanted) == made
    assert capfd.readouterr().err == ""


def test_another_budget_is_another_reference(problems, wanted):
    (short,) = references.of_problems(problems[:1], read, References(wanted.folder, 5))
    (long,) = references.of_problems(problems[:1], read, wanted)
    assert short.key != long.key
    assert long.cost < short.cost


def test_a_crash_in_the_middle_loses_only_what_was_not_done(problems, wanted, monkeypatch, capfd):
    train, done = references._train, []

    def interrupted(*args):
        if done:
            raise KeyboardInterrupt
        done.append(train(*args))
        return done[0]

    monkeypatch.setattr(references, "_train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        references.of_problems(problems, read, wanted)
    monkeypatch.setattr(references, "_train", train)
    capfd.readouterr()
    assert references.of_problems(problems, read, wanted)[0] == done[0]
    assert "reference 1 of 2" not in capfd.readouterr().err


def test_ctrl_c_while_training_keeps_nothing_half_done(problems, wanted, monkeypatch):
    def struck(split, *, on_row, **settings):
        def strike(row):
            raise KeyboardInterrupt

        return fit(split, on_row=strike, **settings)

    monkeypatch.setattr(references, "fit", struck)
    with pytest.raises(KeyboardInterrupt):
        references.of_problems(problems, read, wanted)
    assert not wanted.folder.exists() or not list(wanted.folder.iterdir())


def test_a_damaged_file_is_told_and_trained_anew(problems, wanted, capfd):
    (made,) = references.of_problems(problems[:1], read, wanted)
    path = wanted.folder / f"{made.key}.json"
    for content in ("{", json.dumps(made.to_json() | {"cost": "low"})):
        path.write_text(content)
        capfd.readouterr()
        (again,) = references.of_problems(problems[:1], read, wanted)
        assert again.cost == made.cost
        assert f"{made.key}.json is damaged" in capfd.readouterr().err
        assert json.loads(path.read_text())["cost"] == made.cost


def test_a_reference_that_begins_elsewhere_is_of_another_problem(problems, wanted, capfd):
    problems[0].attempts[TNC].history[COST][0] += 1e-3
    assert references.of_problems(problems[:1], read, wanted) == [None]
    assert "no reference for a problem on digits: it begins at a cost of" in capfd.readouterr().err


def test_a_problem_whose_config_is_gone_has_none(problems, wanted, capfd, monkeypatch):
    monkeypatch.setattr("nnexp.runs.files._told", set())  # another test of this process may have been told
    assert references.of_problems(problems[:1], lambda *_: None, wanted) == [None]
    assert "no run on it has a config/config.yaml" in capfd.readouterr().err


def test_data_that_have_changed_are_told(starts, problems, wanted, capfd):
    other = Problem("digits", "0" * 32, (("seed", 0),), (), problems[0].attempts)
    assert references.of_problems([other], read, wanted) == [None]
    assert "the data have changed since its runs were made" in capfd.readouterr().err
