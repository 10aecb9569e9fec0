import os
import random
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing

import pytest

from nnexp.cli import main
from nnexp.tracking import database
from nnexp.tracking.errors import StoreError
from nnexp.tracking.store import Store

FIRST_USE = """
    import sys
    from nnexp.tracking.mlflow_import import import_mlflow
    from nnexp.tracking.store import Store
    import_mlflow()
    print("begin", flush=True)
    Store(sys.argv[1], "e").experiment_id
"""


def killed_first_use(uri, after):
    """Let a process begin with the first use of a store, and kill it."""
    words = [sys.executable, "-c", textwrap.dedent(FIRST_USE), uri]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        time.sleep(after)
        process.kill()


def takes_a_run(uri):
    store = Store(uri, "e")
    run_id = store.create("run", time.time(), {})
    store.terminate(run_id, "FINISHED")
    return store.get(run_id).status == "FINISHED"


@pytest.mark.slow
def test_a_store_whose_first_use_was_killed_opens_and_nothing_else_is_left(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for _ in range(2):
        killed_first_use(uri, after=random.uniform(0.1, 1.0))
    assert takes_a_run(uri)
    assert {path.name for path in tmp_path.iterdir()} <= {"mlflow.db", "mlflow.db.lock"}


def test_whether_a_store_has_runs_of_a_tag_is_read_without_mlflow(tmp_path, empty_store):
    path = tmp_path / "mlflow.db"
    assert database.lacks(path, "key", ["a"])
    store = Store(empty_store(path), "e")
    store.create("run", time.time(), {"key": "a", "another": "b"})
    assert database.lacks(path, "key", ["b", "c"])
    assert not database.lacks(path, "key", ["b", "a"])
    (tmp_path / "other.db").write_bytes(b"no database at all")
    assert not database.lacks(tmp_path / "other.db", "key", ["a"])


def test_a_half_made_store_is_rebuilt_and_one_with_runs_never_is(tmp_path, empty_store, monkeypatch):
    monkeypatch.setattr("nnexp.tracking.database.QUIET_SECONDS", 0.0)
    uri = empty_store(tmp_path / "mlflow.db")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as half:  # as a migration leaves it that was killed
        half.executescript("DELETE FROM experiments; CREATE TABLE _alembic_tmp_metrics (x); DROP TABLE webhooks;")
    (tmp_path / "mlflow.db-journal").write_bytes(b"of the store that is to go")
    assert takes_a_run(uri)
    assert not (tmp_path / "mlflow.db-journal").exists()

    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as upgraded:
        upgraded.executescript("CREATE TABLE _alembic_tmp_metrics (x)")
    before = (tmp_path / "mlflow.db").read_bytes()
    with pytest.raises(StoreError, match=r"upgrade .* was cut off; .*`nnexp sync --to`"):
        _ = Store(uri, "another").experiment_id
    assert (tmp_path / "mlflow.db").read_bytes() == before


def damaged_stores(folder, empty_store):
    """Files that are no store that can be used, with what is to be said of each."""
    for name in ("text", "cut", "foreign", "newer"):
        empty_store(folder / f"{name}.db")
    (folder / "text.db").write_text("this is not a database" * 100)
    (folder / "cut.db").write_bytes((folder / "cut.db").read_bytes()[:5000])
    (folder / "foreign.db").unlink()
    with closing(sqlite3.connect(folder / "foreign.db")) as other:
        other.executescript("CREATE TABLE songs (title TEXT)")
    with closing(sqlite3.connect(folder / "newer.db")) as newer:
        newer.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        newer.commit()
    return {
        "text": "not a database that can be read",
        "cut": "not a database that can be read",
        "foreign": "another application",
        "newer": "another version of MLflow",
    }


def test_a_device_or_a_folder_is_never_replaced_and_a_link_stays_a_link(tmp_path):
    os.mkfifo(tmp_path / "device.db")
    (tmp_path / "folder.db").mkdir()
    for name in ("device", "folder"):
        with pytest.raises(StoreError, match=f"{name}.db is not a regular file"):
            _ = Store(f"sqlite:///{tmp_path}/{name}.db", "e").experiment_id
    assert (tmp_path / "device.db").is_fifo()
    assert not list((tmp_path / "folder.db").iterdir())
    for place in ("/proc", f"{tmp_path}/device.db"):  # where nothing can be made
        with pytest.raises(StoreError, match="cannot be used"):
            _ = Store(f"sqlite:///{place}/mlflow.db", "e").experiment_id
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "mlflow.db").symlink_to(tmp_path / "elsewhere/real.db")
    assert takes_a_run(f"sqlite:///{tmp_path}/mlflow.db")
    assert (tmp_path / "mlflow.db").is_symlink()
    assert (tmp_path / "elsewhere/real.db").is_file()
    assert list(tmp_path.glob("elsewhere/*.lock")) == []


@pytest.mark.slow
def test_a_file_that_is_no_store_is_told_in_one_line_and_left_as_it_is(tmp_path, empty_store, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, reason in damaged_stores(tmp_path, empty_store).items():
        before = (tmp_path / f"{name}.db").read_bytes()
        for command in (["report"], ["report", "--experiment", "nnexp"], ["sweeps"]):
            assert main([*command, f"tracking.uri=sqlite:///{name}.db"]) == 1
            told = capsys.readouterr().err
            assert reason in told
            assert told.count("\n") == 1
        assert (tmp_path / f"{name}.db").read_bytes() == before
    assert not {"foreign.db.lock", "text.db.lock"} & {path.name for path in tmp_path.iterdir()}
