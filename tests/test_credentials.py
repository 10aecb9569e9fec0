"""A password in a store's URI is used, and is nowhere: in no file, no database, no list of processes, no message."""

import contextlib
import json
import os
import threading
from pathlib import Path

import pytest

from nnexp import credentials
from nnexp.compose import compose, to_yaml
from nnexp.errors import one_line
from nnexp.readers import ConfigError
from nnexp.tracking.server import ask
from nnexp.tracking.store import Store
from tests.conftest import Nnexp
from tests.tools.flaky_proxy import FlakyProxy
from tests.tools.mlflow_server import MlflowServer
from tests.tools.waiting import HANGING

SECRET = "kXw7Gq2z"
IN_FILE = "[mlflow]\nmlflow_tracking_username = alice\nmlflow_tracking_password = from the file\n"
PASSWORD, QUOTED = f"{SECRET}@%/", f"{SECRET}%40%25%2F"


def holding(folder, text=SECRET):
    """The files of a folder that hold a text, SQLite's among them."""
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


class Processes:
    """Looks at the arguments of all processes, again and again; keeps those that hold the password."""

    def __init__(self, secret=SECRET):
        self.found, self._over, self._secret = {}, threading.Event(), secret.encode()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self):
        while not self._over.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    words = path.read_bytes()
                    if self._secret in words:
                        self.found[int(path.parent.name)] = words

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._over.set()
        self._thread.join()


@pytest.mark.slow
def test_a_password_reaches_the_server_and_nothing_else(tmp_path, cache):
    cache.mkdir(exist_ok=True)
    folder, served = tmp_path / "here", tmp_path / "server"
    folder.mkdir()
    (folder / "data").symlink_to(cache)
    command = Nnexp(folder, cache)
    with MlflowServer(served) as server, FlakyProxy(server.port, login=f"alice:{PASSWORD}") as proxy:
        uri = proxy.uri.replace("http://", f"http://alice:{QUOTED}@")
        refused = command("sweeps", f"tracking.uri={proxy.uri}")
        assert (refused.status, refused.out) == (1, "")
        assert "requires a user and a password (401)" in refused.err
        with Processes() as processes:
            swept = command(
                "-m", "experiment=smoke", "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2",
                "hydra.output_subdir=.hydra", env={"MLFLOW_TRACKING_URI": uri, "NNEXP_COLD": "1"},
            )  # fmt: skip
        assert swept.status == 0, swept.err
        assert processes.found == {}
        with Processes() as processes:
            process = command.start("experiment=smoke", "seed=2", f"tracking.uri={uri}")
            out, err = process.communicate(timeout=HANGING)
        assert process.returncode == 0, err
        [warning] = err.splitlines()
        assert "is visible in the list of processes" in warning
        assert {processes.found.pop(process.pid)} >= set(processes.found.values())  # but what is about to exec
        listed = command("sweeps", "--json", env={"MLFLOW_TRACKING_URI": uri})
        assert listed.json[0]["finished"] == 2
    # The database that the server has left is as whole as it was.
    assert SECRET not in swept.out + swept.err + out + err
    assert holding(folder) == holding(served) == []
    [plan] = folder.glob("outputs/sweeps/*/plan.json")
    assert json.loads(plan.read_text())["uri"] == proxy.uri
    assert {json.loads(p.read_text())["tracking"]["uri"] for p in folder.glob("outputs/runs/*/run.json")} == {proxy.uri}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("uri", "bare"),
    [
        (f"postgresql://alice:{QUOTED}@127.0.0.1:9/runs", "postgresql://alice@127.0.0.1:9/runs"),
        (f"http://alice:alice has {SECRET}@127.0.0.1:9", "http://127.0.0.1:9"),
        (
            f"postgresql:///runs?host=/none&user=postgres&password={SECRET}",
            "postgresql:///runs?host=/none&user=postgres&password=***",
        ),
        (f"postgresql://postgres:a/{SECRET}@/runs?host=/none", "postgresql://postgres@/runs?host=/none"),
    ],
)
def test_a_password_is_in_no_file_of_a_run(nnexp, uri, bare):
    done = nnexp("experiment=smoke", "tracking=none", env={"MLFLOW_TRACKING_URI": uri})
    assert done.status == 0, done.err
    assert SECRET not in done.out + done.err
    assert holding(nnexp.folder) == []
    [config] = nnexp.folder.glob("outputs/runs/*/config/config.yaml")
    assert f"uri: {bare}\n" in config.read_text()


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        (f"http://alice:{SECRET}/pw@host", "may hold a password, and is not shown: write /, ?, # and @ in it as %2F"),
        (f"http://{SECRET}@host", "must have both a user and a password before its @, or neither"),
    ],
)
def test_a_password_that_cannot_be_told_from_the_rest_is_refused_and_not_shown(nnexp, uri, reason):
    for words, env, name in (
        (("experiment=smoke",), {"MLFLOW_TRACKING_URI": uri}, "MLFLOW_TRACKING_URI"),
        (("experiment=smoke", f"tracking.uri='{uri}'"), None, "`tracking.uri`"),
        (("sync", "--to", uri), None, "the URI"),
    ):
        done = nnexp(*words, env=env)
        assert done.status == 2
        assert done.err.startswith(f"{name} {reason}")
        assert done.err.count("\n") == 1
        assert SECRET not in done.out + done.err
    assert not (nnexp.folder / "outputs").exists()


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        (f"mlflow_tracking_password = 50%{SECRET}", "a % in it must be written %%"),
        (f"mlflow_tracking_password {SECRET}", "it must have a line [mlflow]"),
    ],
)
def test_a_file_of_credentials_that_cannot_be_read_is_named_and_not_quoted(nnexp, tmp_path, monkeypatch, line, advice):
    home = tmp_path / "home"
    (home / ".mlflow").mkdir(parents=True)
    (home / ".mlflow/credentials").write_text(f"[mlflow]\nmlflow_tracking_username = alice\n{line}\n")
    for words in (("experiment=smoke",), ("-m", "experiment=smoke", "seed=0,1")):
        done = nnexp(*words, "tracking.uri=http://127.0.0.1:9", env={"HOME": str(home)})
        assert done.status == 2
        assert done.err.startswith(f"~/.mlflow/credentials cannot be read: {advice}")
        assert done.err.count("\n") == 1
        assert SECRET not in done.out + done.err
    assert not (nnexp.folder / "outputs").exists()
    monkeypatch.setenv("HOME", str(home))
    with pytest.raises(ConfigError, match=r"^~/.mlflow/credentials cannot be read"):
        ask("http://127.0.0.1:9", "e", 1)


def test_a_config_is_written_without_the_passwords_of_python_s_environment(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://alice:a {SECRET} " + "b " * 50 + "@host")  # which YAML folds
    cfg = compose(["experiment=smoke", f"+task.options.database='postgresql:///runs?password={SECRET}'"])
    text = to_yaml(cfg)
    assert "uri: http://host\n" in text
    assert SECRET not in text
    assert SECRET not in to_yaml(cfg, resolve=False)
    assert SECRET in cfg.tracking.uri
    assert SECRET in cfg.task.options.database


@pytest.fixture
def environment(monkeypatch):
    """An environment of its own, without any password."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_TRACKING", "NNEXP_DATABASE"))}
    monkeypatch.setattr(os, "environ", own)
    return own


def test_a_store_is_known_without_its_password(environment):
    uri = "postgresql+psycopg2://user:pw@localhost/db?sslmode=require&password=other"
    bare = "postgresql+psycopg2://user@localhost/db?sslmode=require&password=***"
    assert Store(uri, "e").uri == Store(uri, "e").shown_uri == bare
    assert credentials.with_password(bare) == uri
    assert credentials.with_password("postgresql://user@localhost/other") == "postgresql://user@localhost/other"
    assert one_line(ValueError(f"cannot parse '{uri}'")) == f"cannot parse '{bare}'"


def test_user_and_password_of_the_environment_win_and_that_is_said(environment, capsys):
    environment["MLFLOW_TRACKING_USERNAME"] = "bob"
    assert credentials.extract_password("https://alice:secret@host:1/x") == "https://host:1/x"
    assert environment["MLFLOW_TRACKING_USERNAME"] == "bob"
    assert "MLFLOW_TRACKING_PASSWORD" not in environment
    assert "ignored in favour of MLFLOW_TRACKING_USERNAME in the environment" in capsys.readouterr().err


def test_a_store_on_the_command_line_does_not_get_the_password_of_another(environment):
    environment["MLFLOW_TRACKING_URI"] = "http://alice:secret@host"
    assert credentials.extract_passwords(["sync", "--to", "http://other"]) == ["sync", "--to", "http://other"]
    assert environment["MLFLOW_TRACKING_URI"] == "http://host"
    assert "MLFLOW_TRACKING_PASSWORD" not in environment
    environment["MLFLOW_TRACKING_URI"] = "http://alice:se%40cret@host"
    credentials.extract_passwords(["model.l2=1"])
    assert environment["MLFLOW_TRACKING_PASSWORD"] == "se@cret"
    assert credentials.extract_passwords(["+tracking.uri='mysql://u:p@h/d?a=b'"]) == [
        "+tracking.uri='mysql://u@h/d?a=b'"
    ]
    assert credentials.extract_from_words([r"tracking.uri='http://alice:o\'x y@host'"]) == [
        "tracking.uri='http://host'"
    ]
    with pytest.raises(ConfigError, match="must be given by itself"):
        credentials.extract_from_words([f"tracking={{uri:'http://alice:{SECRET}@host'}}"])


def test_the_password_of_something_else_is_not_sent_to_the_store(environment):
    assert credentials.extract_from_words(["data.url=https://alice:secret@files/x"]) == ["data.url=https://files/x"]
    assert not {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"} & set(environment)


def test_what_other_machines_are_given_is_of_the_environment_or_of_mlflows_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert credentials.credentials() == {}
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow/credentials").write_text(IN_FILE)
    given = {credentials.USERNAME: "alice", credentials.PASSWORD: "from the file"}
    assert credentials.credentials() == given
    monkeypatch.setenv(credentials.PASSWORD, "from here")
    assert credentials.credentials() == {**given, credentials.PASSWORD: "from here"}
