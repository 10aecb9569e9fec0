"""`nnexp evaluate --weights` with all that is no network: one line, exit status 2, nothing made."""

import pickle
import shutil

import numpy as np
import pytest
from scipy.io import savemat

from nnexp.cli import main
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import Store
from tests.tools import made_up

pytestmark = pytest.mark.slow  # each takes seconds, alone or by its fixtures

GOOD = {"n_layers": 1, "weights_0": np.ones((10, 400)), "biases_0": np.ones(10), "activation": "sigmoid"}


class NotAnArray:
    """What no file of weights should hold."""


def npz(path, **changes):
    arrays = {key: value for key, value in (GOOD | changes).items() if value is not None}
    np.savez(path, **arrays)


def bad_files(folder):
    """The files by their names."""
    (folder / "empty.npz").write_bytes(b"")
    (folder / "text.npz").write_text("weights")
    (folder / "pickle.npz").write_bytes(pickle.dumps({"weights_0": [1.0]}))
    np.save(folder / "one.npy", np.ones(3))
    (folder / "one.npy").rename(folder / "one array.npz")
    npz(folder / "whole.npz")
    content = (folder / "whole.npz").read_bytes()
    (folder / "truncated.npz").write_bytes(content[: len(content) // 2])
    (folder / "flipped.npz").write_bytes(content[:4000] + bytes(500) + content[4500:])
    (folder / "whole.npz").unlink()
    npz(folder / "nothing.npz", n_layers=None, weights_0=None, biases_0=None, activation=None)
    for name, value in {"negative": -1, "huge": 10**9, "list": [1, 2], "half": 0.5, "word": "one"}.items():
        npz(folder / f"n_layers {name}.npz", n_layers=value)
    npz(folder / "missing.npz", biases_0=None)
    npz(folder / "transposed.npz", weights_0=np.ones((400, 10)))
    npz(folder / "vector.npz", weights_0=np.ones(4000))
    npz(folder / "no width.npz", weights_0=np.ones((10, 0)))
    npz(folder / "not a chain.npz", n_layers=2, weights_1=np.ones((10, 7)), biases_1=np.ones(10))
    npz(folder / "not a number.npz", weights_0=np.full((10, 400), np.nan))
    npz(folder / "complex.npz", weights_0=np.ones((10, 400), complex))
    npz(folder / "words.npz", weights_0=np.full((10, 400), "x"))
    npz(folder / "objects.npz", weights_0=np.array([NotAnArray()]))
    npz(folder / "activation.npz", activation="softplus")
    (folder / "text.mat").write_text("Theta1 = [1 2 3]")
    (folder / "empty.mat").write_bytes(b"")
    theta = np.ones((10, 401))
    savemat(folder / "whole.mat", {"Theta1": theta})
    (folder / "truncated.mat").write_bytes((folder / "whole.mat").read_bytes()[:2000])
    (folder / "whole.mat").unlink()
    savemat(folder / "no Theta1.mat", {"theta1": theta, "Theta2": theta})
    savemat(folder / "text in it.mat", {"Theta1": "weights"})
    savemat(folder / "cells.mat", {"Theta1": np.array([[1, "x"]], dtype=object)})
    savemat(folder / "cube.mat", {"Theta1": np.ones((2, 3, 4))})
    savemat(folder / "not a number.mat", {"Theta1": theta * np.inf})
    savemat(folder / "column.mat", {"Theta1": np.ones((10, 1))})
    savemat(folder / "not a chain.mat", {"Theta1": np.ones((25, 401)), "Theta2": np.ones((10, 401))})
    (folder / "a folder").mkdir()
    (folder / "a folder with a folder").mkdir()
    (folder / "a folder with a folder" / "weights.npz").mkdir()
    return sorted(path for path in folder.iterdir())


def refusal(capsys, *words):
    """The one line with which a command is refused."""
    assert main([*words]) == 2, words
    told = capsys.readouterr()
    assert told.out == ""
    [line] = told.err.splitlines()
    return line


def test_a_file_that_holds_no_network_is_refused_in_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "here").mkdir()
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for path in [*bad_files(tmp_path / "weights"), tmp_path / "not there.npz"]:
        assert path.name in refusal(capsys, "evaluate", "--weights", str(path))
    assert not list((tmp_path / "here").iterdir())


@pytest.mark.parametrize("state", ["deleted", "without weights", "without artifacts", "damaged", "another application"])
def test_a_run_of_the_store_without_weights_is_refused_in_one_line(tmp_path, empty_store, monkeypatch, capsys, state):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "outputs"
    store = Store(empty_store(root / "mlflow.db"), "nnexp")
    if state == "another application":
        run_id = store.create("not of nnexp", 1.0, {})
    else:
        directory = made_up.whole(root, "run", store=store)
        publication = Publication(directory, store)
        publication.advance()
        run_id = publication.run_id
        shutil.rmtree(directory.path)
    artifacts = root / "artifacts" / run_id / "artifacts"
    if state == "deleted":
        store.client.delete_run(run_id)
    elif state == "without weights":
        (artifacts / "weights.npz").unlink()
    elif state == "without artifacts":
        shutil.rmtree(artifacts)
    elif state == "damaged":
        for path in artifacts.rglob("*.*"):
            path.write_bytes(b"\0")
    assert run_id in refusal(capsys, "evaluate", "--weights", run_id)
