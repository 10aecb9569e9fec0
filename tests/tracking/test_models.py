"""The model of a run as others use it: served, evaluated by MLflow, loaded as a classifier of scikit-learn."""

import json
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nnexp.nn import initialize, pack, unpack
from nnexp.runs.files import read_arrays
from nnexp.tasks.network import served_model
from nnexp.tasks.network.estimator import from_run
from nnexp.tasks.network.served_model import ServedNetwork, labels_of, probabilities
from nnexp.tasks.presentation import TrainedModel
from nnexp.tracking import models as making
from tests.tools import warm
from tests.tools.stored import models

SIZES = (4, 5, 3)


@pytest.fixture
def arrays():
    """Weights of a network whose classes do not ascend, as those of the exercise."""
    rng = np.random.default_rng(0)
    theta = initialize(SIZES, 1.0, rng)
    weights, biases = unpack(theta, SIZES)
    layers = {f"weights_{i}": w for i, w in enumerate(weights)} | {f"biases_{i}": b for i, b in enumerate(biases)}
    scaling = {"scale_offset": rng.random(4), "scale_factor": 1 + rng.random(4)}
    about = {"n_layers": np.array(2), "layer_sizes": np.array(SIZES), "activation": np.array("tanh")}
    return {"theta": theta, "classes": np.array(["1", "2", "0"]), **about, **layers, **scaling}


VALUES = {"loss": 0.5, "cost": 0.6, "n_iter": 1, "n_fev": 2, "optimizer_status": "maxiter", "message": "stopped"}
HISTORY = {"loss/train": np.array([0.7, 0.5])}


def test_the_served_network_and_the_classifier_are_the_same(arrays):
    X = np.random.default_rng(1).random((50, 4))
    params = {"model.hidden_size": 5, "data.scale": "standard", "optimizer.options.eta": 0.25, "seed": 3}
    served, classifier = ServedNetwork(arrays), from_run(params, arrays, VALUES, HISTORY)
    assert list(served.classes_) == list(classifier.classes_) == [0, 1, 2]
    assert np.array_equal(served.predict(X), classifier.predict(X))
    np.testing.assert_allclose(served.predict_proba(X), classifier.predict_proba(X), rtol=1e-12)
    assert len(set(served.predict(X))) == 3
    h = np.tanh((X - arrays["scale_offset"]) * arrays["scale_factor"] @ arrays["weights_0"].T + arrays["biases_0"])
    outputs = 1 / (1 + np.exp(-(h @ arrays["weights_1"].T + arrays["biases_1"])))  # of the classes 1, 2, 0
    np.testing.assert_allclose(served.predict_proba(X), (outputs / outputs.sum(axis=1, keepdims=True))[:, [2, 0, 1]])
    assert classifier.get_params()["options"] == {"eta": 0.25}
    assert (classifier.random_state, classifier.scale, classifier.hidden_size) == (3, "standard", 5)
    assert (classifier.loss_, classifier.n_iter_, classifier.loss_curve_[-1]) == (0.5, 1, 0.5)
    last = [each[-1] for each in unpack(classifier.theta_, SIZES)]
    np.testing.assert_array_equal(pack([*classifier.weights_], [*classifier.biases_]), classifier.theta_)
    np.testing.assert_array_equal(last[0], arrays["weights_1"][[2, 0, 1]])


def test_the_table_has_a_label_and_a_probability_of_each_class(arrays):
    frame = pd.DataFrame(np.eye(4), index=list("abcd"))
    served = pickle.loads(pickle.dumps(ServedNetwork(arrays)))
    table = served(frame)
    assert dict(zip(table.columns, ["long", *["double"] * 3], strict=True)) == served.columns
    assert list(table.columns) == ["label", "probability_0", "probability_1", "probability_2"]
    assert list(table.index) == list("abcd")
    assert list(table["label"]) == list(served.predict(frame))
    assert served.score(frame, table["label"]) == 1
    arrays["classes"] = np.array(["b", "c", "a"])
    texts = ServedNetwork(arrays)
    assert texts.columns["label"] == "string"
    assert list(texts(frame)["label"]) == ["abc"[i] for i in table["label"]]


def test_a_link_among_a_users_sources_is_not_in_the_model(arrays, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/secret.py").write_text("password = 'correct-horse'")
    sources = tmp_path / "sources"
    (sources / "lab").mkdir(parents=True)
    (sources / "lab/units.py").touch()
    (sources / "lab/secret.py").symlink_to(tmp_path / "home/secret.py")
    (sources / "home").symlink_to(tmp_path / "home")
    trained = TrainedModel(Path(served_model.__file__), ServedNetwork(arrays), (dict, ()), (), sources)
    making.save_model(tmp_path / "model", trained, model_id="m", run_id="r")
    code = {path.relative_to(tmp_path / "model/code").as_posix() for path in (tmp_path / "model/code").rglob("*.py")}
    assert "lab/units.py" in code
    assert not {name for name in code if "secret" in name}


def test_classes_are_integers_where_all_are_written_as_such():
    assert labels_of(["0", "-3", "12"]).tolist() == [0, -3, 12]
    for names in (["0", "1.5"], ["01", "1"], ["-0", "1"], ["", "1"], ["9" * 30, "1"]):
        assert labels_of(names).tolist() == names


def test_probabilities_are_those_of_outputs_that_round_to_nothing_or_all():
    p = probabilities(np.array([[-1000.0, -1001.0, -1000.5], [50.0, 60.0, 0.0], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert p.argmax(axis=1).tolist() == [0, 1, 0]
    np.testing.assert_allclose(p[2], 1 / 3)


USE = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlflow
from nnexp import datasets

uri, cache = sys.argv[1:]
part = datasets.load("digits", cache=cache).split(0.2).test
evaluated = mlflow.models.evaluate(uri, part.X, targets=part.y, model_type="classifier")
classifier = mlflow.sklearn.load_model(uri)
print(json.dumps({
    "metrics": evaluated.metrics,
    "artifacts": sorted(evaluated.artifacts),
    "classifier": repr(classifier),
    "score": classifier.score(part.X, part.y),
    "loss": classifier.loss_,
    "theta": classifier.theta_.tolist(),
    "n_rows": len(classifier.loss_curve_),
}))
"""


@pytest.mark.slow
def test_mlflow_evaluates_the_model_and_loads_it_as_a_classifier_that_has_the_runs_numbers(with_store):
    done = with_store("experiment=smoke", "optimizer.maxfun=100", "optimizer.maxiter=100")
    assert done.status == 0, done.err
    (name, result) = next(iter(with_store.results().items()))
    store = with_store.store()
    (model,) = models(store, result["run_id"])
    words = [sys.executable, "-c", USE, f"models:/{model['id']}", str(with_store.cache)]
    status, out, err = warm.run(words, with_store.folder, {"MLFLOW_TRACKING_URI": store.uri})
    assert status == 0, err
    told = json.loads(out.splitlines()[-1])
    assert told["metrics"]["accuracy_score"] == told["score"] == result["accuracy/test"]
    assert 0.9 < told["metrics"]["roc_auc"] <= 1
    assert told["metrics"]["log_loss"] < 1
    assert {"confusion_matrix", "calibration_curve_plot", "per_class_metrics"} <= set(told["artifacts"])
    assert told["classifier"] == "NeuralNetworkClassifier(hidden_size=8, maxfun=100, maxiter=100)"
    assert told["loss"] == result["loss"]
    assert told["n_rows"] == result["n_iter"] + 1
    assert told["theta"] == read_arrays(with_store.folder / "outputs/runs" / name / "weights.npz")["theta"].tolist()


def test_what_the_first_model_needs_can_be_had_before():
    making.prepare()
    assert making._description.cache_info().currsize


def test_threads_that_publish_at_once_have_one_module_of_a_model(monkeypatch):
    code = Path(served_model.__file__)
    known = making._module(code)
    monkeypatch.setitem(sys.modules, known.__name__, known)  # other tests have models of it
    monkeypatch.setattr(making, "_made_module", cache(making._made_module.__wrapped__))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            modules = list(pool.map(making._module, [code] * 8))
    finally:
        sys.setswitchinterval(interval)
    assert all(module is modules[0] for module in modules)
