"""An activation of a user's own, from the command line to what is judged and made again."""

import json
import sys

import numpy as np
import pytest

from tests.tools import warm

UNITS = """
import numpy as np

def swish(z):
    return z / (1 + np.exp(-z))

def slope(z):
    s = 1 / (1 + np.exp(-z))
    return s + z * s * (1 - s)

swish.derivative = slope
pair = (np.tanh, lambda z: 1 - np.tanh(z) ** 2, lambda z: -2 * np.tanh(z) * (1 - np.tanh(z) ** 2))
wrong = (swish, lambda z: slope(z) + 1e-4, slope)

def bare(z):
    return z
"""


USE = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlflow
from nnexp import datasets

part = datasets.load("digits", cache=sys.argv[2]).split(0.2).test
uri = f"models:/{sys.argv[1]}"
labels = mlflow.pyfunc.load_model(uri).predict(part.X)["label"]
print(json.dumps([float((labels == part.y).mean()), mlflow.sklearn.load_model(uri).score(part.X, part.y)]))
"""


def run_of(store, directory):
    uid = json.loads((directory / "run.json").read_text())["uid"]
    return next(run.run_id for run in store.search() if run.tags.get("nnexp.uid") == uid)


@pytest.fixture
def units(with_store):
    (with_store.folder / "units.py").write_text(UNITS)
    return with_store


@pytest.mark.slow
def test_it_is_swept_made_again_judged_and_known_again(units):
    words = ("experiment=smoke", "training.dtype=float32", "model.hidden_size=[6,4]", "model.activation=units.swish")
    sweep = units("-m", *words, "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert sweep.status == 0, sweep.err
    first = units.directories()[0]
    assert (first / "environment/sources/units.py").read_text() == UNITS
    assert (first / "confusion_matrix.png").exists()
    rerun, judged = units.each(
        ["rerun", str(first), "--check", "--json"], ["evaluate", "--weights", str(first), "--json"]
    )
    assert (rerun.status, rerun.json["verdict"]) == (0, "identical"), rerun.err
    assert judged.json["accuracy"] == units.results()[first.name]["accuracy/test"]
    with np.load(first / "weights.npz") as arrays:
        assert str(arrays["activation"]) == "units.swish"

    store = units.store()
    (model,) = store.client.search_logged_models([store.experiment_id], f"source_run_id = '{run_of(store, first)}'")
    (units.folder / "elsewhere").mkdir()
    words = [sys.executable, "-c", USE, model.model_id, str(units.cache)]
    status, out, err = warm.run(words, units.folder / "elsewhere", {"MLFLOW_TRACKING_URI": store.uri})
    assert status == 0, err
    accuracies = json.loads(out.splitlines()[-1])
    assert accuracies == [pytest.approx(units.results()[first.name]["accuracy/test"], abs=0.01)] * 2  # of float32

    (units.folder / "units.py").write_text(UNITS.replace("z / (1", "1.01 * z / (1").replace("s + z", "1.01 * s + z"))
    changed = units("evaluate", "--weights", str(first))
    assert changed.status == 2
    assert "`model.activation` units.swish" in changed.err


@pytest.mark.slow
def test_it_trains_as_the_built_in_one_that_it_is_and_what_does_not_fit_is_refused(units):
    words = ("experiment=smoke", "tracking=none", "optimizer=newton_cg", "optimizer.maxfun=20")
    wrong = {
        "units.swish": "`model.activation` units.swish has no second derivative, which `optimizer.method` needs",
        "units.wrong": "`model.activation` units.wrong: the derivative at z = ",
        "units.bare": "`model.activation` units.bare has no derivative; give it one",
        "units.swich": "`model.activation` must name something that can be imported, got 'units.swich'",
        "tahn": "`model.activation` must be one of sigmoid, tanh, relu, got 'tahn'; did you mean tanh?",
    }
    lines = [[*words, f"model.activation={name}"] for name in ("tanh", "units.pair", *wrong)]
    builtin, own, *refusals = units.each(*lines)
    assert (builtin.status, own.status) == (0, 0), builtin.err + own.err
    one, other = (each["cost"] for each in units.results().values())
    assert one == pytest.approx(other, rel=1e-9)
    for refused, told in zip(refusals, wrong.values(), strict=True):
        assert (refused.status, len(refused.err.splitlines())) == (2, 1)
        assert refused.err.startswith(told), refused.err
    assert len(units.directories()) == 2
