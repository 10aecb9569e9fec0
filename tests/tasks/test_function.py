"""What a function says of its metrics by its attributes."""

import pandas as pd
import pytest

from nnexp.comparison.settings import REPLICATE
from nnexp.readers import ConfigError
from nnexp.tasks.function import load

SOURCE = """
from nnexp.tasks.presentation import MetricSpec

def train(run, lr=0.1):
    return {"distance": lr}
"""


@pytest.fixture
def loaded(tmp_path, monkeypatch, request):
    """Loads the task of a file with the function and what is written below it."""

    def load_with(text):
        name = f"own_{request.node.name.partition('[')[0]}_{abs(hash(text))}"
        (tmp_path / f"{name}.py").write_text(SOURCE + text)
        monkeypatch.syspath_prepend(str(tmp_path))
        return load(f"{name}.train")

    return load_with


def test_a_function_without_attributes_ranks_nothing(loaded):
    task = loaded("")
    assert task.ranking([{"distance": 1.0}], [{}]) == []
    assert task.comparison.metric("distance").higher_is_better is None


def test_a_function_says_what_ranks_its_runs(loaded):
    task = loaded("""
train.metrics = {"distance": MetricSpec("distance to zero", higher_is_better=False)}
train.objective = "distance"
""")
    assert task.ranking([{"distance": 1.0}], [{}]) == ["distance"]
    assert task.ranks("distance")
    assert task.comparison.metric("distance").name == "distance to zero"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.metrics = {'distance': 'metres'}", "must map keys to MetricSpec"),
        ("train.objective = 'distance'", "must be one of its `metrics`, got 'distance'"),
    ],
)
def test_attributes_that_make_no_sense_are_rejected(loaded, text, message):
    with pytest.raises(ConfigError, match=message):
        loaded(text)


def test_defaults_that_no_config_can_hold_are_no_part_of_the_identity(loaded):
    """Their texts differ from process to process: the address of an object, the order of a set."""
    task = loaded("""
def train(run, lr=0.1, sizes=(1, 2), loss=object(), tags=frozenset("abc"), more={"a": object()}): ...
""")
    options = task.read({"task": {"options": {}}, "seed": 3})
    assert task.deciding(options) == {
        "task.name": task.name, "task.options.lr": 0.1, "task.options.sizes": (1, 2), "seed": 3}  # fmt: skip


def test_a_function_says_that_each_seed_holds_out_another_part(loaded):
    objective = """
train.metrics = {"distance": MetricSpec("distance to zero", higher_is_better=False)}
train.objective = "distance"
"""
    runs = pd.DataFrame({"seed": [0, 1], REPLICATE: [(("seed", 0),), (("seed", 1),)]})
    for text, ratio in ((objective, None), (objective + "train.held_out = 0.2\n", 0.25)):
        spec = loaded(text).comparison
        design, units = spec.design(runs, None)
        assert design.ratio == ratio
        assert len(units) == 2
    with pytest.raises(ConfigError, match=r"`held_out` of .* must be a share in \(0, 1\), got 20"):
        loaded(objective + "train.held_out = 20\n")
