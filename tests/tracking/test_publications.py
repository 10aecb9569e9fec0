"""Publishing beside others: what counts as an advance, for which they wait, and who makes what they share."""

from dataclasses import replace

import pytest

from nnexp.tracking.errors import RefusedError
from nnexp.tracking.publications import Publications
from nnexp.tracking.store import Store
from nnexp.tracking.uploads import log_data_set
from tests.tools import made_up


@pytest.mark.parametrize("error", [ValueError("a metric that no store takes"), RefusedError("no", 403)])
def test_a_run_that_the_store_answers_but_never_takes_is_no_advance(tmp_path, empty_store, error):
    store = Store(empty_store(tmp_path / "mlflow.db"), "nnexp")
    publications = Publications(store, lambda problem: None)

    def fails():
        store.on_answer()
        raise error

    publications.attempt(store.on_answer)
    advanced_at = store.advanced_at
    assert advanced_at > 0
    with pytest.raises(type(error)):
        publications.attempt(fails)
    assert store.advanced_at == advanced_at
    publications.attempt(store.on_answer)
    assert store.advanced_at > advanced_at


def test_two_that_log_the_same_new_data_set_at_once_both_do(tmp_path, empty_store, monkeypatch):
    store = Store(empty_store(tmp_path / "mlflow.db"), "nnexp")
    record = made_up.begin(tmp_path, "a").record
    data_set = {"name": "digits", "digest": "d" * 32, "source_type": "code", "source": "{}"}
    record = replace(record, details={**record.details, "dataset": data_set})
    first, second = (store.create(name, 1.0, {}) for name in "ab")
    log_inputs = store.client.log_inputs

    def conflicts(run_id, **inputs):
        monkeypatch.undo()
        log_inputs(first, **inputs)  # another is faster
        raise ValueError('BAD_REQUEST: duplicate key value violates unique constraint "dataset_pk"')

    monkeypatch.setattr(store.client, "log_inputs", conflicts)
    log_data_set(store, second, record)
    for run_id in (first, second):
        [used] = store.client.get_run(run_id).inputs.dataset_inputs
        assert used.dataset.digest == "d" * 32
