"""`nnexp ui`: the MLflow UI on this store, opened where runs compare; on the loopback address unless told otherwise."""

from __future__ import annotations

import argparse
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from dataclasses import dataclass
from typing import Any

import psutil

from nnexp import lifeline
from nnexp.credentials import with_password
from nnexp.errors import ExitStatus, UsageError
from nnexp.terminal import say, tell

LOOPBACK, PORT = "127.0.0.1", 5000
# Who asks for another host has been led here by a page that is not ours; a tunnel may have any port on its other side.
HOSTS = f"localhost,localhost:*,{LOOPBACK},{LOOPBACK}:*"
ALLOWED, UNCHECKED = "MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE"
ORIGINS = "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"  # of the pages whose requests it answers
START_SECONDS = 120
FAMILIES = (socket.AF_INET, socket.AF_INET6)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("overrides", nargs="*", help="config overrides, such as tracking.experiment=NAME")
    parser.add_argument("--port", type=int, help=f"default {PORT}, or another port if that is taken; 0: any free port")
    parser.add_argument(
        "--host",
        default=LOOPBACK,
        help="a name or an address of this machine, by which others reach it too, or 0.0.0.0 for all that it has; "
        f"whoever reaches it can then read and change the store; default: {LOOPBACK}, for this machine only",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C; print what to open once it answers."""
    from nnexp.compose import compose, read_config
    from nnexp.tracking.store import open_existing

    tracking = read_config(compose(arguments.overrides)).tracking
    store = open_existing(tracking.uri, tracking.experiment)
    if store.is_server:
        if arguments.host != LOOPBACK:
            raise UsageError(f"--host is of the server that `nnexp ui` starts, got the tracking server {store.uri}")
        show(places(store), arguments.open)
        return ExitStatus.DONE
    place = Place.of(arguments.host, arguments.port)
    return serve(store.uri, place, places(store, place.address), arguments.open)


@dataclass(frozen=True)
class Place:
    """Where the UI is served.

    Attributes
    ----------
    host
        What it listens at.
    names
        Under which it is opened, the first of which is shown.
    """

    host: str
    port: int
    names: tuple[str, ...]
    is_open: bool

    @classmethod
    def of(cls, host: str, port: int | None) -> Place:
        """The place of a host and a port that is wished for; errors as of :func:`free_port`."""
        port, listening = free_port(port, host)
        if not listening.is_unspecified:
            return cls(str(listening), port, (host.lower(),), not listening.is_loopback)
        own = {each.address for found in psutil.net_if_addrs().values() for each in found if each.family in FAMILIES}
        names = [socket.gethostname().lower(), socket.getfqdn().lower(), *sorted(own)]
        return cls(str(listening), port, tuple(dict.fromkeys(names)), True)

    @property
    def addresses(self) -> list[str]:
        """What a browser is given."""
        return [f"http://{f'[{name}]' if ':' in name else name}:{self.port}" for name in self.names]

    @property
    def address(self) -> str:
        """The first of them."""
        return self.addresses[0]

    @property
    def local(self) -> str:
        """What this machine asks whether it is served."""
        return {"0.0.0.0": f"http://{LOOPBACK}:{self.port}", "::": f"http://[::1]:{self.port}"}.get(
            self.host, self.address
        )

    @property
    def settings(self) -> dict[str, str]:
        """What MLflow's server is told of who may ask: whom the user's environment names, and its own names."""
        known = [os.environ.get(ALLOWED) or HOSTS]
        if self.host == LOOPBACK:
            return {ALLOWED: known[0]}
        own = [address.removeprefix("http://") for address in self.addresses]
        origins = [*filter(None, [os.environ.get(ORIGINS)]), *self.addresses]
        return {ALLOWED: ",".join(known + own), ORIGINS: ",".join(origins)}


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


def serve(uri: str, place: Place, shown: list[tuple[str, str]], opened: bool) -> int:
    """Run MLflow's server on a store in the foreground."""
    from nnexp.paths import sqlalchemy_uri
    from nnexp.tracking.mlflow_import import MLFLOW_SETTINGS

    command = [sys.executable, "-P", "-m", "mlflow", "server", "--host", place.host, "--port", str(place.port)]
    command += ["--workers", "1", "--uvicorn-opts", "--log-level warning"]
    quiet = {"PYTHONWARNINGS": "ignore", "MLFLOW_LOGGING_LEVEL": "WARNING"}
    settings = {**MLFLOW_SETTINGS, **quiet, **os.environ, **place.settings}
    settings["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    if place.is_open:
        say(f"The UI has no authentication: everybody who reaches {place.address} can read and change the store.")
    if lets_in := what_is_opened():
        say(f"The UI has no authentication, and {lets_in}.")
    # Not among the arguments, which everybody can read.
    settings["MLFLOW_BACKEND_STORE_URI"] = sqlalchemy_uri(with_password(uri))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitStatus.DONE))
    server = lifeline.start(command, settings)
    try:
        if not answers(server, f"{place.local}/health"):
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


def free_port(wished: int | None, host: str = LOOPBACK) -> tuple[int, Address]:
    """The wished port, or another one where nothing is wished and the usual one is taken; and the address of the host.

    Raises
    ------
    ConfigError
        Where the wished port is taken, or the host is not this one.
    """
    from nnexp.config import ConfigError

    try:
        family, *_, (address, *_) = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.bind((address, 0))
    except (OSError, UnicodeError) as error:
        reason = str(getattr(error, "strerror", None) or error).lower()
        raise ConfigError(f"`--host` must be a name or an address of this machine, got {host!r}: {reason}") from error
    for port in [PORT, 0] if wished is None else [wished]:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except (OSError, OverflowError):
                continue
            return probe.getsockname()[1], ipaddress.ip_address(str(address))
    raise ConfigError(f"`--port` must be a free port, got {wished}")
