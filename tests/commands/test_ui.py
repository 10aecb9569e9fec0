"""`nnexp ui` before it serves anything. What it serves is looked at in tests/browser."""

import contextlib
import http.client
import os
import re
import signal
import socket
from pathlib import Path

import psutil
import pytest

from nnexp.commands import ui
from nnexp.config import ConfigError
from tests.tools.waiting import HANGING, wait_for


@pytest.fixture
def taken():
    """A port on which somebody listens."""
    with socket.socket() as listener:
        listener.bind((ui.LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_where_the_usual_port_is_taken_another_one_is_found(taken, monkeypatch):
    monkeypatch.setattr(ui, "PORT", taken)
    found, _ = ui.free_port(None)
    assert found not in (0, taken)
    assert ui.free_port(found)[0] == found


def test_a_wished_port_that_is_taken_is_refused(taken):
    with pytest.raises(ConfigError, match=f"`--port` must be a free port, got {taken}"):
        ui.free_port(taken)


@pytest.mark.parametrize("port", [-1, 70000])
def test_a_number_that_is_no_port_is_refused(port):
    with pytest.raises(ConfigError, match=f"got {port}"):
        ui.free_port(port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "", "a\0b", "x" * 300])
def test_a_host_that_is_not_this_machine_is_refused(host):
    with pytest.raises(ConfigError, match="`--host` must be a name or an address of this machine, got "):
        ui.free_port(None, host)


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "http://127.0.0.1:"), ("localhost", "http://localhost:")])
def test_the_loopback_address_is_open_to_nobody_else(host, shown):
    place = ui.Place.of(host, 0)
    assert (place.is_open, place.address) == (False, f"{shown}{place.port}")


def test_a_tracking_server_is_not_served_elsewhere(nnexp):
    done = nnexp("ui", "--host", "0.0.0.0", "tracking.uri=http://127.0.0.1:9")
    assert (done.status, done.out) == (2, "")
    assert done.err == "--host is of the server that `nnexp ui` starts, got the tracking server http://127.0.0.1:9\n"


def test_without_a_store_there_is_a_sentence(nnexp):
    done = nnexp("ui")
    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines()[-1].startswith("there is no store at ")
    assert "Traceback" not in done.err


def processes_of(session):
    """The processes of a session that are there, and what they run."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                found[int(path.parent.name)] = (path.parent / "cmdline").read_bytes()
    return found


def children_of(pid):
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks at processes as Linux shows them")
@pytest.mark.slow
def test_the_server_ends_with_the_command_however_that_ends_and_is_found_past_a_proxy(with_store):
    nowhere = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    environment = {k: v for k, v in os.environ.items() if k.lower() != "no_proxy"} | nowhere
    started = [with_store.start("ui", "--port=0", env=environment, start_new_session=True) for _ in range(2)]
    for process in started:
        assert any(line.startswith("Ctrl-C ends it") for line in process.stdout), process.stderr.read()
    sessions = [child for process in started for child in children_of(process.pid)]
    assert len(sessions) == 2
    assert all(b"mlflow" in b" ".join(processes_of(session).values()) for session in sessions)
    killed, interrupted = started
    killed.kill()
    os.killpg(interrupted.pid, signal.SIGINT)  # as a terminal does
    out, err = interrupted.communicate(timeout=HANGING)
    assert (interrupted.returncode, out) == (0, "")
    assert all(line.startswith("[MLflow]") for line in err.splitlines()), err  # what its server says when it starts
    killed.communicate(timeout=HANGING)
    wait_for(lambda: not any(map(processes_of, sessions)))


@pytest.mark.slow
def test_it_listens_on_the_loopback_address_only_and_answers_no_other_host_unless_told_to(with_store):
    team = {"MLFLOW_SERVER_ALLOWED_HOSTS": "team.example"}
    started = [with_store.start("ui", "--port=0", env=os.environ | more) for more in ({}, team)]
    ports = []
    for process in started:
        lines = list(iter(process.stdout.readline, "Ctrl-C ends it.\n"))
        ports.append(int(re.search(r"127\.0\.0\.1:(\d+)", "".join(lines))[1]))
    default, opened = ports

    runs = "/api/2.0/mlflow/experiments/search?max_results=1"
    for host in (f"127.0.0.1:{default}", "localhost:1234"):  # the other end of a tunnel
        assert (status(default, host), status(default, host, runs)) == (200, 200)
    for host in ("evil.example", f"evil.example:{default}", "team.example", "10.0.0.1"):
        assert (status(default, host), status(default, host, runs)) == (403, 403)
    assert (status(opened, "team.example"), status(opened, "evil.example")) == (200, 403)
    addresses = {address for port in ports for address in listening(port)}
    assert addresses == {ui.LOOPBACK}
    for process in started:
        process.send_signal(signal.SIGINT)
    told = [process.communicate(timeout=HANGING)[1] for process in started]
    assert ["no authentication" in text for text in told] == [False, True]
    assert "MLFLOW_SERVER_ALLOWED_HOSTS has it answer requests for the hosts team.example" in told[1]


@pytest.mark.slow
def test_for_others_it_says_so_and_answers_under_its_own_names_only(with_store):
    process = with_store.start("ui", "--port=0", "--host=0.0.0.0")
    lines = list(iter(process.stdout.readline, "Ctrl-C ends it.\n"))
    name = socket.gethostname().lower()
    [port] = {int(found) for found in re.findall(rf"Open http://{re.escape(name)}:(\d+)/", "".join(lines))}
    search, body = "/api/2.0/mlflow/runs/search", '{"experiment_ids": ["1"]}'
    for host in (f"{name}:{port}", f"127.0.0.1:{port}", "localhost:1234"):
        assert status(port, host) == 200
    for host in ("evil.example", f"evil.example:{port}", f"{name}.evil.example:{port}"):
        assert status(port, host) == 403
    asked = {
        origin: status(port, f"{name}:{port}", search, body, Origin=origin)
        for origin in (f"http://{name}:{port}", f"http://evil.example:{port}", f"http://{name}.evil.example:{port}")
    }
    assert list(asked.values()) == [200, 403, 403]  # a page of its own asks so, and one of another site may not
    assert listening(port) == {"0.0.0.0"}
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=HANGING)[1]
    assert f"The UI has no authentication: everybody who reaches http://{name}:{port} can read and change" in told


def status(port, host, path="/", body=None, **headers):
    """With which status a server answers a request that names a host."""
    with contextlib.closing(http.client.HTTPConnection(ui.LOOPBACK, port, timeout=HANGING)) as connection:
        sent = {"Host": host, "Content-Type": "application/json", **headers}
        connection.request("POST" if body else "GET", path, body, headers=sent)
        with connection.getresponse() as answer:
            return answer.status


def listening(port):
    """The addresses of this machine on which somebody listens at a port."""
    return {
        connection.laddr.ip
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }


def test_what_the_environment_opens_is_said(monkeypatch):
    assert ui.what_is_opened() is None
    monkeypatch.setenv("MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "true")
    assert "whatever the Host header says" in ui.what_is_opened()
