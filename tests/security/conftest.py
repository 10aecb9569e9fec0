"""Runs as somebody else hands them over, or leaves them in a store, with what an attacker has put into them."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from nnexp.cli import main
from nnexp.runs.directory import RunDirectory
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import Store
from tests.tools.real_runs import edit_json, make

SMALL = ("experiment=smoke", "optimizer.maxiter=3", "optimizer.maxfun=6", "figures.of=none", "hydra.run.dir=outputs/a")


@pytest.fixture(scope="session")
def original(tmp_path_factory, cache):
    """The directory of a small run of the network."""
    cache.mkdir(exist_ok=True)
    folder = tmp_path_factory.mktemp("original")
    (folder / "data").symlink_to(cache)
    [path] = make(folder, [SMALL])
    return path


@dataclass
class Victim:
    """Who loads, reports, compares, syncs or repeats: his folder, with a run of somebody else in it."""

    folder: Path
    run: Path
    capsys: pytest.CaptureFixture

    @property
    def canary(self):
        """What is there if code of the attacker has run."""
        return self.folder / "canary"

    @property
    def bait(self):
        """Options of functions that would make the canary."""
        return f"touch {self.canary}"

    def __call__(self, *words):
        """Exit status, standard output and standard error of a command."""
        try:
            status = main([str(word) for word in words])
        except SystemExit as end:
            status = end.code
        out, err = self.capsys.readouterr()
        assert not self.canary.exists(), f"the attacker's code has run: {words}"
        assert "Traceback" not in err
        return status, out, err

    def set_config(self, **groups):
        """Write over what the run has recorded of some groups of its config; None takes one out."""
        path = self.run / "config/config.yaml"
        tree = yaml.safe_load(path.read_text())
        for name, values in groups.items():
            tree[name] = {**(tree.get(name) or {}), **values} if isinstance(values, dict) else values
        path.write_text(yaml.safe_dump(tree))

    def set_json(self, file, /, **values):
        """Write over values of a JSON file of the run."""
        edit_json(self.run / file, **values)

    def set_arrays(self, **arrays):
        """Write over arrays of the run's weights."""
        path = self.run / "weights.npz"
        with np.load(path) as stored:
            known = dict(stored)
        np.savez(path, **{**known, **arrays})

    def store(self, empty_store):
        """The run in a store, and no longer in a directory: the store, the run's id, the folder of its artifacts."""
        store = Store(empty_store(self.folder / "outputs/mlflow.db"), "nnexp")
        publication = Publication(RunDirectory(self.run), store)
        publication.advance()
        shutil.rmtree(self.run)
        artifacts = Path(store.get(publication.run_id).artifact_uri.removeprefix("file://"))
        return store, publication.run_id, artifacts


@pytest.fixture
def victim(tmp_path, original, cache, monkeypatch, capsys):
    """A folder with a copy of the run, in which commands are given."""
    (tmp_path / "data").symlink_to(cache)
    run = tmp_path / "outputs/runs/a"
    shutil.copytree(original, run)
    record = json.loads((run / "run.json").read_text())
    record["tags"]["nnexp.directory"], record["backlog"] = str(run), str(tmp_path / "outputs/unpublished")
    (run / "run.json").write_text(json.dumps(record))
    monkeypatch.chdir(tmp_path)
    return Victim(tmp_path, run, capsys)


@pytest.fixture
def secret(tmp_path_factory):
    """A file of the victim's that nobody is to get."""
    path = tmp_path_factory.mktemp("private") / "secret.png"
    path.write_bytes(b"\x89PNG the victim's own")
    return path
