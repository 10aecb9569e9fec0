"""A table of a user's own, unscaled, from the command line to the model that MLflow serves."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from nnexp import datasets
from nnexp.runs.files import read_arrays
from nnexp.tasks.network.served_model import ServedNetwork

NAMES = np.array(["nought", "one", "two"])


@pytest.fixture
def command(with_store):
    X, y = load_digits(n_class=3, return_X_y=True)
    frame = pd.DataFrame(X, columns=[f"p{i}" for i in range(64)]).assign(digit=NAMES[y])
    frame.to_csv(with_store.folder / "own.csv", index=False)

    def run(*arguments):
        return with_store(*arguments[:1], "data=csv", "data.path=own.csv", "data.target=digit", *arguments[1:])

    run.nnexp = with_store
    return run


@pytest.mark.slow
def test_a_scaled_run_is_evaluated_and_served_as_it_was_trained(command):
    hinted = command("experiment=smoke", "tracking=none")
    assert hinted.status == 0, hinted.err
    assert "hint: features reach 16;" in hinted.err

    done = command("experiment=smoke", "data.scale=standard", "seed=3")
    assert done.status == 0, done.err
    assert "hint" not in done.err
    [run] = [path for path in command.nnexp.directories() if '"scale": "standard"' in (path / "run.json").read_text()]
    result = command.nnexp.results()[run.name]
    assert result["accuracy/test"] > 0.9

    judged = command.nnexp("evaluate", "--weights", str(run), "--json")
    assert judged.status == 0, judged.err
    assert judged.json["accuracy"] == result["accuracy/test"]
    assert judged.json["train"]["cost"] == pytest.approx(result["cost"], rel=1e-12)

    raw = datasets.load("csv", path=str(command.nnexp.folder / "own.csv"), target="digit").split(0.2, 0, 3).test
    model = ServedNetwork(read_arrays(run / "weights.npz"))
    assert np.mean(model(raw.X)["label"] == np.array(raw.classes)[raw.y]) == result["accuracy/test"]

    [stored] = command.nnexp.store().search("params.`data.scale` = 'standard'")
    assert stored.status == "FINISHED"
    rerun = command.nnexp("rerun", stored.run_id, "--check", "--json")
    assert (rerun.status, rerun.json["verdict"]) == (0, "identical"), rerun.err
