"""One run by the real command: what it leaves in its directory and in the store."""

import getpass
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from nnexp.cli import main
from nnexp.compose import compose, plain
from nnexp.config import check
from nnexp.optim import METHODS
from nnexp.runs.directory import RunDirectory
from nnexp.statistics.calibration import Calibration, calibration
from nnexp.tasks.network.description import load_split
from nnexp.tasks.network.served_model import ServedNetwork
from tests.tools.waiting import HANGING, wait_for

pytestmark = pytest.mark.slow  # each takes seconds, alone or by its fixtures

ROOT_FILES = {
    "classification_report.txt", "confusion_matrix.png", "hidden_layer.png", "cost_curves.png", "weights.npz",
    "result.json", "per_class.json",
}  # fmt: skip
FOLDERS = {"config", "figures", "reports", "environment", "images"}
EXERCISES_WEIGHTS = os.environ.get("NNEXP_EX4_WEIGHTS", "../shared/data/ex4weights.mat")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """One run of `experiment=smoke`, shared by the tests that only look at it."""
    from tests.conftest import Nnexp

    folder = tmp_path_factory.mktemp("smoke")
    runner = Nnexp(folder, folder)
    runner.done = runner("experiment=smoke", "training.images_every=5", "figures.format=svg")
    return runner


def test_the_run_says_how_it_ended_and_where_it_is(smoke):
    done = smoke.done
    assert done.status == 0, done.err
    assert done.err == ""
    [result] = smoke.results().values()
    assert result["run_id"] in done.out
    assert f"{result['cost']:.6f}" in done.out
    assert "outputs/runs/" in done.out


def test_a_runs_name_tells_it_from_others_and_its_user_is_known(smoke):
    [run] = smoke.store().search()
    assert run.name == "digits TNC λ=1 H=8 seed=0 images_every=5"
    assert run.tags["mlflow.user"] == getpass.getuser()


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "ex4 TNC λ=1 H=25 seed=0"),
        (["experiment=ex4", "seed=3"], "ex4 TNC λ=1 H=25 seed=3 whole data"),
        (["data.test_size=0", "optimizer=cg", "optimizer.maxfun=50"], "ex4 CG λ=1 H=25 seed=0 whole data maxfun=50"),
        (["model.l2=3", "model.activation=tanh", "tracking.patience=3"], "ex4 TNC λ=3 H=25 seed=0 activation=tanh"),
    ],
)
def test_runs_that_differ_have_different_names(overrides, name):
    config = check(plain(compose(overrides)))
    assert config.task.title(config.of_task, overrides) == name


def test_params_are_the_leaves_that_decide_and_no_others(smoke):
    [run] = smoke.store().search()
    deciding = check(plain(compose(["experiment=smoke"]))).deciding()
    assert {key: str(value) for key, value in deciding.items()} == run.params
    assert run.params["model.l2"] == "1.0"
    assert run.params["optimizer.method"] == "TNC"
    assert run.params["data.name"] == "digits"


def test_metrics_have_the_contracts_names_and_the_values_of_the_run_directory(smoke):
    store = smoke.store()
    [run] = store.search()
    [result] = smoke.results().values()
    every = {
        "cost/train", "loss/train", "loss/test", "accuracy/train", "accuracy/test",
        "optimizer/gradient_norm", "optimizer/n_fev",
    }  # fmt: skip
    once = {"f1/test", "brier/test", "ece/test", "fit_seconds", "n_iter", "gradient_check"}
    assert set(run.metrics) == every | once
    assert run.metrics["cost/train"] == result["cost"]
    assert run.metrics["accuracy/test"] == result["accuracy"]
    [directory] = smoke.directories()

    rows = RunDirectory(directory).history()
    assert [row["step"] for row in rows] == list(range(result["n_iter"] + 1))
    for key in every:
        logged = [(m.step, m.value) for m in store.client.get_metric_history(run.run_id, key)]
        assert sorted(logged) == [(row["step"], row[key]) for row in rows]
    for key in once:
        [metric] = store.client.get_metric_history(run.run_id, key)
        assert metric.step == result["n_iter"]
    times = [m.timestamp for m in store.client.get_metric_history(run.run_id, "cost/train")]
    assert run.start * 1000 - 1 <= min(times) <= max(times) <= run.end * 1000 + 1


def test_calibration_is_of_the_probabilities_that_the_model_serves(smoke):
    [run], [path] = smoke.store().search(), smoke.directories()
    directory = RunDirectory(path)
    test = load_split(directory.record, directory.record.details).test
    served = ServedNetwork(np.load(path / "weights.npz"))
    assert [str(label) for label in served.classes_] == list(test.classes)
    measured = calibration(served.predict_proba(test.X), test.y)
    assert run.metrics["brier/test"] == pytest.approx(measured.brier, rel=1e-12)
    assert run.metrics["ece/test"] == pytest.approx(measured.ece, rel=1e-9)
    kept = Calibration.from_dict(json.loads((path / "reports/calibration_test.json").read_text()))
    assert kept.counts.tolist() == measured.counts.tolist()


def test_tags_identify_the_run(smoke):
    [run] = smoke.store().search()
    [result] = smoke.results().values()
    for tag in ("run_key", "config_hash", "data_digest", "code_digest", "theta_digest", "status_message"):
        assert run.tags[f"nnexp.{tag}"]
    assert run.tags["nnexp.theta_digest"] == result["theta_digest"]
    assert run.status == "FINISHED"


def artifacts(store, run_id, path=None):
    for entry in store.client.list_artifacts(run_id, path):
        if entry.is_dir:
            yield from artifacts(store, run_id, entry.path)
        else:
            yield entry.path


def test_artifacts_are_where_the_ui_looks_for_them(smoke):
    store = smoke.store()
    [run] = store.search()
    found = set(artifacts(store, run.run_id))
    assert found >= ROOT_FILES
    assert {path.split("/")[0] for path in found if "/" in path} == FOLDERS
    assert found >= {"config/config.yaml", "config/overrides.yaml", "figures/sample.png", "figures/worst_mistakes.png"}
    assert found >= {"reports/history.csv", "reports/classification_report_test.json", "hidden_layer.svg"}
    assert {"reports/classification_report_train.csv", "environment/environment.json"} <= found
    [directory] = smoke.directories()
    for path in found:
        fetched = Path(store.client.download_artifacts(run.run_id, path))
        assert fetched.read_bytes() == (directory / path).read_bytes() or path == "result.json"
    steps = {int(path.split("+")[2]) for path in found if path.startswith("images/")}
    assert {0, 5} <= steps
    assert run.tags["mlflow.loggedImages"] == "True"
    assert json.loads(run.tags["mlflow.loggedArtifacts"]) == [{"path": "per_class.json", "type": "table"}]


def test_the_data_set_and_the_model_belong_to_the_run(smoke):
    store = smoke.store()
    [run] = store.search()
    mlflow_run = store.client.get_run(run.run_id)
    [data] = mlflow_run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("digits", run.tags["nnexp.data_digest"])
    [output] = mlflow_run.outputs.model_outputs
    model = store.client.get_logged_model(output.model_id)
    assert str(model.status) == "READY"
    assert {metric.key: metric.value for metric in model.metrics}["accuracy/test"] == run.metrics["accuracy/test"]
    assert {metric.dataset_digest for metric in model.metrics} == {data.dataset.digest}


def test_the_weights_give_the_cost_and_the_accuracy_of_the_run(smoke, monkeypatch, capsys):
    [result] = smoke.results().values()
    [directory] = smoke.directories()
    monkeypatch.chdir(smoke.folder)
    for weights in (str(directory), str(directory / "weights.npz"), result["run_id"], result["run_id"][:10]):
        assert main(["evaluate", "--weights", weights, "--json", "experiment=smoke"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["accuracy"] == result["accuracy"]
        assert told["n_samples"] == 359
        assert told["loss"] == pytest.approx(result["loss/test"], rel=1e-12)


def test_the_environment_is_recorded(smoke):
    [directory] = smoke.directories()
    environment = json.loads((directory / "environment/environment.json").read_text())
    assert environment["packages"]["numpy"] == np.__version__
    for key in ("python", "blas", "cpu", "system", "modules", "code_digest"):
        assert environment[key]


@pytest.mark.parametrize(
    "override", ["model.hidden_size=0", "modle.l2=1", "data=nope", "optimizer.options={maxitr:3}", "foo"]
)
def test_wrong_input_ends_with_status_2_and_leaves_nothing(nnexp, override):
    done = nnexp(override)
    assert done.status == 2
    assert 1 <= len(done.err.splitlines()) <= 2
    assert done.out == ""
    assert not (nnexp.folder / "outputs").exists()


def test_a_mat_file_without_x_is_refused(nnexp):
    from scipy.io import savemat

    savemat(nnexp.folder / "bad.mat", {"y": np.ones((3, 1))})
    done = nnexp("data=mat", "data.path=bad.mat")
    assert done.status == 2
    assert "bad.mat" in done.err
    assert "X" in done.err
    assert len(done.err.splitlines()) <= 2
    assert not list(nnexp.folder.glob("outputs/mlflow.db"))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_keeps_its_budget_in_a_finished_run(method, tmp_path, cache, monkeypatch):
    cache.mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    preset = {"TNC": "tnc", "L-BFGS-B": "lbfgsb", "Newton-CG": "newton_cg", "trust-ncg": "trust_ncg"}
    name = preset.get(method, method.lower().replace("-", "_"))
    from nnexp.compose import compose, read_config, to_yaml
    from nnexp.execute import Request, execute

    overrides = [f"optimizer={name}", "optimizer.maxfun=50", "data=digits", f"data.cache={cache}", "tracking=none"]
    cfg = compose(overrides)
    outcome = execute(Request(read_config(cfg), to_yaml(cfg), overrides, tmp_path / "run"))
    assert outcome.status == "FINISHED"
    assert outcome.result.values["n_fev"] <= 50
    assert outcome.result.tags["nnexp.status_message"] == outcome.result.message
    assert "optimizer.maxfun = 50" in outcome.result.message


def test_a_diverging_run_fails_with_the_iteration_in_its_message(with_store):
    done = with_store("data=digits", "optimizer=gd", "optimizer.options.learning_rate=1e300")
    assert done.status == 1
    [run] = with_store.store().search()
    assert run.status == "FAILED"
    assert "iteration" in run.tags["nnexp.status_message"]
    assert "FAILED" in done.out


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_an_interrupted_run_keeps_what_was_computed(with_store, sign):
    endless = ["data=digits", "optimizer=gd", "optimizer.maxiter=10000000", "optimizer.maxfun=10000000"]
    process = with_store.start(*endless)
    wait_for(lambda: any(len(RunDirectory(path).history()) > 3 for path in with_store.directories()), process)
    process.send_signal(sign)
    out, err = process.communicate(timeout=HANGING)
    assert process.returncode == 130, (out, err)
    [result] = with_store.results().values()
    assert result["status"] == "KILLED"
    assert result["n_iter"] > 0
    [run] = with_store.store().search()
    assert run.status == "KILLED"
    assert run.metrics["cost/train"] == result["cost"]
    assert "hidden_layer.png" in set(artifacts(with_store.store(), run.run_id))


@pytest.mark.slow
def test_nothing_held_out_leaves_no_test_metrics(with_store):
    done = with_store("experiment=smoke", "data.test_size=0")
    assert done.status == 0
    [run] = with_store.store().search()
    assert not [key for key in run.metrics if "test" in key]
    assert {"f1/train", "brier/train", "ece/train"} <= set(run.metrics)


@pytest.mark.slow
def test_the_validation_part_has_metrics_of_its_own(with_store):
    done = with_store("experiment=smoke", "data.validation_size=0.25")
    assert done.status == 0
    [run] = with_store.store().search()
    assert {"loss/validation", "accuracy/validation"} <= set(run.metrics)


@pytest.mark.skipif(
    not os.path.exists(EXERCISES_WEIGHTS), reason="needs ex4weights.mat of the course (NNEXP_EX4_WEIGHTS)"
)
@pytest.mark.parametrize(("l2", "cost"), [(0, 0.287629165161319), (1, 0.3837698590909237), (3, 0.5760512469501331)])
def test_the_exercises_weights_have_the_published_costs(nnexp, l2, cost):
    done = nnexp(
        "evaluate", "--weights", os.path.abspath(EXERCISES_WEIGHTS), "data.test_size=0", f"model.l2={l2}", "--json"
    )
    assert done.status == 0, done.err
    assert done.json["cost"] == pytest.approx(cost, abs=1e-12)
    assert done.json["accuracy"] == 0.9752
    assert done.json["n_samples"] == 5000


def test_weights_that_do_not_fit_are_refused(nnexp, smoke):
    [directory] = smoke.directories()
    done = nnexp("evaluate", "--weights", str(directory), "data=ex4")
    assert done.status == 2
    assert "400 inputs" in done.err
    assert nnexp("evaluate", "--weights", "no/such.npz").status == 2


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.slow
def test_the_exercise_to_the_letter(seed, cache, tmp_path, monkeypatch):
    from nnexp.compose import compose, read_config
    from nnexp.tasks.network.data import load, split_of
    from nnexp.tasks.network.training import fit

    cache.mkdir(exist_ok=True)
    config = read_config(compose(["experiment=ex4", f"data.cache={cache}", f"seed={seed}"])).of_task
    result = fit(
        split_of(config, load(config)), hidden_sizes=config.model.hidden_sizes, l2=config.model.l2,
        method=config.optimizer.method, maxiter=config.optimizer.maxiter, maxfun=config.optimizer.maxfun, seed=seed,
        options=config.optimizer.options,
        evaluate_every=1000,
    )  # fmt: skip
    assert result.cost <= 0.32
    assert result.history["accuracy/train"][-1] >= 0.99
    assert result.n_fev <= 400


def test_gradcheck_checks_every_parameter(nnexp):
    done = nnexp("gradcheck", "data=digits", "--json")
    assert done.status == 0, done.err
    assert set(done.json) == {"n_params", "central_difference", "complex_step", "seconds", "verdict"}
    assert done.json["n_params"] == 25 * 65 + 10 * 26
    assert done.json["central_difference"] < 1e-8
    assert done.json["complex_step"] < 1e-13


@pytest.mark.slow
def test_a_reader_that_stops_reading_costs_the_run_nothing(with_store):
    process = with_store.start("experiment=smoke")
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=HANGING)
    assert "Traceback" not in errors
    assert "Broken" not in errors
    [result] = with_store.results().values()
    assert result["status"] == "FINISHED"
