"""`nnexp report --register`: the best run's model in the registry of the store."""

import json
import sys
from dataclasses import replace

import pytest

from nnexp.cli import main
from nnexp.errors import UsageError
from nnexp.report.best import best_run
from nnexp.report.selection import Found
from nnexp.tracking import registry
from tests.conftest import Nnexp
from tests.report.runs import stored_run
from tests.tools import warm


def found(tmp_path, *runs):
    made = [
        stored_run(tmp_path, number, metrics=metrics, **{"data__name": "digits", **settings})
        for number, (settings, metrics) in enumerate(runs)
    ]
    return Found(made, "the sweep s", "s")


def run(l2, seed, accuracy, loss=0.5, **settings):
    metrics = {"accuracy/test": accuracy, "loss/test": loss, "cost/train": 1.0, "loss/train": 1.0}
    return {"model__l2": l2, "seed": seed, **settings}, metrics


def test_it_is_the_best_run_of_the_best_setting_not_the_luckiest_of_all(tmp_path):
    runs = run(1, 0, 0.99), run(1, 1, 0.5), run(2, 0, 0.9), run(2, 1, 0.92, 0.3), run(2, 2, 0.92, 0.2)
    best = best_run(found(tmp_path, *runs))
    assert (best.run.run_id, best.about) == ("run0004", "run 4, test accuracy 92.00 %")


def test_of_equals_it_is_the_lowest_seed(tmp_path):
    assert best_run(found(tmp_path, run(1, 3, 0.9), run(1, 2, 0.9))).run.params["seed"] == "2"


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([run(1, 0, 0.9), run(1, 0, 0.9, digest="d2", data__name="ex4")], "2 data sets .*each of which has its own"),
        ([({"model__l2": v}, {"cost/train": 1.0, "loss/train": 1.0}) for v in (1, 2)], "Nothing is held out"),
        ([run(1, 0, 0.9, status="KILLED")], "no run has finished of the sweep s"),
    ],
)
def test_where_none_is_the_best_it_says_so(tmp_path, runs, message):
    with pytest.raises(UsageError, match=f"--register: .*{message}") as raised:
        best_run(found(tmp_path, *runs))
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def swept(tmp_path_factory, empty_store, cache):
    folder = tmp_path_factory.mktemp("swept")
    empty_store(folder / "outputs/mlflow.db")
    cache.mkdir(exist_ok=True)
    (folder / "data").symlink_to(cache)
    command = Nnexp(folder, cache)
    done = command("-m", "experiment=smoke", "model.l2=0.1,50", "optimizer.maxfun=60", "optimizer.maxiter=60")
    assert done.status == 0, done.err
    return command


LOAD = """
import sys, mlflow
for alias in sys.argv[1:]:
    print(repr(mlflow.sklearn.load_model(f"models:/digits@{alias}")).replace("\\n", " "))
"""


@pytest.mark.slow
def test_it_is_registered_once_and_loaded_by_its_alias(swept, monkeypatch, capsys):
    monkeypatch.chdir(swept.folder)
    assert main(["report", "--register", "digits"]) == 0
    told = capsys.readouterr().out
    store = swept.store()
    [best] = store.search("params.`model.l2` = '0.1'")
    accuracy = f"test accuracy {100 * best.metrics['accuracy/test']:.2f} %"
    line = f"as version 1 of digits, now models:/digits@champion: run {best.run_id}, {best.name}, {accuracy}.\n"
    assert f"\nRegistered {line}" in told
    assert main(["report", "--register", "digits", "--alias", "second", "--json"]) == 0
    registered = {"name": "digits", "version": "1", "alias": "second", "run_id": best.run_id}
    assert json.loads(capsys.readouterr().out)["registered"] == registered | {"uri": "models:/digits@second"}
    [version] = store.client.search_model_versions("name = 'digits'")
    assert (version.run_id, version.description) == (best.run_id, f"{best.name}, {accuracy}")
    words = [sys.executable, "-c", LOAD, "champion", "second"]
    _, out, err = warm.run(words, swept.folder, {"MLFLOW_TRACKING_URI": store.uri})
    first, second = out.splitlines()
    assert first == second, err
    assert first.startswith("NeuralNetworkClassifier(hidden_size=8, l2=0.1, maxfun=60")


@pytest.mark.slow
def test_a_run_without_a_model_is_not_registered(swept):
    store = swept.store()
    [best] = store.search("params.`model.l2` = '0.1'")
    with pytest.raises(UsageError, match=r"the best run nosuch .* has no model"):
        registry.model_of(store, replace(best, run_id="nosuch"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--register", "a/b"], "a model's name is up to 250 letters without / and :, got 'a/b'"),
        (["--register", " "], "a model's name"),
        (["--register", "m", "--alias", "the best"], "letters, digits, _ and -, got 'the best'"),
        (["--register", "m", "--alias", "Latest"], "MLflow's own"),
        (["--alias", "champion"], "--register is missing"),
        (["--register", "m", "tracking=none"], "tracking=none has no store"),
    ],
)
def test_what_cannot_be_registered_is_told_before_any_work(swept, monkeypatch, capsys, tmp_path, words, message):
    monkeypatch.chdir(swept.folder)
    assert main(["report", "--directory", str(tmp_path / "out"), *words]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert [each.name for each in swept.store().client.search_registered_models()] in ([], ["digits"])
