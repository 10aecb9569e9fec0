"""What a search optimizes where its preset does not say it."""

import pytest

from nnexp.config import ConfigError
from nnexp.sweeps.search import read_settings
from nnexp.tasks.interface import Task
from nnexp.tasks.network.task import Network
from nnexp.tasks.presentation import MetricSpec

PRESET = {"n_trials": 3, "objectives": None, "directions": None}  # conf/search/tpe.yaml


class Own(Task):
    name, objective, metrics = "lab.train", "score", {"score": MetricSpec(higher_is_better=True)}


@pytest.mark.parametrize(
    ("task", "what"), [(Network(), (["loss/validation"], ["minimize"])), (Own(), (["score"], ["maximize"]))]
)
def test_it_is_what_the_task_is_judged_by(task, what):
    settings = read_settings(PRESET, task)
    assert (settings["objectives"], settings["directions"]) == what


def test_other_objectives_need_directions_of_their_own():
    with pytest.raises(ConfigError, match="one direction for each"):
        read_settings({**PRESET, "objectives": ["loss/train"]}, Own())


def test_a_task_without_an_objective_is_told_before_any_work():
    task = Own()
    task.objective = None
    with pytest.raises(ConfigError, match=r"got none, and lab\.train declares no `objective`"):
        read_settings(PRESET, task)
