"""A task of one's own is run again like the network: identical, or different where its code or an option is."""

import json

import pytest

from nnexp.cli import main
from tests.tools.real_runs import commands

pytestmark = pytest.mark.slow  # each takes seconds, alone or by its fixtures

TASK = """
import numpy as np

def train(run, lr=0.1, steps=5):
    x = np.array([1.0, -2.0])
    for step in range(steps):
        x = x - lr * 2 * x
        run.log({"loss": float(x @ x)}, step)
    run.save("point.npz", x=x)
    return {"loss": float(x @ x)}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the task and a run of it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "toy.py").write_text(TASK)
    run = ["task=custom", "task.name=toy.train", "task.options.lr=0.2", "tracking=none", "hydra.run.dir=outputs/runs/a"]
    [(status, _, err)] = commands(folder, run)
    assert status == 0, err
    return folder


def checked(folder, *overrides):
    """Exit status and JSON object of a rerun with a check."""
    [(status, out, err)] = commands(folder, ["rerun", "a", "--check", "--json", "tracking=none", *overrides])
    assert out, err
    return status, json.loads(out)


def test_it_is_run_again_identical(folder):
    status, told = checked(folder)
    assert (status, told["verdict"], told["changed"]) == (0, "identical", [])
    assert told["compared"] == "5 rows of the history and x"


def test_another_option_and_changed_code_are_found_and_named(folder):
    status, told = checked(folder, "task.options.lr=0.3")
    assert (status, told["verdict"], told["changed"]) == (3, "different", ["config: task.options.lr 0.2 -> 0.3"])
    (folder / "toy.py").write_text(TASK.replace("lr * 2 * x", "lr * 2.001 * x"))
    try:
        status, told = checked(folder)
    finally:
        (folder / "toy.py").write_text(TASK)
    assert (status, told["verdict"], told["changed"]) == (3, "different", ["code: toy.py (train)"])


def test_what_it_does_not_have_is_one_line(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    task = ["task=custom", "task.name=toy.train"]
    lines = {
        "has no weights": ["evaluate", "--weights", "a"],
        "has no gradient": ["gradcheck", *task],
        "`task.options.lrr` is not an option of toy.train; its options are lr, steps": [
            "gradcheck",
            *task,
            "task.options.lrr=1",
        ],
    }
    for said, words in lines.items():
        assert main(words) == 2
        out, err = capsys.readouterr()
        assert (out, len(err.splitlines()), said in err) == ("", 1, True)
