import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from nnexp.paths import absolute_uri
from nnexp.tracking.errors import StoreError
from nnexp.tracking.store import Store, ui_address
from tests.tools import warm


@pytest.fixture
def uri(tmp_path, empty_store):
    return empty_store(tmp_path / "mlflow.db")


@pytest.mark.slow
def test_many_processes_may_touch_a_new_store_at_once(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    program = textwrap.dedent(f"""
        import time
        from nnexp.tracking.store import Store
        store = Store({uri!r}, "race")
        run = store.create("run", time.time(), {{"nnexp.uid": "x"}})
        store.terminate(run, "FINISHED")
    """)
    processes = [warm.popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    runs = Store(uri, "race").search()
    assert [run.status for run in runs] == ["FINISHED"] * 4
    assert len({run.experiment_id for run in runs}) == 1


def test_the_experiment_keeps_artifacts_beside_the_database(uri, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    store = Store(uri, "e")
    run_id = store.create("run", 0, {})
    store.client.log_text(run_id, "hello", "note.txt")
    assert list((tmp_path / "artifacts").rglob("note.txt"))
    assert not list(elsewhere.iterdir())


def test_a_deleted_experiment_is_named(uri):
    store = Store(uri, "gone")
    store.client.delete_experiment(store.experiment_id)
    with pytest.raises(StoreError, match=r"`tracking\.experiment` 'gone' is deleted"):
        _ = Store(uri, "gone").experiment_id


def test_a_store_that_cannot_be_opened_is_told_in_one_line(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is not a database" * 100)
    with pytest.raises(StoreError, match="cannot be used") as caught:
        _ = Store(f"sqlite:///{tmp_path}/mlflow.db", "e").experiment_id
    assert "\n" not in str(caught.value)


def test_search_reads_all_pages(uri, monkeypatch):
    monkeypatch.setattr("nnexp.tracking.store.PAGE", 3)
    store = Store(uri, "e")
    made = [store.create(f"run {i}", i + 1, {"n": str(i % 2)}) for i in range(8)]
    assert [run.run_id for run in store.search()] == made
    assert [run.run_id for run in store.search("tags.n = '1'")] == made[1::2]
    assert len(store.search(limit=5)) == 5
    assert store.search(newest_first=True, limit=1)[0].run_id == made[-1]


def test_an_unknown_run_is_none(uri):
    assert Store(uri, "e").get("0" * 32) is None


def test_relative_sqlite_paths_mean_this_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_uri("sqlite:///outputs/mlflow.db") == f"sqlite:///{tmp_path}/outputs/mlflow.db"
    assert absolute_uri("http://localhost:5000") == "http://localhost:5000"


def test_addresses_open_the_view_for_machine_learning():
    assert ui_address("http://h:1/", "7") == "http://h:1/#/experiments/7/runs?workflowType=machine_learning"
    assert ui_address("http://h:1", "7", "r") == "http://h:1/#/experiments/7/runs/r"


def test_two_threads_may_set_the_same_new_tag_of_a_run(uri):
    store = Store(uri, "e")
    run_id = store.create("run", 1.0, {})
    begin = threading.Barrier(2)

    def tag(value):
        try:
            for number in range(50):
                begin.wait()
                store.tag(run_id, {f"tag.{number}": value})
        except Exception:
            begin.abort()  # or the other waits for ever
            raise

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(tag, ("a", "b")))
    assert {value for key, value in store.get(run_id).tags.items() if key.startswith("tag.")} <= {"a", "b"}
