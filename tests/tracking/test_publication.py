"""Publishing may be cut off anywhere and repeated: the store comes out as if it had been done in one go."""

import itertools
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy

from nnexp import recovery
from nnexp.runs import backlog
from nnexp.runs.arbitration import ClaimState
from nnexp.runs.history import HISTORY, SYSTEM, HistoryReader, HistoryWriter, rows_of
from nnexp.runs.tags import CLAIM, UID
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import Store
from tests.tools import made_up
from tests.tools.stored import assert_store_has_all_of, expected_history, history, models, runs_of, snapshot


class KilledError(BaseException):
    """The process is killed: nothing catches that."""


class CutOff:
    """A client whose process is killed at the n-th call, before the store has done it or when it has."""

    def __init__(self, client, at, *, before, in_transactions):
        self._client, self._at, self._before, self._in_transactions = client, at, before, in_transactions
        self.calls = 0

    def __getattr__(self, name):
        method = getattr(self._client, name)
        if name.startswith("_"):
            return method if self._in_transactions else None

        def call(*arguments, **named):
            self.calls += 1
            if self.calls == self._at and self._before:
                raise KilledError(name)
            done = method(*arguments, **named)
            if self.calls == self._at:
                raise KilledError(name)
            return done

        return call


@pytest.fixture(scope="module")
def home():
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def store(home):
    return Store(f"sqlite:///{home}/mlflow.db", "e")


def cut_off(store, directory, at, *, before, in_transactions=True):
    """Publish until the process is killed; say whether it was."""
    broken = Store(store.uri, store.experiment)
    client = CutOff(store.client, at, before=before, in_transactions=in_transactions)
    broken._opened = (client, store.experiment_id)
    try:
        Publication(directory, broken).advance()
    except KilledError:
        return True
    return False


@pytest.mark.parametrize("in_transactions", [True, False])
@pytest.mark.slow
def test_cut_off_at_any_call_and_repeated_the_store_is_as_if_published_in_one_go(home, store, in_transactions):
    home = home / f"in transactions {in_transactions}"
    reference = made_up.whole(home, f"reference-{in_transactions}")
    assert Publication(reference, store).advance()
    expected = snapshot(store, reference.uid, home / "reference files")
    assert_store_has_all_of(reference, store, home / "compared")
    for at in itertools.count(1):
        directory = made_up.whole(home, f"cut-{at}-{in_transactions}")
        is_cut_off = cut_off(store, directory, at, before=False, in_transactions=in_transactions)
        cut_off(
            store, directory, at, before=True, in_transactions=in_transactions
        )  # another process begins again and is cut off too
        assert Publication(directory, store).advance()
        assert snapshot(store, directory.uid, home / "files" / str(at)) == expected, f"cut off at call {at}"
        if not is_cut_off:
            break
    assert at > 8
    assert not backlog.entries(home)


def test_what_another_process_has_published_meanwhile_is_not_published_again(home, store):
    reference = made_up.whole(home, "by one")
    assert Publication(reference, store).advance()
    expected = snapshot(store, reference.uid, home / "by one files")
    plain = Store(store.uri, store.experiment)  # where each call is by itself, as on a server
    plain._opened = (CutOff(store.client, 0, before=False, in_transactions=False), store.experiment_id)
    for at in (4, 6, 8, 15):
        directory = made_up.whole(home, f"by two, {at}")
        first = Publication(directory, plain)
        first.ensure_run(directory.record)  # it knows that there is nothing of the run but what it makes itself,
        cut_off(store, directory, at, before=False, in_transactions=False)  # is taken for dead, and goes on
        assert first.advance()
        assert snapshot(store, directory.uid, home / "by two" / str(at)) == expected, f"cut off at call {at}"


def test_a_short_run_is_published_in_six_transactions(home, store):
    directory = made_up.whole(home, "short", started=time.time(), sweep="s")
    writes, open_now = [], set()
    statement = lambda c, cursor, text, *_: open_now.add(c) if text.startswith(("INSERT", "UPDATE")) else None  # noqa: E731
    commit = lambda c: writes.append(c) if c in open_now else None  # noqa: E731
    done = lambda c: open_now.discard(c)  # noqa: E731
    heard = (("before_cursor_execute", statement), ("commit", commit), ("commit", done), ("rollback", done))
    for event, listener in heard:
        sqlalchemy.event.listen(sqlalchemy.Engine, event, listener)
    publication = Publication(directory, store)
    assert publication.claim(recovery.close_lost).is_mine
    assert publication.advance()
    for event, listener in heard:
        sqlalchemy.event.remove(sqlalchemy.Engine, event, listener)
    assert len(writes) <= 6
    assert_store_has_all_of(directory, store, home / "compared")


@pytest.mark.slow
def test_publishing_twice_is_publishing_once(home, store):
    directory = made_up.whole(home, "twice")
    assert Publication(directory, store).advance()
    once = snapshot(store, directory.uid, home / "once")
    for forget in (False, True):
        if forget:
            (directory.path / "published.json").write_text('{"sqlite')  # it only saves work
        assert Publication(directory, store).advance()
        assert snapshot(store, directory.uid, home / f"twice {forget}") == once


@pytest.mark.slow
def test_a_run_published_while_it_trains_has_each_value_once(home, store):
    directory = made_up.begin(home, "live")
    publication = Publication(directory, store)
    assert not publication.advance()
    writer = made_up.train(directory, range(3))
    assert not publication.advance()
    assert len(history(store, publication.run_id)["cost/train"]) == 3
    for step in range(3, 1205):  # more than MLflow takes in one call
        made_up.log(writer, made_up.row(step))
        if step == 700:
            publication.advance()
    writer.close()
    made_up.end(directory, 1204)
    assert not publication.advance(to_the_end=False)
    assert store.get(publication.run_id).status == "RUNNING"
    assert publication.advance()
    assert_store_has_all_of(directory, store, home / "compared")


def test_the_model_adds_no_second_values_to_the_history_of_its_run(home, store):
    directory = made_up.whole(home, "model")
    publication = Publication(directory, store)
    publication.advance()
    assert history(store, publication.run_id) == expected_history(directory)
    (model,) = models(store, publication.run_id)
    assert {key: value for key, _, _, value in model["metrics"]} == store.get(publication.run_id).metrics


def test_a_run_that_is_gone_from_the_store_is_published_anew(home, store):
    directory = made_up.begin(home, "gone")
    publication = Publication(directory, store)
    publication.advance()
    store.client.delete_run(publication.run_id)  # as a claim does that was withdrawn after its trainer gave it up
    made_up.train(directory, range(3)).close()
    made_up.end(directory, 2)
    assert Publication(directory, store).advance()
    assert_store_has_all_of(directory, store, home / "compared")
    state = (directory.path / "published.json").read_text().replace(directory.result.run_id, "0" * 32)
    store.client.delete_run(directory.result.run_id)
    (directory.path / "published.json").write_text(state)  # says that it is there, whole; as if of a lost store
    assert Publication(directory, store).advance()
    assert_store_has_all_of(directory, store, home / "compared again")


def test_a_whole_run_that_somebody_deleted_stays_deleted(home, store):
    directory = made_up.whole(home, "deleted")
    publication = Publication(directory, store)
    publication.advance()
    store.client.delete_run(publication.run_id)
    assert Publication(directory, store).advance()
    assert runs_of(store, directory.uid) == []


def test_a_run_that_is_trained_is_no_bid_any_more(home, store):
    directory = made_up.begin(home, "bid")
    run_id = Publication(directory, store).ensure_run(directory.record, claim=ClaimState.BID)
    Publication(directory, store).advance()
    assert store.get(run_id).tags[CLAIM] == "held"


class Twice:
    """A client of a server to which a request came twice, because the first answer was lost on its way."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        method = getattr(self._client, name)
        if name not in ("create_run", "create_logged_model"):
            return method
        return lambda *arguments, **named: (method(*arguments, **named), method(*arguments, **named))[1]


@pytest.fixture
def repeating(store, monkeypatch):
    monkeypatch.setattr(Store, "is_server", True)
    monkeypatch.setattr(Store, "ping", lambda self: None)
    repeating = Store(store.uri, store.experiment)
    repeating._opened = (Twice(store.client), store.experiment_id)
    return repeating


def test_a_request_that_comes_twice_makes_one_run_and_one_model(home, store, repeating):
    directory = made_up.whole(home, "sent twice")
    assert Publication(directory, repeating).advance()
    assert_store_has_all_of(directory, store, home / "compared")


def test_a_claim_is_not_held_up_by_its_own_double(home, repeating):
    # It neither decides nor dies: a claim that waits for it ends as an error. It has the smaller id every other time.
    for i in range(4):
        directory = made_up.begin(home, f"claim-{i}")
        assert Publication(directory, repeating).claim(recovery.close_lost).is_mine


def test_what_a_late_request_made_is_deleted_when_the_run_is_whole(home, repeating):
    directory = made_up.whole(home, "late")
    publication = Publication(directory, repeating)
    publication.ensure_run(directory.record)
    late = repeating._opened[0]._client.create_run(repeating.experiment_id, tags={UID: directory.uid})
    publication.advance()
    assert runs_of(repeating, directory.uid) == [publication.run_id]
    assert repeating.get(late.info.run_id).deleted


def test_a_run_without_figures_waits_for_them_in_the_backlog(home, store):
    directory = made_up.begin(home, "undrawn")
    made_up.train(directory, range(3)).close()
    made_up.end(directory, 2, described=False)
    publication = Publication(directory, store)
    assert not publication.advance()
    assert store.get(publication.run_id).status == "FINISHED"
    assert directory.uid in [d.uid for d in backlog.entries(home)]
    directory.amend_result(described=True)
    assert publication.advance()
    assert_store_has_all_of(directory, store, home / "compared")
    assert directory.uid not in [d.uid for d in backlog.entries(home)]


def test_two_runs_of_one_directory_name_are_both_in_the_backlog(tmp_path):
    for parent in ("here", "there"):
        made_up.begin(tmp_path / parent, "same")
    for parent in ("here", "there"):
        backlog.enter(tmp_path, made_up.RunDirectory(tmp_path / parent / "runs" / "same"))
    assert len(backlog.entries(tmp_path)) == 2


def test_the_history_is_read_as_it_grows(tmp_path):
    directory = made_up.begin(tmp_path, "grows")
    made_up.train(directory, range(20)).close()
    content = (directory.path / HISTORY).read_bytes()
    rng, reader, read = np.random.default_rng(0), HistoryReader(tmp_path), []
    for cut in sorted([*rng.integers(0, len(content), 30), len(content)]):
        (tmp_path / HISTORY).write_bytes(content[:cut])
        read += reader.new_values()[0]
    assert rows_of(read) == directory.history()
    assert HistoryReader(directory.path).new_values(skip=15)[0] == read[15:]


@pytest.mark.parametrize("is_live", [True, False])
def test_the_load_of_the_machine_is_published_and_is_no_value_of_the_model(is_live, store, tmp_path):
    directory = made_up.begin(tmp_path, f"loaded-{is_live}", store=store)
    load, writer = HistoryWriter(directory.path, SYSTEM), made_up.train(directory, range(3))
    load.log({"system/cpu": 1.0}, 0, made_up.STARTED)
    if is_live:
        assert not Publication(directory, store).advance(to_the_end=False)
    load.log({"system/cpu": 2.0}, 1, made_up.STARTED + 1)
    load.close()
    writer.close()
    made_up.end(directory, 2)
    assert Publication(directory, store).advance()
    run_id = directory.result.run_id
    assert [value for *_, value in history(store, run_id)["system/cpu"]] == [1.0, 2.0]
    [model] = models(store, run_id)
    assert {key for key, *_ in model["metrics"]} & {"cost/train", "system/cpu"} == {"cost/train"}
