"""What the tests share: the real command in a folder of its own, and the store it leaves behind."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "HYDRA_FULL_ERROR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """One folder for rebuilt data sets, shared by all tests of a session."""
    return tmp_path_factory.getbasetemp() / "data"


@dataclass
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@dataclass
class Nnexp:
    """The command in one working folder."""

    folder: Path
    cache: Path

    def words(self, *arguments):
        return [sys.executable, "-m", "nnexp", *arguments]

    def start(self, *arguments, **settings):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(self.words(*arguments), cwd=self.folder, **pipes | settings)

    def __call__(self, *arguments, timeout=240, env=None):
        done = subprocess.run(
            self.words(*arguments),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | (env or {}),
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def results(self):
        """`result.json` of every run directory, by the directory's name."""
        return {
            path.parent.name: json.loads(path.read_text()) for path in self.folder.glob("outputs/runs/*/result.json")
        }

    def directories(self):
        return sorted(self.folder.glob("outputs/runs/*"))

    def store(self, experiment="nnexp"):
        from nnexp.tracking.store import Store

        return Store(f"sqlite:///{self.folder}/outputs/mlflow.db", experiment)


@pytest.fixture
def nnexp(tmp_path, cache):
    """The command `nnexp` in an empty folder; data sets are kept in a folder of the session."""
    cache.mkdir(exist_ok=True)
    (tmp_path / "data").symlink_to(cache)
    return Nnexp(tmp_path, cache)
