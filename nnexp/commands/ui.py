"""`nnexp ui`: the MLflow UI on this store, on the loopback address, opened where runs compare."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from typing import Any

from nnexp import lifeline
from nnexp.credentials import with_password
from nnexp.errors import ExitStatus
from nnexp.terminal import say, tell

LOOPBACK, PORT = "127.0.0.1", 5000
# Who asks for another host has been led here by a page that is not ours; a tunnel may have any port on its other side.
HOSTS = f"localhost,localhost:*,{LOOPBACK},{LOOPBACK}:*"
ALLOWED, UNCHECKED = "MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE"
START_SECONDS = 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("overrides", nargs="*", help="config overrides, such as tracking.experiment=NAME")
    parser.add_argument("--port", type=int, help=f"default {PORT}, or another port if that is taken; 0: any free port")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C; print what to open once it answers."""
    from nnexp.compose import compose, read_config
    from nnexp.tracking.store import open_existing

    tracking = read_config(compose(arguments.overrides)).tracking
    store = open_existing(tracking.uri, tracking.experiment)
    port = free_port(arguments.port)
    if store.is_server:
        show(places(store), arguments.open)
        return ExitStatus.DONE
    shown = places(store, f"http://{LOOPBACK}:{port}")
    return serve(store.uri, port, shown, arguments.open)


def places(store: Any, base: str | None = None) -> list[tuple[str, str]]:
    """What there is to open: the last sweep, if there is one, and all runs."""
    from nnexp import tasks
    from nnexp.runs.tags import SWEEP
    from nnexp.tracking import views

    views.keep_default(store, tasks.find(tasks.NETWORK).presentation)
    found = [("all runs", views.address(store, base=base))]
    for parent in store.sweeps(newest_first=True)[:1]:
        address = views.address(store, parent.tags[SWEEP], parent.run_id, base=base)
        found.insert(0, (f"the last sweep ({parent.name.removeprefix('sweep of ')})", address))
    return found


def show(shown: list[tuple[str, str]], opened: bool) -> None:
    """Print the addresses; open the first where that is wished."""
    for what, address in shown:
        tell(f"Open {address}  {what}")
    if opened:
        webbrowser.open(shown[0][1])


def serve(uri: str, port: int, shown: list[tuple[str, str]], opened: bool) -> int:
    """Run MLflow's server on a store in the foreground."""
    from nnexp.paths import sqlalchemy_uri
    from nnexp.tracking.mlflow_import import MLFLOW_SETTINGS

    command = [sys.executable, "-P", "-m", "mlflow", "server"]
    command += ["--host", LOOPBACK, "--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level warning"]
    quiet = {"PYTHONWARNINGS": "ignore", "MLFLOW_LOGGING_LEVEL": "WARNING"}
    settings = {**MLFLOW_SETTINGS, **quiet, ALLOWED: HOSTS, **os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    if lets_in := what_is_opened():
        say(f"The UI has no authentication, and {lets_in}.")
    # Not among the arguments, which everybody can read.
    settings["MLFLOW_BACKEND_STORE_URI"] = sqlalchemy_uri(with_password(uri))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitStatus.DONE))
    server = lifeline.start(command, settings)
    try:
        if not answers(server, f"http://{LOOPBACK}:{port}/health"):
            say("The MLflow server did not start.")
            return ExitStatus.FAILED
        show(shown, opened)
        print("Ctrl-C ends it.", flush=True)
        try:
            server.wait()
        except KeyboardInterrupt:
            return ExitStatus.DONE
        say("The MLflow server has ended.")
        return ExitStatus.FAILED
    finally:
        lifeline.end(server)


def what_is_opened() -> str | None:
    """What the user's environment opens to pages of other hosts, which his browser may visit."""
    if os.environ.get(UNCHECKED, "").lower() == "true":
        return f"{UNCHECKED} has it answer whatever the Host header says"
    if hosts := os.environ.get(ALLOWED):
        return f"{ALLOWED} has it answer requests for the hosts {hosts}"
    return None


def answers(server: subprocess.Popen, address: str) -> bool:
    """Wait until a server that has just been started answers; say whether it does."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy reaches the loopback of this host
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with direct.open(address, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False


def free_port(wished: int | None) -> int:
    """The wished port, or another one where nothing is wished and the usual one is taken.

    Raises
    ------
    ConfigError
        Where the wished port is taken.
    """
    from nnexp.config import ConfigError

    for port in [PORT, 0] if wished is None else [wished]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except (OSError, OverflowError):
                continue
            return probe.getsockname()[1]
    raise ConfigError(f"`--port` must be a free port, got {wished}")
