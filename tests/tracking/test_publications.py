"""Publishing beside others: what counts as an advance, for which they wait, and who makes what they share."""

from dataclasses import replace

import pytest

from nnexp.runs.files import RecordError
from nnexp.tracking.errors import RefusedError, StoreError
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


@pytest.mark.slow  # MLflow is asked
def test_a_silent_store_is_told_and_left_alone_longer_each_time_until_it_has_done_something():
    told, pauses = [], []
    publications = Publications(Store("http://127.0.0.1:9", "e"), told.append)

    def fails():
        raise ValueError("whatever a request to it ends in")

    for _ in range(5):
        with pytest.raises(StoreError, match="connection refused"):
            publications.attempt(fails)
        pauses.append(publications._pause)
    assert (publications.is_left_alone, pauses) == (True, [4.0, 8.0, 16.0, 30.0, 30.0])
    assert told == ["the tracking server http://127.0.0.1:9 cannot be reached: connection refused"] * 5
    publications.attempt(lambda: None)
    assert not publications.is_left_alone
    with pytest.raises(StoreError):
        publications.check()
    assert publications._pause == 4.0


def test_a_server_that_refuses_is_there_and_not_asked_whether_it_is():
    told = []
    publications = Publications(Store("http://127.0.0.1:9", "e"), told.append)

    def refused():
        raise RefusedError("not you", 403)

    with pytest.raises(RefusedError):
        publications.attempt(refused)
    assert (told, publications.problem) == ([], None)


def test_an_answer_is_an_advance_only_while_something_is_published(tmp_path, empty_store):
    store, renewed = Store(empty_store(tmp_path / "mlflow.db"), "nnexp"), []
    publications = Publications(store, lambda problem: None, lambda: renewed.append(True))
    store.on_answer()
    assert (store.advanced_at, renewed) == (float("-inf"), [])
    publications.attempt(store.on_answer)
    assert (store.advanced_at > 0, renewed) == (True, [True])


def test_a_run_that_is_not_taken_is_tried_again_later_and_its_heartbeat_fails_nobody(tmp_path, empty_store):
    store = Store(empty_store(tmp_path / "mlflow.db"), "nnexp")
    publications, directory = Publications(store, lambda problem: None), made_up.whole(tmp_path, "a", store=store)
    publications.advance(directory, to_the_end=False)
    result = (directory.path / "result.json").read_text()
    (directory.path / "result.json").write_text("damaged")
    for n in (1, 2):
        with pytest.raises(RecordError):
            publications.advance(directory)
        assert publications.is_refused(directory)
        assert publications._refused[directory.path][0] == n

    beaten = []

    def beat(run_id):
        beaten.append(run_id)
        raise OSError("away")

    store.beat = beat
    publications.beat(directory)
    publications.problem = "away"
    publications.beat(directory)
    assert len(beaten) == 1
    publications.problem = None
    (directory.path / "result.json").write_text(result)
    publications.advance(directory)
    assert (publications.is_refused(directory), publications._refused) == (False, {})


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
