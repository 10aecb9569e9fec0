"""Calls of MLflow's client as one transaction: all happen, or none, and other threads see none before its end."""

import threading

import pytest
from mlflow.entities import Metric
from sqlalchemy import text

from nnexp.tracking.store import Store
from nnexp.tracking.transaction import insert_values, one_transaction, together


@pytest.fixture
def store(tmp_path, empty_store):
    return Store(empty_store(tmp_path / "mlflow.db"), "e")


def tags_of(store, run_id):
    return {key for key in store.get(run_id).tags if not key.startswith("mlflow.")}


def test_all_of_it_happens_at_its_end(store):
    run_id, seen = store.create("run", 0.0, {}), []
    with one_transaction(store.client) as is_one:
        store.tag(run_id, {"a": "1"})
        store.tag(run_id, {"b": "1", "c": "1"})
        other = threading.Thread(target=lambda: seen.append(tags_of(store, run_id)))
        other.start()
        other.join()
        assert tags_of(store, run_id) == {"a", "b", "c"}
    assert is_one
    assert seen == [set()]
    assert tags_of(store, run_id) == {"a", "b", "c"}


def test_nothing_of_it_happens_where_a_part_fails(store):
    run_id = store.create("run", 0.0, {})

    def fail():
        with one_transaction(store.client):
            store.tag(run_id, {"a": "1"})
            store.tag("0" * 32, {"a": "1"})

    with pytest.raises(Exception, match="not found"):
        fail()
    assert tags_of(store, run_id) == set()
    store.tag(run_id, {"b": "1"})
    assert tags_of(store, run_id) == {"b"}


def test_what_can_be_no_part_of_one_is_done_call_by_call(store):
    run_id = store.create("run", 0.0, {})
    values = [Metric("m", value, 0, 0) for value in (1.0, 2.0)]
    store.client.log_batch(run_id, metrics=values[:1])

    def work():
        store.tag(run_id, {"a": "1"})
        store.client.log_batch(run_id, metrics=values)  # one of which is there: MLflow would roll the tag back too

    together(store.client, work)
    assert tags_of(store, run_id) == {"a"}
    assert sorted(m.value for m in store.client.get_metric_history(run_id, "m")) == [1.0, 2.0]


NAN = float("nan")
LOGGED = [("m", 1.0, 5, 0), ("m", NAN, 6, 1), ("m", float("inf"), 7, 2), ("m", 0.5, 8, 3), ("m", 0.25, 8, 3),
          ("m", 1.0, 5, 0), ("late", 2.0, 9, 4), ("late", 1.0, 5, 0), ("once", 1.0, 5, 0)]  # fmt: skip


def stored(store, run_id):
    read = "SELECT key, value, timestamp, step, is_nan FROM {} WHERE run_uuid = :run"
    with store.client._tracking_client.store.ManagedSessionMaker() as session:
        tables = [session.execute(text(read.format(table)), {"run": run_id}) for table in ("metrics", "latest_metrics")]
        return [sorted(map(tuple, table)) for table in tables]


def test_values_that_are_inserted_are_those_that_mlflow_makes_of_them(store):
    metrics = [Metric(*each) for each in LOGGED]
    ours, mlflows = (store.create("run", 0.0, {}) for _ in range(2))
    with one_transaction(store.client):
        left = insert_values(store.client, ours, metrics)
        store.client.log_batch(ours, metrics=left)
    store.client.log_batch(mlflows, metrics=metrics)
    assert len(left) < len(metrics)
    assert stored(store, ours) == stored(store, mlflows)
    assert len(stored(store, ours)[0]) == len(LOGGED) - 1
    assert insert_values(store.client, ours, metrics) == metrics  # outside of a transaction, MLflow does it all


def test_an_error_comes_out_as_it_would(store):
    with pytest.raises(Exception, match="not found"):
        together(store.client, lambda: store.tag("0" * 32, {"a": "1"}))
