"""Sweeps on machines that share no disk: a team's server with passwords, and Ray whose nodes know nothing of it."""

import json
import signal

import pytest
import yaml

from tests.tools import cluster
from tests.tools.cluster import GRID, PASSWORD, USER, Server, ended, start, status_of, trains
from tests.tools.ray_cluster import RayCluster, is_possible
from tests.tools.waiting import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_possible(), reason="this system lets this user make no namespaces"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "home").mkdir()
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with Server(folder / "server", cache_seconds=60) as server:
        yield server


@pytest.fixture(scope="module")
def ray(folder):
    with RayCluster(folder, 2, hidden=folder / "home") as ray:
        yield ray


def on(ray, experiment, *words):
    address = f"hydra.launcher.ray.init.address={ray.address}"
    return [*GRID, f"tracking.experiment={experiment}", "hydra/launcher=ray", address, *words]


def statuses(server, experiment):
    return sorted(run["info"]["status"] for run in server.runs(experiment))


def test_who_has_not_the_token_of_a_cluster_is_told_before_any_work(ray, server):
    driver = ray.hidden / "stranger"
    environment = server.environment(USER, PASSWORD) | {"RAY_NUM_REDIS_GET_RETRIES": "1"}
    for token in ({"RAY_AUTH_TOKEN_PATH": str(ray.hidden / "none")}, {"RAY_AUTH_TOKEN": "another"}):
        process = start(driver, server, *on(ray, "stranger", "seed=0,1"), environment=environment | token)
        assert status_of(process) == 2
        said = (driver / "err.txt").read_text().splitlines()[-1]
        assert said.startswith(f"Ray at {ray.address} refuses this user's token: copy ~/.ray/auth_token from the ")
    assert not list(driver.glob("outputs/**/run.json"))


def test_what_nodes_trained_and_could_not_publish_is_believed_and_published_by_sync_there(ray, server, monkeypatch):
    """The driver has its password from a file that neither MLflow nor nnexp knows of, so that it hands on nothing."""
    home = ray.hidden
    (home / ".netrc").write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    (home / ".netrc").chmod(0o600)
    driver, nodes = home / "refused", [node.folder for node in ray.nodes]
    environment = {"HOME": str(home), "MLFLOW_TRACKING_URI": server.uri}
    words = on(ray, "refused", "seed=0,1,2", "tracking.patience=2")
    assert status_of(start(driver, server, *words, environment=environment)) == 4
    said = (driver / "err.txt").read_text()
    assert "trained on node-" in said
    assert "not published: the tracking server" in said
    assert "401" in said
    assert "`nnexp sync` there publishes what is missing" in said
    assert "died" not in said
    assert "3 of 3 jobs finished, 0 failed" in (driver / "out.txt").read_text()
    assert ended("refused", *nodes) == 3
    records = [json.loads(path.read_text()) for node in nodes for path in node.glob("outputs/runs/*/run.json")]
    assert [record["tags"]["nnexp.blas_kernel"] for record in records] == ["Haswell"] * 3  # the nodes have another
    assert statuses(server, "refused") == ["FINISHED"]  # of the parent
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for node in nodes:
        assert status_of(start(node, server, "sync")) == 0
    assert statuses(server, "refused") == ["FINISHED"] * 4


def test_sigterm_to_the_driver_closes_jobs_and_parent_as_ctrl_c_does(ray, server):
    driver, nodes = ray.hidden / "ended", [node.folder for node in ray.nodes]
    endless = ("optimizer=gd", "optimizer.maxiter=10000000", "optimizer.maxfun=10000000", "optimizer.options.gtol=0")
    process = start(driver, server, *on(ray, "ended", *endless, "seed=0,1,2,3"))
    wait_for(lambda: all(trains(node) for node in nodes) and len(_open(server, "ended")) == 3, process)
    process.send_signal(signal.SIGTERM)
    assert status_of(process) == 130
    said = (driver / "err.txt").read_text()
    assert "Interrupted; closing the runs. The same command completes the sweep." in said
    assert "SIGTERM" not in said  # of Ray's stack dump
    assert statuses(server, "ended") == ["KILLED"] * 3


def _open(server, experiment):
    try:
        return [run for run in server.runs(experiment) if run["info"]["status"] == "RUNNING"]
    except OSError:
        return []  # there is no experiment yet


def test_a_sqlite_store_is_refused_by_nodes_that_do_not_share_its_disk(ray, server):
    driver = ray.hidden / "file"
    words = on(ray, "file", "seed=0,1")
    assert status_of(start(driver, server, *words, environment={"MLFLOW_TRACKING_URI": ""})) == 3
    said = (driver / "out.txt").read_text()
    assert "does not share the disk with the store, a SQLite file" in said
    assert ended("file", *(node.folder for node in ray.nodes)) == 0


def test_a_table_that_only_the_driver_has_is_sent_once_to_each_node(ray, server):
    driver, nodes = ray.hidden / "table", [node.folder for node in ray.nodes]
    driver.mkdir()
    rows = [f"{i % 7},{i % 5},{'odd' if i % 2 else 'even'}" for i in range(200)]
    (driver / "table.csv").write_text("\n".join(["a,b,label", *rows]))
    words = ["data=csv", "data.path=table.csv", "data.target=label", "seed=range(6)"]
    assert status_of(start(driver, server, *on(ray, "table", *words))) == 0
    assert statuses(server, "table") == ["FINISHED"] * 7
    sent = [list(node.glob("outputs/files/*/table.csv")) for node in nodes]
    assert [len(files) for files in sent] == [1 if ended("table", node) else 0 for node in nodes]
    assert any(sent)
    configs = [yaml.safe_load(path.read_text()) for n in nodes for path in n.glob("outputs/runs/*/config/config.yaml")]
    paths = [config["data"]["path"] for config in configs if config["data"]["name"] == "csv"]
    assert paths == [str(driver / "table.csv")] * 6  # where the user has it


def test_a_sweep_on_nodes_that_share_nothing_and_one_is_killed(ray, server):
    table = cluster.on_ray(ray, server, 8, "killed", lambda text: None)
    assert not table.wrong, str(table)


def test_a_sweep_by_submitit_with_a_job_killed(folder, server):
    table = cluster.by_submitit(folder, server, 3, "submitit", lambda text: None)
    assert not table.wrong, str(table)
