"""Which run stands for a job, and what is known of a sweep's jobs when the store is gone."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from nnexp.config import TrackingConfig
from nnexp.recovery import sync
from nnexp.runs import backlog
from nnexp.runs.directory import PUBLISHED
from nnexp.runs.records import Destination
from nnexp.runs.tags import RERUN_OF, RUN_KEY, SWEEP
from nnexp.sweeps.job_states import KnownRuns
from nnexp.sweeps.jobs import Job
from nnexp.sweeps.publication import SweepPublication
from nnexp.sweeps.session import Controls, Session
from nnexp.sweeps.status import JobState, State, count, outcome, states
from nnexp.tracking.store import Store
from tests.tools import made_up

NO_STORE = Destination(None, "e")
AWAY = Destination("http://127.0.0.1:9", "e")


def test_the_run_that_got_furthest_stands_for_its_job_and_of_equal_ones_the_newest_that_is_no_rerun():
    runs = [
        JobState("a", State.LOST, "lost", start=9.0),
        JobState("a", State.FAILED, "failed", start=8.0),
        JobState("b", State.FINISHED, "older", start=1.0),
        JobState("b", State.FINISHED, "newer", start=2.0, sweep="s"),
        JobState("b", State.FINISHED, "rerun", start=3.0, tags={RERUN_OF: "older"}),
        JobState("b", State.RUNNING, "running", start=4.0),
    ]
    for order in (runs, runs[::-1]):
        found = states(order)
        assert {key: job.run_id for key, job in found.items()} == {"a": "failed", "b": "newer"}
    counts = count(found.values(), 3, "s")
    assert counts == {"planned": 3, "finished": 1, "running": 0, "failed": 1, "lost": 0, "elsewhere": 0}
    assert count(found.values(), 3, "other")["elsewhere"] == 1
    assert outcome(counts) == ("FAILED", "1 of 3 jobs finished, 1 failed")
    assert outcome(counts, is_over=False) == ("KILLED", "interrupted: 1 of 3 jobs finished, 1 failed")


def published(root, name, **settings):
    """A run that its store has whole."""
    directory = made_up.whole(root, name, sweep="s", **settings)
    backlog.leave(root, directory)
    return directory


def test_without_the_store_the_directories_of_published_runs_stand_for_their_jobs(tmp_path):
    directory = published(tmp_path, "a")
    found = KnownRuns(None, str(tmp_path), "s", NO_STORE).refresh(["key of a", "key of b"])
    assert list(found) == ["key of a"]
    standing = found["key of a"]
    assert (standing.state, standing.run_id, standing.sweep) == ("finished", directory.result.run_id, "s")
    result = directory.result.to_json()
    found = {key: standing.metrics[key] for key in ("cost/train", "optimizer/n_fev", "fit_seconds", "f1/test")}
    assert found == {
        "cost/train": result["cost"],
        "optimizer/n_fev": result["n_fev"],
        "fit_seconds": 1.5,
        "f1/test": 0.5,
    }


@pytest.mark.parametrize(("status", "state"), [("FAILED", "failed"), ("KILLED", "lost")])
def test_without_the_store_a_run_that_did_not_finish_is_what_it_was(tmp_path, status, state):
    directory = made_up.begin(tmp_path, "a", sweep="s")
    made_up.end(directory, 2, status=status)
    [standing] = KnownRuns(None, str(tmp_path), "s", NO_STORE).refresh(["key of a"]).values()
    assert (standing.state, standing.reason) == (state, "done")


@pytest.mark.parametrize("is_published", [True, False])
def test_runs_of_another_store_or_experiment_stand_for_no_job_while_the_store_is_away(tmp_path, is_published):
    made_for = {
        "this": AWAY,
        "another experiment": replace(AWAY, experiment="another"),
        "another server": replace(AWAY, uri="http://127.0.0.1:8"),
        "no store": None,
        "copied": replace(AWAY, uri="http://127.0.0.1:8"),
        "copied into another experiment": None,
        "half copied": None,
    }
    make = published if is_published else made_up.whole
    runs = {name: make(tmp_path, name, store=destination) for name, destination in made_for.items()}
    copies = {"copied": ("e", True), "copied into another experiment": ("another", True), "half copied": ("e", False)}
    for name, (experiment, complete) in copies.items():
        runs[name].write_json(PUBLISHED, {AWAY.uri: {"experiment": experiment, "complete": complete}})
    keys = {f"key of {name}" for name in made_for}
    assert set(KnownRuns(None, str(tmp_path), "s", AWAY).refresh(keys)) == {"key of this", "key of copied"}
    assert set(KnownRuns(None, str(tmp_path), "s", NO_STORE).refresh(keys)) == keys


def test_a_job_that_ran_when_the_store_was_lost_is_not_waited_for_in_vain(tmp_path):
    published(tmp_path, "a", store=AWAY)
    tracking = TrackingConfig("mlflow", AWAY.uri, AWAY.experiment, str(tmp_path), 0, 10.0, None, None)
    launched = []
    session = Session("s", "sweep", ["seed"], Controls(True, False, False, tracking, "", 1), None, launched.append)
    jobs = [Job(0, (), ("seed=0",), "key of a"), Job(1, (), ("seed=1",), "key of b")]
    session.work(jobs, {job.key: JobState(job.key, State.RUNNING, "r") for job in jobs})
    assert session.states["key of a"].state == "finished"
    assert session.states["key of b"].state == "failed"  # the launcher of this test trains nothing
    assert [[job[-1] for job in batch] for batch in launched] == [["tracking.run_name='seed=1'"]] * 2


def test_a_sweep_whose_parent_run_the_store_does_not_take_ends_with_status_4_and_sync_closes_it(
    tmp_path, empty_store, capsys
):
    store = Store(empty_store(tmp_path / "mlflow.db"), "e")
    store.terminate(store.create("a", 1.0, {RUN_KEY: "a"}), "FINISHED", 100.0)
    tracking = TrackingConfig("mlflow", store.uri, "e", str(tmp_path), 0, 10.0, None, None)
    starts = []

    def rename(old, new):
        with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
            database.execute("PRAGMA legacy_alter_table = ON")  # what refers to the table still does
            for table in ("experiments", "runs"):
                database.execute(f"ALTER TABLE {old}{table} RENAME TO {new}{table}")

    def make_report(store, sweep, folder, margin):
        page = folder / "report.html"
        folder.mkdir(exist_ok=True)
        page.write_text("whole")
        if len(starts) == 1:
            rename("", "away_")  # the database cannot be used any more
        store.search()
        return page, ()

    def start():
        starts.append("a start")
        controls = Controls(True, False, False, tracking, "", 1, make_report)
        session = Session("s", "sweep", ["seed"], controls, store, lambda jobs: None)
        return session.run([Job(0, (), ("seed=0",), "a")]), capsys.readouterr()

    status, (out, err) = start()
    assert (status, "1 of 1 jobs finished" in out, "report:" in out) == (4, True, False)
    told = [line.partition(":")[0] for line in err.splitlines()[-4:]]
    assert told == [
        "The report could not be made",
        "The parent run could not be closed",
        "The parent run is not closed; `nnexp sync` publishes what is missing.",
        "The same command makes the report once the store can be used.",
    ]
    assert sync(tmp_path, default_uri=store.uri, tell=print, parent_of=SweepPublication) == (0, 1)
    assert "sweep s: " in capsys.readouterr().out
    rename("away_", "")
    closed = []
    sync(tmp_path, default_uri=store.uri, tell=print, parent_of=SweepPublication, tell_closed=closed.append)
    assert closed == ["sweep s closed: 1 of 1 jobs finished, 0 failed"]
    assert backlog.sweeps(tmp_path) == []
    status, (out, err) = start()
    assert (status, "report:" in out) == (0, True), err
    assert "report:" not in start()[1].out
    (tmp_path / "mlflow.db").rename(tmp_path / "away.db")
    (tmp_path / "mlflow.db").mkdir()
    status, (out, err) = start()
    assert (status, "is not closed" in err) == (0, False), err  # the store has had it whole before
    assert backlog.sweeps(tmp_path) == []


def test_a_look_at_a_sweep_under_way_finds_what_is_open_and_what_has_just_ended(tmp_path, empty_store):
    store = Store(empty_store(tmp_path / "mlflow.db"), "e")
    ids = {key: store.create(key, 1.0, {SWEEP: "s", RUN_KEY: key}) for key in "abcd"}
    store.create("other", 1.0, {SWEEP: "t", RUN_KEY: "a"})

    known_runs = KnownRuns(store, str(tmp_path), "s", NO_STORE)

    def look():
        found = known_runs.stored("abcd", repair=False, elsewhere=False, after=150.0)
        return {job.key: (job.state.value, job.metrics.get("m"), job.seconds) for job in found}

    for key, end in {"a": 100.0, "b": 200.0}.items():
        store.terminate(ids[key], "FINISHED", end)
    began = {"b": ("finished", None, 199.0), "c": ("running", None, None), "d": ("running", None, None)}
    assert look() == look() == began
    store.client.log_metric(ids["c"], "m", 2.0)
    assert look() == began | {"c": ("running", 2.0, None)}
    store.terminate(ids["c"], "FAILED", 300.0)
    store.delete(ids["d"])
    assert look() == look() == {"b": began["b"], "c": ("failed", 2.0, 299.0)}
    store.terminate(ids["b"], "KILLED", 250.0)
    assert look()["b"] == ("lost", None, 249.0)


def test_runs_of_the_same_jobs_in_another_experiment_are_not_those_of_a_sweep(tmp_path, empty_store):
    uri = empty_store(tmp_path / "mlflow.db")
    stores = [Store(uri, name) for name in ("e", "another")]
    stores[0].create("a", 1.0, {SWEEP: "s", RUN_KEY: "a"})
    found = [KnownRuns(store, str(tmp_path), "s", NO_STORE).stored("a", repair=False, elsewhere=False, after=0.0)
             for store in (*stores, *stores)]  # fmt: skip
    assert [len(each) for each in found] == [1, 0, 1, 0]
