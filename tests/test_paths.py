import json
import os
import shutil

import numpy as np
import pytest
from scipy.io import savemat

from nnexp.compose import compose, in_grammar, read_config
from nnexp.config import ConfigError
from nnexp.paths import absolute_uri, sqlite_path
from tests.conftest import Nnexp

SMALL = ["model.hidden_size=3", "optimizer.maxfun=5", "data.cache=null"]
STRANGE = "a%20b q?x#y it's ü"


@pytest.fixture
def strange(tmp_path, cache):
    """The command in a folder with all in its name that addresses and overrides read as something else."""
    (tmp_path / STRANGE).mkdir()
    rng = np.random.default_rng(0)
    (tmp_path / "home").mkdir()
    savemat(tmp_path / "home/x.mat", {"X": rng.normal(size=(40, 9)), "y": np.arange(40) % 2})
    return Nnexp(tmp_path / STRANGE, cache)


@pytest.mark.slow
def test_files_are_made_in_the_folder_of_the_command_whatever_its_name_and_wherever_hydra_goes(strange):
    home = strange.folder.parent / "home"
    data = ["data=mat", "data.path='~/x.mat'", *SMALL]
    done = strange("-m", *data, "seed=0,1", "hydra.job.chdir=true", env={"HOME": str(home)})
    assert done.status == 0, done.err
    assert sorted(os.listdir(strange.folder.parent)) == sorted([STRANGE, "home"])
    assert os.listdir(strange.folder) == ["outputs"]
    assert {"artifacts", "mlflow.db", "runs", "sweeps"} <= set(os.listdir(strange.folder / "outputs"))
    store = strange.store()
    runs = [run for run in store.search() if "nnexp.uid" in run.tags and run.tags.get("nnexp.kind") != "sweep"]
    assert [run.status for run in runs] == ["FINISHED"] * 2
    for path in strange.directories():
        assert json.loads((path / "run.json").read_text())["details"]["data"]["path"] == str(home / "x.mat")
        names = {item.path for item in store.client.list_artifacts(runs[0].run_id)}
        assert {"weights.npz", "confusion_matrix.png"} <= names

    # The same folder under another name of strange letters, named on the command line.
    shutil.copytree(strange.folder / "outputs", strange.folder / "it's dir")
    synced = strange("sync", "--directory", "it's dir", env={"HOME": str(home)})
    assert (synced.status, synced.out) == (0, "0 published, 0 not published\n"), synced.err


@pytest.mark.slow
def test_a_single_run_under_chdir_tells_where_it_is_from_the_folder_of_the_command(strange):
    home = strange.folder.parent / "home"
    where = ["tracking.directory='~/out?1'", "data=mat", "data.path='~/x.mat'", *SMALL]
    done = strange(*where, "hydra.job.chdir=true", env={"HOME": str(home)})
    assert done.status == 0, done.err
    [run] = (home / "out?1/runs").iterdir()
    assert str(run) in done.out
    assert (home / "out?1/mlflow.db").is_file()
    assert os.listdir(strange.folder) == []


@pytest.mark.slow
@pytest.mark.parametrize("given", ["nowhere", "it's nowhere", "home/x.mat"])
def test_sync_of_a_folder_that_does_not_exist_is_refused(strange, given):
    done = strange("sync", "--directory", given)
    assert done.status == 2
    assert "--directory" in done.err
    assert given in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("127.0.0.1:5000", "http://HOST:PORT"),
        ("./mlruns", "sqlite:///FILE"),
        ("http://", "http://HOST:PORT"),
        ("sqlite:///", "sqlite:///FILE"),
        ("sqlite:///:memory:", "sqlite:///FILE"),
        ("sqlite:///.", "is a folder"),
    ],
)
def test_an_address_that_is_no_store_is_refused_at_once_also_from_the_environment(tmp_path, monkeypatch, uri, named):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"`tracking\.uri`") as caught:
        read_config(compose([f"tracking.uri='{uri}'"]))
    assert named in str(caught.value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match=r"`tracking\.uri`"):
        read_config(compose([]))
    assert read_config(compose(["tracking=none"])).tracking.backend == "none"


def test_an_empty_variable_is_no_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for empty in ("", " "):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", empty)
        assert read_config(compose([])).tracking.uri == f"sqlite:///{tmp_path}/outputs/mlflow.db"


def test_an_address_keeps_its_options_and_its_letters():
    assert absolute_uri("sqlite:///a%20b/x.db?timeout=60", "/q?x#y") == "sqlite:////q?x#y/a%20b/x.db?timeout=60"
    assert str(sqlite_path("sqlite:////q?x#y/a%20b/x.db?timeout=60")) == "/q?x#y/a%20b/x.db"
    assert absolute_uri("http://host/a%20b?x") == "http://host/a%20b?x"


@pytest.mark.parametrize(
    "text", ["plain/x-1.db", STRANGE, "1e5", "True", "null", "a,b", "[1]", "${x}", r"\${x}", r"a\'b"]
)
def test_a_text_written_as_an_override_is_read_as_that_text(text):
    assert compose([f"tracking.experiment={in_grammar(text)}"]).tracking.experiment == text
