"""A store that cannot be used is refused before training; one that is only away stops no run."""

import contextlib
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from nnexp.cli import main
from nnexp.readers import ConfigError
from nnexp.tracking import usable
from nnexp.tracking.usable import check_store
from tests.tools.faulty_server import EXPERIMENT, FaultyServer, self_signed
from tests.tools.waiting import HANGING

SMALL = ["data=digits", "data.cache=null", "model.hidden_size=5", "optimizer.maxfun=5"]


def check(uri, backend="mlflow", **what):
    check_store(SimpleNamespace(uri=uri, backend=backend, experiment="a b"), **what)


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """However busy the machine is."""
    monkeypatch.setattr(usable, "SECONDS", HANGING)


@pytest.fixture(autouse=True)
def _no_databricks(monkeypatch, tmp_path):
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CONFIG_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        (
            "postgresql+psycopg2://h/d",
            "its driver is not installed, the Python module psycopg2: pip install psycopg2-binary",
        ),
        ("mysql://h/d", "its driver is not installed, the Python module MySQLdb"),
        ("mysql+broken://h/d", "libmysqlclient.so: cannot open shared object file"),
        ("mssql+nothing://h/d", "mssql.nothing"),
        pytest.param(
            "databricks",
            "no access is configured: DATABRICKS_HOST and DATABRICKS_TOKEN, or `databricks auth login`",
            marks=pytest.mark.slow,
        ),  # MLflow is asked
    ],
)
def test_a_store_whose_library_is_missing_is_refused(uri, told, monkeypatch, tmp_path):
    for module in ("psycopg2", "MySQLdb"):
        monkeypatch.setitem(sys.modules, module, None)
    if "broken" in uri:
        uri = uri.replace("+broken", "")
        (tmp_path / "MySQLdb.py").write_text(f"raise ImportError({told!r})")
        monkeypatch.delitem(sys.modules, "MySQLdb")
        monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"^`tracking.uri` \S+ cannot be used: ") as caught:
        check(uri)
    assert str(caught.value).endswith(told)
    assert len(str(caught.value).splitlines()) == 1
    check(uri, backend="none")


@pytest.mark.slow  # MLflow is asked
@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, "not here", "the server is not an MLflow server: it answers with error 404"),
        (200, "<html>", "the server is not an MLflow server: it answers with something other than MLflow's JSON"),
        (401, "who?", "the server requires a user and a password (401)"),
    ],
)
def test_a_server_that_is_none_of_mlflows_is_refused(status, body, told):
    with FaultyServer(status, body) as server, pytest.raises(ConfigError) as caught:
        check(server.uri)
    assert told in str(caught.value)


def test_a_server_that_is_away_or_in_trouble_is_not(tmp_path):
    for uri in ("http://127.0.0.1:9", "http://no-such-host.invalid:5000", "http://a..b:5000", "sqlite:///x.db"):
        check(uri)
    for status in (500, 503, 429):
        with FaultyServer(status, "later") as server:
            check(server.uri)
    with FaultyServer(certificate=self_signed(tmp_path)) as server:
        check(server.uri)


def test_a_server_that_dribbles_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(usable, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def dribble():
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 404 no\r\n\r\n")
                while True:
                    connection.sendall(b"x")
                    time.sleep(0.05)

        threading.Thread(target=dribble, daemon=True).start()
        check(f"http://127.0.0.1:{server.getsockname()[1]}")


def answering_once(server, content):
    """The address of a server that says this once, and nothing to whoever comes then."""

    def answer():
        with contextlib.closing(server.accept()[0]) as connection:
            connection.recv(10_000)
            connection.sendall(content)

    threading.Thread(target=answer, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_does_not_speak_http_is_not_asked_further():
    with socket.create_server(("127.0.0.1", 0)) as server:
        check(answering_once(server, b"220 a mail server\r\n"))


@pytest.mark.slow  # MLflow is asked
def test_a_server_that_falls_silent_after_its_first_answer_is_not_refused(monkeypatch):
    """Be it MLflow's, whose next answer may tell who may write, or one whose first answer was odd."""
    monkeypatch.setattr(usable, "SECONDS", 0.5)
    with FaultyServer(body=EXPERIMENT, hangs=True) as server:
        check(server.uri)
        assert server.seen[1:] == ["/api/2.0/mlflow/runs/create"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        check(answering_once(server, b"HTTP/1.1 404 no\r\nContent-Length: 0\r\n\r\n"))


def test_a_server_of_mlflow_is_asked_two_small_questions(monkeypatch):
    """One on this host directly, whatever proxy there is."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with FaultyServer(body=EXPERIMENT) as server:
        check(server.uri + "/team/")
    assert server.seen == [
        "/team/api/2.0/mlflow/experiments/get-by-name?experiment_name=a%20b",
        "/team/api/2.0/mlflow/runs/create",  # with nonsense, which makes none
    ]
    with FaultyServer(body=EXPERIMENT) as server:
        check(server.uri, writes=False)
    assert len(server.seen) == 1


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["-m", "seed=0,1"], ["rerun", "abcdef"]], ids=["run", "sweep", "rerun"])
def test_nothing_is_done_with_a_store_that_cannot_be_used(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    with FaultyServer(404) as server:
        assert main([*words, *SMALL, f"tracking.uri={server.uri}"]) == 2
    told = capsys.readouterr()
    assert (told.out, len(told.err.splitlines())) == ("", 1)
    assert "is not an MLflow server" in told.err
    assert not (tmp_path / "outputs").exists()


def test_a_server_that_leads_on_to_another_does_not_hand_it_the_credentials(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "alice")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "what-alice-alone-knows")
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.server is first, self.headers.get("Authorization")))
            self.send_response(302 if self.server is first else 404)
            self.send_header("Location", f"http://localhost:{second.server_port}/")
            self.end_headers()

        def log_message(self, *_):
            pass

    first, second = (ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2))
    for server in (first, second):
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        usable._request(f"http://127.0.0.1:{first.server_port}", "/api", None)
    finally:
        for server in (first, second):
            server.shutdown()
            server.server_close()
    assert [(is_first, login is None) for is_first, login in seen] == [(True, False), (False, True)]
