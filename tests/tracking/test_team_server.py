"""A team's server: MLflow with authentication on PostgreSQL. Who may what, what it costs, what breaks in between."""

import http.client
import json
import os
import re
import time
from base64 import b64encode
from collections import Counter

import pytest

from benchmarks import load
from nnexp.runs import backlog
from nnexp.runs.directory import RunDirectory
from nnexp.tracking import uploads
from nnexp.tracking.artifacts import artifact_folder
from nnexp.tracking.errors import RefusedError, StoreError
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import Store
from tests.conftest import Nnexp
from tests.test_credentials import Processes, holding
from tests.tools import made_up
from tests.tools.flaky_proxy import Faults, FlakyProxy
from tests.tools.stored import assert_store_has_all_of
from tests.tools.team_server import EDIT, TeamServer
from tests.tools.waiting import HANGING, wait_for

pytestmark = pytest.mark.slow

SECRET = "kXw7Gq2z%40 and more"
SMOKE = ("experiment=smoke", "tracking=server", "figures.of=none")
LOGIN = "refuses these credentials (401): check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Alice and Bob may write in the experiment nnexp, Carol may read."""
    with TeamServer(tmp_path_factory.mktemp("team"), cache_seconds=600) as server:
        for user in ("alice", "bob", "carol"):
            server.add_user(user, SECRET)
        made = server.call("POST", "mlflow/experiments/create", name="nnexp")
        for user in ("alice", "bob"):
            server.permit(user, made["experiment_id"], EDIT)
        yield server


@pytest.fixture
def team(server, tmp_path, cache):
    """Commands of one user, each user in a folder of his own; what alice may do is in the environment of the test."""
    cache.mkdir(exist_ok=True)

    def of(user="alice", password=SECRET, uri=None):
        folder = tmp_path / user
        folder.mkdir(exist_ok=True)
        if not (folder / "data").exists():
            (folder / "data").symlink_to(cache)
        environment = server.environment(user, password) | ({"MLFLOW_TRACKING_URI": uri} if uri else {})
        return As(Nnexp(folder, cache), environment)

    return of


class As:
    """Commands with the environment of a user."""

    def __init__(self, command, environment):
        self.command, self.environment = command, environment

    @property
    def folder(self):
        return self.command.folder

    @property
    def directories(self):
        return [RunDirectory(path) for path in self.command.directories()]

    def __call__(self, *words):
        return self.command(*words, env=self.environment)

    def start(self, *words):
        return self.command.start(*words, env=os.environ | self.environment)


@pytest.fixture
def store(server, monkeypatch):
    """The store as alice sees it; each test in an experiment of its own, which she makes."""
    for name, value in server.environment("alice", SECRET).items():
        monkeypatch.setenv(name, value)
    return lambda experiment="nnexp", uri=None: Store(uri or server.uri, experiment)


# Who may what.


REFUSALS = [
    ("alice", "wrong", LOGIN),
    ("nobody", SECRET, LOGIN),
    ("carol", SECRET, "refuses user 'carol' (403): experiment 'nnexp' needs the permission EDIT"),
]


@pytest.mark.parametrize(
    ("words", "refusals"),
    [(SMOKE, REFUSALS), (("-m", *SMOKE, "seed=0,1"), REFUSALS[2:]), (("rerun", "abc"), REFUSALS[2:])],
    ids=["run", "sweep", "rerun"],
)
def test_who_may_not_write_is_refused_before_any_work(team, words, refusals):
    for user, password, told in refusals:
        one = team(user, password)
        done = one(*words)
        assert (done.status, done.out) == (2, ""), done.err
        assert (
            done.err == f"`tracking.uri` {one.environment['MLFLOW_TRACKING_URI']} cannot be used: the server {told}\n"
        )
        assert not (one.folder / "outputs").exists()


def test_a_user_without_credentials_is_told_which_to_set(team):
    nobody = team("nobody")
    nobody.environment = {"MLFLOW_TRACKING_URI": nobody.environment["MLFLOW_TRACKING_URI"]}
    done = nobody(*SMOKE)
    assert done.status == 2
    assert "requires a user and a password (401): set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in done.err
    nobody.environment = {}
    done = nobody(*SMOKE)
    assert done.status == 2
    assert "`tracking.uri` must name a server with tracking=server, http://HOST:PORT or https://HOST" in done.err
    assert not (nobody.folder / "outputs").exists()


@pytest.mark.parametrize("command", ["report", "sweeps", "ui"])
def test_commands_that_only_read_say_in_one_line_what_is_refused(team, command):
    done = team("alice", "wrong")(command)
    assert (done.status, done.out) == (1, "")
    [line] = done.err.splitlines()
    assert line.endswith(LOGIN)


def test_who_may_only_read_is_told_so_wherever_he_writes(server, store, monkeypatch, tmp_path):
    for name, value in server.environment("carol", SECRET).items():
        monkeypatch.setenv(name, value)
    carols = store()
    assert carols.search() == carols.search(newest_first=True)[::-1]
    publication = Publication(made_up.whole(tmp_path, "run", store=carols), carols)
    with pytest.raises(
        RefusedError, match=r"refuses user 'carol' \(403\): experiment 'nnexp' needs the permission EDIT$"
    ):
        publication.advance()


def test_the_credentials_file_is_enough_and_no_password_is_anywhere_else(server, team, tmp_path, store):
    alice = team()
    home = tmp_path / "home"
    (home / ".mlflow").mkdir(parents=True)
    (home / ".mlflow/credentials").write_text(
        f"[mlflow]\nmlflow_tracking_username = alice\nmlflow_tracking_password = {SECRET.replace('%', '%%')}\n"
    )
    alice.environment = server.environment("", "") | {"HOME": str(home), "NNEXP_COLD": "1"}
    with Processes(SECRET) as processes:
        done = alice(
            "-m", *SMOKE, "seed=0,1", "tracking.experiment=file", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2",
            "hydra.output_subdir=.hydra", f"tracking.uri={server.uri}",
        )  # fmt: skip
    assert done.status == 0, done.err
    assert processes.found == {}
    assert holding(alice.folder, SECRET) == holding(server.folder, SECRET) == []
    assert SECRET not in done.out + done.err
    assert len(alice.directories) == 2
    for directory in alice.directories:
        assert_store_has_all_of(directory, store("file"), tmp_path)
    assert SECRET not in "".join(str(run) for run in store("file").search())
    (home / ".mlflow/credentials").write_text(
        "[mlflow]\nmlflow_tracking_username = alice\nmlflow_tracking_password = x\n"
    )
    assert "refuses these credentials (401): check ~/.mlflow/credentials" in alice(*SMOKE).err


TASK = """
import time
from pathlib import Path

def train(run):
    while not Path("GO").exists():
        time.sleep(0.05)
    run.log({"loss": 0.5}, step=1)
"""


def test_a_password_that_is_changed_while_a_run_trains(server, team, store, tmp_path):
    server.add_user("dora", SECRET)
    dora, go = team("dora"), tmp_path / "go"
    (dora.folder / "slow.py").write_text(TASK.replace("GO", str(go)))
    process = dora.start("task=custom", "task.name=slow.train", "tracking=server", "tracking.experiment=changed")
    try:
        wait_for(lambda: list(dora.folder.glob("outputs/runs/*/run.json")), process)
        server.set_password("dora", "another password")
    finally:
        go.touch()
    out, err = process.communicate(timeout=HANGING)
    assert process.returncode == 4, err
    told = f"the tracking server {server.uri} {LOGIN}"
    [line] = [line for line in err.splitlines() if line.startswith("Not published")]
    later = "once the server lets this user, `nnexp sync` publishes it."
    assert line == f"Not published: {told}. The run is complete in its directory; {later}"
    assert "Traceback" not in out + err
    [directory] = dora.directories
    kept = dora("sync")
    assert (kept.status, kept.err) == (4, f"{directory.path.name}: {told}\n")
    dora = team("dora", "another password")
    done = dora("sync", "--json")
    assert (done.status, done.json) == (0, {"published": 1, "kept_back": 0}), done.err
    server.set_password("dora", SECRET)
    assert [run.status for run in store("changed").search()] == ["FINISHED"]


def test_two_users_who_may_write_but_not_delete_share_a_sweep(team, store):
    sweep = ("-m", *SMOKE, "seed=0,1,2", "tracking.directory=shared")
    started = [team(user).start(*sweep) for user in ("alice", "bob")]
    ended = [process.communicate(timeout=HANGING) for process in started]
    assert [process.returncode for process in started] == [0, 0], ended
    runs = [run for run in store().search() if run.tags.get("nnexp.run_key")]
    finished = Counter(run.tags["nnexp.run_key"] for run in runs if run.status == "FINISHED")
    assert sorted(finished.values()) == [1, 1, 1]
    assert not [run for run in runs if run.status == "RUNNING"]


def test_a_request_without_credentials_gets_nothing_and_changes_nothing(server, store, tmp_path):
    whole = store("guarded")
    directory = made_up.whole(tmp_path, "run", store=whole)
    publication = Publication(directory, whole)
    assert publication.advance()
    run_id, experiment = publication.run_id, whole.experiment_id
    artifact = f"{experiment}/{run_id}/artifacts/classification_report.txt"
    requests = [
        ("GET", "/", None),
        ("GET", f"/get-artifact?run_uuid={run_id}&path=classification_report.txt", None),
        ("POST", "/graphql", {"query": f'{{mlflowGetRun(input: {{runId: "{run_id}"}}) {{run {{info {{runName}}}}}}}}'}),
        ("POST", "/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run_id}&path=x", {}),
        ("GET", "/metrics", None),
    ]
    for api in ("/api/2.0", "/ajax-api/2.0"):
        requests += [
            ("GET", f"{api}/mlflow/runs/get?run_id={run_id}", None),
            ("POST", f"{api}/mlflow/runs/search", {"experiment_ids": [experiment]}),
            ("POST", f"{api}/mlflow/runs/delete", {"run_id": run_id}),
            ("POST", f"{api}/mlflow/runs/create", {"experiment_id": experiment}),
            ("POST", f"{api}/mlflow/experiments/create", {"name": "theirs"}),
            ("GET", f"{api}/mlflow/artifacts/list?run_id={run_id}", None),
            ("GET", f"{api}/mlflow-artifacts/artifacts/{artifact}", None),
            ("PUT", f"{api}/mlflow-artifacts/artifacts/{artifact}", {"not": "mine"}),
            ("DELETE", f"{api}/mlflow-artifacts/artifacts/{artifact}", None),
        ]
    kept = (server.folder / "artifacts" / artifact).read_bytes()
    for method, path, body in requests:
        for login in (None, "alice:wrong"):
            status, answer = request(server, method, path, body, login)
            assert status in (401, 404), (method, path, status)
            assert b"a run" not in answer
            assert kept not in answer
    alice = f"alice:{SECRET}"
    assert request(server, "GET", f"/api/2.0/mlflow/runs/get?run_id={run_id}", None, alice)[0] == 200
    assert request(server, "GET", f"/api/2.0/mlflow-artifacts/artifacts/{artifact}", None, alice)[1] == kept
    assert (server.folder / "artifacts" / artifact).read_bytes() == kept
    assert [(run.run_id, run.status) for run in whole.search()] == [(run_id, "FINISHED")]


def request(server, method, path, body, login):
    headers = {"Content-Type": "application/json"}
    if login is not None:
        headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANGING)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        with connection.getresponse() as answer:
            return answer.status, answer.read()
    finally:
        connection.close()


# What it costs.


def test_a_short_run_costs_a_request_for_each_file_and_a_dozen_more(server, team, store, tmp_path):
    Publication(made_up.whole(tmp_path, "first", store=store("counted")), store("counted")).advance()
    with FlakyProxy(server.port) as proxy:
        alice = team(uri=proxy.uri)
        process = alice.start(*SMOKE, "tracking.experiment=counted")
        _, err = process.communicate(timeout=HANGING)
        assert process.returncode == 0, err
        # What follows is the end of the process that publishes.
        wait_for(lambda: sum("runs/search" in path for _, path in list(proxy.seen)) == 3)
        seen = list(proxy.seen)
    [directory] = alice.directories
    files = Counter(path.rpartition("/artifacts/")[2] for method, path in seen if method == "PUT")
    assert set(files.values()) == {1}  # none twice
    of_run = {path.relative_to(directory.path).as_posix() for path in directory.artifacts()}
    assert len(files) == len(of_run) + 7  # those of the model
    others = Counter(path.partition("?")[0].rpartition("/mlflow/")[2] for method, path in seen if method != "PUT")
    pings = others.pop("experiments/get-by-name")
    assert pings <= 3, others  # before the run, when the store is opened, and perhaps one more on a slow machine
    assert sum(others.values()) <= 12, others


def test_patience_lasts_while_publishing_advances_and_ends_where_it_does_not(server, team):
    with FlakyProxy(server.port, faults=Faults(delay=0.4, least_delay=0.4)) as proxy:
        alice = team(uri=proxy.uri)
        began = time.monotonic()
        done = alice(*SMOKE, "tracking.experiment=slow", "tracking.patience=3")
        assert done.status == 0, done.err
        assert time.monotonic() - began > 3.0
        process = alice.start(*SMOKE, "tracking.experiment=slow", "tracking.patience=3", "seed=1")
        n_files = sum(method == "PUT" for method, _ in proxy.seen)
        wait_for(lambda: sum(method == "PUT" for method, _ in list(proxy.seen)) > n_files, process)
        proxy.faults = Faults(hang=True)
        _, err = process.communicate(timeout=HANGING)
    assert process.returncode == 4, err
    assert "did not answer within 3 s" in err


# What is too long for it.


def test_what_is_longer_than_a_store_takes_is_refused_or_said_to_be_cut(team, store, tmp_path):
    alice = team()
    done = alice(*SMOKE, f"tracking.experiment={'x' * 257}")
    assert (done.status, done.err) == (2, "`tracking.experiment` must be a name of at most 256 characters, got 257\n")
    name, text = "x" * 256, "y" * 13_000
    whole = store(name)
    directory = made_up.whole(tmp_path, "run", store=whole)
    record = directory.record
    directory.write_json("run.json", record.to_json() | {"params": {"long": text, "short": "z" * 6000},
                                                          "tags": {**record.tags, "long": text}})  # fmt: skip
    assert Publication(directory, whole).advance()
    [run] = whole.search()
    assert run.params["long"] == uploads.params_of(directory.record)["long"]
    assert run.params["long"].startswith("sha256:")
    assert "of 13,000 characters; the whole is in config/config.yaml" in run.params["long"]
    assert run.params["short"] == "z" * 6000
    assert len(run.tags["long"]) == 8000
    assert run.tags["long"].endswith("of 13,000 characters)")


def test_the_database_itself_by_whichever_driver_is_installed(server, team, tmp_path):
    uri = server.database.create("direct").replace("postgresql+psycopg2://", "postgresql://")
    alice = team(uri=uri)
    done = alice("experiment=smoke", "figures.of=none")
    assert done.status == 0, done.err
    assert [run.status for run in Store(uri, "nnexp").search()] == ["FINISHED"]
    [run] = Store(uri, "nnexp").search()
    location = artifact_folder(run).parents[1]
    location.rename(alice.folder / "on another machine")
    away = Store(uri, "nnexp")
    with pytest.raises(StoreError, match=re.escape(f"kept in {location}, which is not on this machine")):
        away.experiment_id  # noqa: B018 - it is asked for


# What breaks.


def test_a_job_that_another_user_has_finished_meanwhile_is_superseded(server, team, store):
    sweep = ("-m", *SMOKE, "seed=5,6", "tracking.experiment=late")
    alice, bob = team("alice", uri="http://127.0.0.1:9"), team("bob")
    assert alice(*sweep).status == 4
    store("late").client  # noqa: B018 - alice has made the experiment
    server.permit("bob", store("late").experiment_id, EDIT)
    assert bob(*sweep).status == 0
    before = {path: path.read_bytes() for path in alice.folder.glob("outputs/runs/*/result.json")}
    done = alice("sync", "--to", server.uri)
    assert done.status == 0, done.err
    assert done.err.count("superseded by run ") == 2
    runs = [run for run in store("late").search() if run.tags.get("nnexp.run_key")]
    assert Counter(run.status for run in runs) == {"FINISHED": 2, "KILLED": 2}
    finished = {run.tags["nnexp.run_key"]: run.run_id for run in runs if run.status == "FINISHED"}
    for run in runs:
        if run.status == "KILLED":
            assert run.tags["nnexp.status_message"] == f"superseded by run {finished[run.tags['nnexp.run_key']]}"
    assert {path: path.read_bytes() for path in before} == before  # at home it is what it was


GATED = """
import time
from pathlib import Path

def train(run, after="begun"):
    while not Path(after).exists():
        time.sleep(0.05)
    run.log({"loss": 0.5}, step=1)
"""


def test_sweeps_outlive_their_database_and_their_server(server, team, store, tmp_path):
    """One that still trains when both are back publishes all by itself; one that has ended meanwhile, by `sync`."""
    longer, shorter = team("alice"), team("bob")
    sweep = ("-m", "task=custom", "task.name=gated.train", "tracking=server")
    for user in (longer, shorter):
        (user.folder / "gated.py").write_text(GATED)
        (user.folder / "begun").touch()
    started = (
        longer.start(*sweep, "task.options.after=begun,away,back", "tracking.experiment=outage"),
        shorter.start(*sweep, "task.options.after=begun,away", "tracking.experiment=ended", "tracking.patience=1"),
    )

    def n_with(user, name):
        return sum('"complete": true' in path.read_text() for path in user.folder.glob(f"outputs/runs/*/{name}"))

    wait_for(lambda: all(n_with(user, "published.json") for user in (longer, shorter)), *started)
    server.database.stop()
    try:
        for user in (longer, shorter):
            (user.folder / "away").touch()
        out, err = started[1].communicate(timeout=HANGING)
        assert (started[1].returncode, "Traceback" in err) == (4, False), err
        assert "2 of 2 jobs finished" in out
        assert "1 run is not published, but complete in its directory; `nnexp sync` publishes what is missing." in err
        wait_for(lambda: len(list(longer.folder.glob("outputs/runs/*/result.json"))) == 2, started[0])
    finally:
        server.kill()
        server.database.start()
        server.start()
    (longer.folder / "back").touch()
    out, err = started[0].communicate(timeout=HANGING)
    assert (started[0].returncode, "Traceback" in err) == (0, False), err
    assert shorter("sync", "--json").json == {"published": 1, "kept_back": 0}
    for user, experiment, n_jobs in ((longer, "outage", 3), (shorter, "ended", 2)):
        assert len(user.directories) == n_jobs
        for directory in user.directories:
            assert_store_has_all_of(directory, store(experiment), tmp_path)
        assert Counter(run.status for run in store(experiment).search()) == {"FINISHED": n_jobs + 1}
        assert backlog.entries(user.folder / "outputs") == []


def test_many_clients_at_once_lose_nothing(server, store, tmp_path):
    done = load.load(server.uri, "load", n_clients=2, n_runs=3, folder=tmp_path)
    assert (done.n_whole, done.errors) == (6, [])
    assert Counter(run.status for run in store("load").search()) == {"FINISHED": 6}
