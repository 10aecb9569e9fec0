"""MLflow's environment variables mean what they mean everywhere."""

import json
import sqlite3
from contextlib import closing

import pytest

from nnexp.compose import compose, read_config
from nnexp.runs.history import SYSTEM
from nnexp.tracking.store import Store

TOY = """
import time

def train(run, samples=0):
    run.log({"x": 1.0}, 0)
    file = run.path / "system.csv"
    while samples > 0 and (not file.exists() or file.read_text().count("cpu_") < samples):
        time.sleep(0.01)
"""
SAMPLING = {"MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "true", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "0.1"}


def test_experiment_and_run_name_are_defaults(monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "theirs")
    monkeypatch.setenv("MLFLOW_RUN_NAME", "mine")
    tracking = read_config(compose([])).tracking
    assert (tracking.experiment, tracking.run_name) == ("theirs", "mine")
    tracking = read_config(compose(["tracking.experiment=a", "tracking.run_name=b"])).tracking
    assert (tracking.experiment, tracking.run_name) == ("a", "b")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "")
    monkeypatch.setenv("MLFLOW_RUN_NAME", " ")
    tracking = read_config(compose(["tracking=none"])).tracking
    assert (tracking.experiment, tracking.run_name) == ("nnexp", None)


@pytest.fixture
def toy(nnexp):
    (nnexp.folder / "toy.py").write_text(TOY)
    return ["task=custom", "task.name=toy.train"]


def system_values(path):
    """How many values of each system metric a store has."""
    with closing(sqlite3.connect(path)) as store:
        return dict(store.execute("SELECT key, count(*) FROM metrics WHERE key LIKE 'system/%' GROUP BY key"))


@pytest.mark.slow
def test_jobs_of_a_sweep_keep_their_own_names(nnexp, toy):
    line = ["-m", *toy, "task.options.samples=0,-1", "tracking=none"]
    assert nnexp(*line, env={"MLFLOW_RUN_NAME": "mine"}).status == 0
    names = {json.loads((path / "run.json").read_text())["name"] for path in nnexp.directories()}
    assert names == {"samples=0", "samples=-1"}


@pytest.mark.slow
def test_system_metrics_of_a_run_whose_server_was_down_are_published_later_and_nothing_compares_them(nnexp, toy):
    down = "tracking.uri=http://127.0.0.1:9"
    line = [*toy, "task.options.samples=3", down, "tracking.patience=0"]
    assert nnexp(*line, env=SAMPLING | {"MLFLOW_RUN_NAME": "mine"}).status == 4
    [path] = nnexp.directories()
    n_lines = len((path / SYSTEM).read_text().splitlines()) - 1
    assert n_lines >= 3 * 8
    assert nnexp("sync", path.name, "--to", "sqlite:///copy.db").status == 0
    values = system_values(nnexp.folder / "copy.db")
    assert sum(values.values()) == n_lines
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= set(values)
    [run] = Store(f"sqlite:///{nnexp.folder}/copy.db", "nnexp").search()
    assert (run.name, set(run.metrics)) == ("mine", {"x"})
    again = nnexp("rerun", path.name, "--check", "tracking.uri=sqlite:///copy.db", env=SAMPLING)
    assert again.status == 0, again.err
    assert "identical" in again.out


@pytest.mark.slow
def test_system_metrics_are_logged_only_where_they_are_asked_for(nnexp, toy, with_store):
    assert nnexp(*toy).status == 0
    database = nnexp.folder / "outputs/mlflow.db"
    assert system_values(database) == {}
    assert nnexp(*toy, "task.options.samples=1", env=SAMPLING).status == 0
    assert system_values(database)
    assert [path for path in nnexp.directories() if (path / SYSTEM).exists()] == nnexp.directories()[1:]
