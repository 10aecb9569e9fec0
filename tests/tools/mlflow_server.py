"""A real tracking server on the loopback address, for tests: it can be killed and started again on its port."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.tools.waiting import HANGING

HOST = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class MlflowServer:
    """`mlflow server` on SQLite with artifacts behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen | None = None

    @property
    def uri(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """Variables that it is started with."""
        return {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{self.folder}/mlflow.db"}

    @property
    def words(self) -> list[str]:
        """Further arguments."""
        return []

    def start(self) -> "MlflowServer":
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(self.port), "--workers", "1"]
        command += ["--serve-artifacts", "--artifacts-destination", str(self.folder / "artifacts"), *self.words]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env=os.environ | settings | self.settings,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + HANGING
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "server.log").read_text()[-2000:])
            time.sleep(0.05)
        return self

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=HANGING):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """End the server and its workers as `kill -9` does."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def __enter__(self) -> "MlflowServer":
        return self.start()

    def __exit__(self, *exception) -> None:
        self.kill()
