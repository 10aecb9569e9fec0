"""An output directory that is moved or copied with its project goes on where it is, and nothing goes where it was."""

import hashlib
import shutil
import sqlite3
from contextlib import closing

import pytest

from nnexp.recovery import sync
from nnexp.runs import backlog
from nnexp.runs.directory import RunDirectory
from nnexp.sweeps.directory import write_plan
from nnexp.sweeps.publication import SweepPublication
from nnexp.tracking.publication import Publication, sweep_uid
from nnexp.tracking.store import Store
from tests.conftest import Nnexp
from tests.tools import made_up
from tests.tools.stored import assert_store_has_all_of

pytestmark = pytest.mark.slow  # each takes seconds, alone or by its fixtures

MOVED = "was moved or copied from"


def addresses(path):
    """Every address of artifacts and every run directory in a store."""
    with closing(sqlite3.connect(path)) as database:
        found = [value for (value,) in database.execute("SELECT artifact_uri FROM runs")]
        found += [value for (value,) in database.execute("SELECT artifact_location FROM logged_models")]
        found += [v for (v,) in database.execute("SELECT artifact_location FROM experiments WHERE experiment_id > 0")]
        return found + [v for (v,) in database.execute("SELECT value FROM tags WHERE key = 'nnexp.directory'")]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def old(tmp_path, empty_store):
    """An output directory with a run that its store has and one of a sweep that is kept back."""
    root = tmp_path / "a project" / "outputs"
    store = Store(empty_store(root / "mlflow.db"), "e")
    Publication(made_up.whole(root, "published", store=store), store).advance()
    made_up.whole(root, "kept back", store=store, sweep="s")
    write_plan(root, made_up.plan("s", ["key of kept back"], uri=store.uri, directory=str(root)))
    store.client._tracking_client.store._dispose_engine()
    return root


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_store_goes_on_where_it_is_and_writes_nothing_where_it_was(old, tmp_path, how, capsys):
    new = tmp_path / "elsewhere" / "outputs"
    shutil.copytree(old, new)
    if how == "moved":
        shutil.rmtree(old.parent)
    before = contents(old)
    told = []
    counts = sync(new, default_uri=f"sqlite:///{new}/mlflow.db", tell=told.append, parent_of=SweepPublication)
    assert (counts, told) == ((1, 0), [])
    assert capsys.readouterr().err.count(MOVED) == 1
    store = Store(f"sqlite:///{new}/mlflow.db", "e")
    for name in ("published", "kept back"):
        assert_store_has_all_of(RunDirectory(new / "runs" / name), store, tmp_path / "compared")
    assert store.find_uid(sweep_uid("s")).status == "FINISHED"
    assert all(str(new) in address.replace("%20", " ") for address in addresses(new / "mlflow.db"))
    assert contents(old) == before
    assert old.exists() == (how != "moved")
    assert capsys.readouterr().err == ""


def test_a_store_that_is_reached_by_another_way_was_not_moved(old, tmp_path, capsys):
    (tmp_path / "link").symlink_to(old.parent)
    before = addresses(old / "mlflow.db")
    assert Store(f"sqlite:///{tmp_path}/link/outputs/mlflow.db", "e").search()
    assert addresses(old / "mlflow.db") == before
    assert capsys.readouterr().err == ""


def test_a_database_that_is_copied_alone_finds_its_artifacts_where_they_are(old, tmp_path):
    shutil.copy(old / "mlflow.db", tmp_path / "mlflow.db")
    store = Store(f"sqlite:///{tmp_path}/mlflow.db", "e")
    [run] = store.search()
    assert store.client.list_artifacts(run.run_id)


def test_a_database_whose_artifacts_are_away_keeps_their_addresses(old, tmp_path):
    (tmp_path / "here").mkdir()
    shutil.move(old / "mlflow.db", tmp_path / "here/mlflow.db")
    disk = old.parent.rename(tmp_path / "unmounted")
    store = Store(f"sqlite:///{tmp_path}/here/mlflow.db", "e")
    Publication(made_up.whole(tmp_path / "here", "new", store=store), store).advance()
    assert (tmp_path / "here/artifacts").is_dir()
    assert not old.parent.exists()
    disk.rename(old.parent)
    [published] = [run for run in store.search() if "published" in run.tags["nnexp.uid"]]
    assert store.client.list_artifacts(published.run_id)


def test_a_backlog_of_an_older_version_is_understood_after_a_move(old, tmp_path):
    [entry] = backlog.folder(old).iterdir()
    entry.unlink()
    path = str(old / "runs" / "kept back")
    entry.with_name(f"kept back.{hashlib.sha256(path.encode()).hexdigest()[:8]}").write_text(path)
    new = tmp_path / "elsewhere"
    shutil.copytree(old, new)
    [directory] = backlog.entries(new)
    assert directory.path == new / "runs" / "kept back"
    assert backlog.has(new, directory)
    backlog.leave(new, directory)
    assert not backlog.entries(new)


def test_a_moved_project_is_swept_evaluated_and_rerun_by_the_same_commands(with_store, tmp_path):
    assert with_store("experiment=smoke", "optimizer.maxfun=8").status == 0
    [name] = with_store.results()
    project = tmp_path / "moved"
    project.mkdir()
    for folder in ("data", "outputs"):
        (with_store.folder / folder).rename(project / folder)
    moved = Nnexp(project, with_store.cache)
    swept = moved("-m", "experiment=smoke", "optimizer.maxfun=8", "seed=0,1")
    assert swept.status == 0, swept.err
    assert swept.err.count(MOVED) == 1
    assert "skipped: seed=0" in swept.err
    shutil.rmtree(project / "outputs/runs" / name)
    [run] = [run for run in moved.store().search() if run.tags["nnexp.uid"].startswith(name)]
    told = moved("evaluate", "--weights", run.run_id, "--json")
    assert (told.status, told.err) == (0, "")
    again = moved("rerun", run.run_id, "--check", "--json")
    assert again.json["verdict"] == "identical", again.err
    assert not (tmp_path / "outputs").exists()
