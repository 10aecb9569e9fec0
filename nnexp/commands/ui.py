"""`nnexp ui`: the MLflow UI on this store, on the loopback address."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from nnexp.terminal import say

LOOPBACK = "127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("overrides", nargs="*", help="config overrides, such as tracking.experiment=NAME")
    parser.add_argument("--port", type=int, default=5000, help="default 5000")


def run(arguments: argparse.Namespace) -> int:
    """Print the address to open and serve until Ctrl-C."""
    from nnexp.config import ConfigError
    from nnexp.hydra_app import compose
    from nnexp.tracking.store import MLFLOW_SETTINGS, StoreError, open_store, sqlite_path, ui_address

    try:
        tracking = compose(arguments.overrides).tracking
    except ConfigError as error:
        say(str(error))
        return 2
    uri, experiment = tracking.uri, tracking.experiment
    path = sqlite_path(uri)
    if path is not None and not path.exists():
        say(f"There is no store at {path} yet; train something first, for example with `nnexp`.")
        return 2
    try:
        store = open_store(uri, experiment)
        if store.is_server:
            print(ui_address(uri, store.experiment_id))
            return 0
        address = ui_address(f"http://{LOOPBACK}:{arguments.port}", store.experiment_id)
    except StoreError as error:
        say(str(error))
        return 1
    print(f"Open {address}\nCtrl-C ends it.", flush=True)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri]
    command += ["--host", LOOPBACK, "--port", str(arguments.port), "--workers", "1"]
    settings = {**MLFLOW_SETTINGS, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    try:
        return subprocess.run(command, env={**settings, **os.environ}).returncode
    except KeyboardInterrupt:
        return 0
