"""Sweeps by the real command: real processes, a real store."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from nnexp.runs.directory import RunDirectory
from nnexp.runs.tags import PARENT, RUN_KEY
from tests.tools.waiting import HANGING, wait_for

SMALL = ["data=digits", "model.hidden_size=5", "optimizer.maxfun=15"]
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]


def children(store):
    return [run for run in store.search() if PARENT in run.tags]


def parents(store):
    return [run for run in store.search() if run.tags.get("nnexp.kind") == "sweep"]


def assert_histories_are_single(store):
    for run in children(store):
        for key in run.metrics:
            steps = Counter(metric.step for metric in store.client.get_metric_history(run.run_id, key))
            assert max(steps.values()) == 1, (run.run_id, key)


def digests(store):
    """Theta's digest by run key, of finished runs; each key once."""
    runs = [run for run in children(store) if run.status == "FINISHED"]
    found = {run.tags[RUN_KEY]: run.tags["nnexp.theta_digest"] for run in runs}
    assert len(found) == len(runs), "a job was done twice"
    return found


def without_store(folder):
    """The digests of a sweep that was done with `tracking=none`."""
    found = {}
    for path in folder.glob("runs/*/result.json"):
        result, record = json.loads(path.read_text()), json.loads(path.with_name("run.json").read_text())
        if result["status"] == "FINISHED":
            assert record["identity"]["run_key"] not in found
            found[record["identity"]["run_key"]] = result["theta_digest"]
    return found


@pytest.mark.slow
def test_a_sweep_is_planned_run_listed_and_resumed(with_store):
    nnexp = with_store
    grid = ["-m", *SMALL, "model.l2=0,1", "seed=0,1"]
    dry, first = nnexp.each([*grid, "dry_run=true", "tracking=none"], grid)
    assert dry.status == 0
    assert "4 of 4 jobs would run." in dry.out
    assert first.status == 0, first.err
    assert "4 of 4 jobs finished, 0 failed" in first.out
    assert len(nnexp.directories()) == 4  # none of the dry run
    store = nnexp.store()
    [parent] = parents(store)
    assert parent.status == "FINISHED"
    assert {run.tags[PARENT] for run in children(store)} == {parent.run_id}
    assert sorted(run.name for run in children(store)) == ["l2=0 seed=0", "l2=0 seed=1", "l2=1 seed=0", "l2=1 seed=1"]
    assert len({run.tags["mlflow.runColor"] for run in children(store)}) == 4
    assert parent.tags["mlflow.user"] == children(store)[0].tags["mlflow.user"] != "unknown"
    assert parent.tags["nnexp.jobs.planned"] == parent.tags["nnexp.jobs.finished"] == "4"
    plan = json.loads(Path(store.client.download_artifacts(parent.run_id, "plan.json")).read_text())
    assert {job["key"] for job in plan["jobs"]} == set(digests(store))

    again, other, listed = nnexp.each(
        grid, ["-m", *SMALL, "model.l2=0", "seed=0,1,2"], ["sweeps", "--json"]
    )  # in a process that knows nothing of the first
    assert again.status == 0
    assert again.err.count("is finished and has the same key") == 4
    assert other.status == 0
    assert len(digests(store)) == len(children(store)) == 5  # one new job; two runs of the first sweep stand for theirs
    state = {"failed": 0, "lost": 0, "running": 0}
    known = parents(store)
    assert listed.json == [
        {"sweep": run.tags["nnexp.sweep"], "planned": count, "finished": count} | state
        for run, count in zip(known, (4, 3), strict=True)
    ]
    assert known[0].run_id == parent.run_id

    anew = nnexp("-m", *SMALL, "model.l2=0", "seed=0", "resume=false")
    assert anew.status == 0
    assert len([run for run in children(store) if run.status == "FINISHED"]) == 6


@pytest.mark.slow
def test_failures_are_told_the_others_go_on_and_the_exit_status_is_3(with_store):
    nnexp = with_store
    grid = ["-m", *SMALL, "optimizer=gd", "optimizer.options.learning_rate=0.1,1e300"]
    done, again = nnexp.each(grid, grid)
    assert done.status == 3
    assert "1 of 2 jobs finished, 1 failed" in done.out
    assert done.err.count("failed: ") == 1  # when it happens
    [failed] = done.out[done.out.index("failed:\n") :].splitlines()[1:]
    assert "NonFiniteCostError" in failed
    store = nnexp.store()
    assert all(run.tags["nnexp.status_message"] for run in children(store))
    assert parents(store)[0].status == "FAILED"
    assert parents(store)[0].tags["nnexp.jobs.failed"] == "1"
    assert again.status == 3  # failed ones are done again, in fresh runs
    assert "skipped:" in again.err
    assert Counter(run.status for run in children(store)) == {"FINISHED": 1, "FAILED": 2}


@pytest.mark.slow
def test_fail_fast_stops_at_the_first_failure(nnexp):
    rates = "optimizer.options.learning_rate=0.1,1e300,0.2,0.3"
    done = nnexp("-m", *SMALL, "optimizer=gd", rates, "fail_fast=true", "tracking=none")
    assert done.status == 3
    assert sorted(result["status"] for result in nnexp.results().values()) == ["FAILED", "FINISHED"]


@pytest.mark.slow
def test_parallel_and_serial_sweeps_give_the_same_bits_and_two_at_once_share_the_work(with_store):
    nnexp = with_store
    grid = [*SMALL, "model.l2=0,1", "seed=0,1"]
    alone = ["tracking=none", "tracking.directory=serial"]
    *both, serial = nnexp.at_once(*(["-m", *grid, *how] for how in (JOBLIB, [], alone)))
    assert serial.status == 0, serial.err
    assert [each.status for each in both] == [0, 0], both
    store = nnexp.store()
    assert len(parents(store)) == 1
    assert len(digests(store)) == 4
    assert sum(each.err.count("finished: ") for each in both) == 4
    assert not [run for run in store.search() if run.status == "RUNNING"]
    assert_histories_are_single(store)
    assert without_store(nnexp.folder / "serial") == digests(store)


def processes_of(folder):
    """Process ids and commands of all that runs in a folder."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/cwd") == str(folder) and int(pid) != os.getpid():
                with open(f"/proc/{pid}/cmdline") as file:
                    found[int(pid)] = file.read()
        except OSError:
            continue
    return found


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


LONGER = ["data=digits", "model.hidden_size=40", "optimizer.maxfun=1500", "optimizer.maxiter=100000", "model.l2=0"]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="finds the processes to kill in /proc")
@pytest.mark.slow
def test_killed_anywhere_and_finished_by_the_same_command(with_store):
    nnexp = with_store
    grid = ["-m", *LONGER, "seed=range(4)"]

    def training():
        return [
            path for path in nnexp.directories() if RunDirectory(path).history() and not (path / "result.json").exists()
        ]

    for victims in ("parent", "parent and worker", "all"):
        known = set(training())
        sweep = nnexp.start(*grid, *JOBLIB, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda known=known: set(training()) - known, sweep)
        running = processes_of(nnexp.folder)
        if victims == "all":
            kill(running)
        else:
            workers = [pid for pid, command in running.items() if "LokyProcess" in command]
            kill(workers[: victims == "parent and worker"])
            sweep.send_signal(signal.SIGKILL)
        sweep.wait(HANGING)
        wait_for(lambda: not processes_of(nnexp.folder))  # those whose parent was killed close what they have and end
    done = nnexp(*grid, *JOBLIB)
    assert done.status == 0, done.err
    store = nnexp.store()
    assert len(digests(store)) == 4
    states = Counter(run.status for run in store.search())
    assert states["RUNNING"] == 0
    assert states["KILLED"] >= 1
    assert_histories_are_single(store)
    for run in children(store):
        if run.status == "KILLED":
            assert run.tags["nnexp.status_message"]
    whole = nnexp(*grid, "tracking=none", "tracking.directory=whole")
    assert whole.status == 0
    assert without_store(nnexp.folder / "whole") == digests(store)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="finds the processes in /proc")
@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed_before_their_first_job(nnexp):
    endless = ["data=digits", "optimizer=gd", "optimizer.maxfun=10000000", "optimizer.maxiter=10000000"]
    sweep = nnexp.start("-m", *endless, "seed=range(4)", *JOBLIB, "tracking=none", stderr=subprocess.DEVNULL)
    wait_for(lambda: any("LokyProcess" in command for command in processes_of(nnexp.folder).values()), sweep)
    sweep.kill()
    sweep.communicate()
    wait_for(lambda: not processes_of(nnexp.folder))


@pytest.mark.parametrize(
    ("launcher", "end"),
    [
        ([], lambda pid: os.killpg(pid, signal.SIGINT)),  # as a terminal does
        (JOBLIB, lambda pid: os.killpg(pid, signal.SIGINT)),
        (JOBLIB, lambda pid: os.kill(pid, signal.SIGTERM)),
    ],
    ids=["ctrl-c serial", "ctrl-c joblib", "sigterm joblib"],
)
@pytest.mark.slow
def test_ctrl_c_stops_an_endless_sweep_and_every_run_has_a_true_status(with_store, launcher, end):
    nnexp = with_store
    endless = ["data=digits", "optimizer=gd", "optimizer.maxfun=10000000", "optimizer.maxiter=10000000"]
    sweep = nnexp.start("-m", *endless, "seed=range(6)", *launcher, start_new_session=True)
    wait_for(lambda: any(len(RunDirectory(path).history()) > 3 for path in nnexp.directories()), sweep)
    end(sweep.pid)
    out, err = sweep.communicate(timeout=HANGING)
    assert sweep.returncode == 130, (out, err)
    store = nnexp.store()
    wait_for(lambda: not [run for run in store.search() if run.status == "RUNNING"])
    assert "KILLED" in {run.status for run in children(store)}
    assert parents(store)[0].status == "KILLED"


@pytest.mark.slow
def test_ctrl_c_while_a_job_is_claimed_ends_its_run_at_once(with_store):
    nnexp = with_store
    endless = ["data=digits", "optimizer=gd", "optimizer.maxfun=10000000", "optimizer.maxiter=10000000"]
    sweep = nnexp.start("-m", *endless, "seed=0,1")
    wait_for(lambda: list(nnexp.folder.glob("outputs/runs/*/.claim")), sweep)
    sweep.send_signal(signal.SIGINT)
    out, err = sweep.communicate(timeout=HANGING)
    assert sweep.returncode == 130, (out, err)
    messages = [result["message"] for result in nnexp.results().values()]
    assert all("interrupted" in message for message in messages), (messages, err)
    assert len(nnexp.results()) == len(nnexp.directories()) <= 1
    store = nnexp.store()
    wait_for(lambda: not [run for run in store.search() if run.status == "RUNNING"])


@pytest.mark.slow
def test_a_search_goes_on_where_it_was(with_store):
    nnexp = with_store
    search = [
        "+search=tpe", *SMALL, "model.l2=tag(log,interval(0.01,10))", "model.init_scale=choice(0.1,0.5)",
    ]  # fmt: skip
    few, many = ([*search, f"hydra.sweeper.search.n_trials={n}"] for n in (2, 4))
    whole, first = nnexp.each([*many, "tracking=none", "tracking.directory=whole"], few)
    assert whole.status == 0, whole.err
    assert first.status == 0, first.err
    store = nnexp.store()
    known = digests(store)
    assert len(known) == 2
    more = nnexp(*many)
    assert more.status == 0, more.err
    assert set(known) < set(digests(store))
    assert len(digests(store)) == 4
    assert len(parents(store)) == 1
    assert without_store(nnexp.folder / "whole") == digests(store)


@pytest.mark.slow
def test_a_search_of_two_objectives_gives_a_front(with_store):
    search = ["+search=nsga2", *SMALL, "model.hidden_size=interval(2,12)", "hydra.sweeper.search.n_trials=3"]
    done = with_store(*search)
    assert done.status == 0, done.err
    assert "2 of 2 jobs finished, 0 failed; Pareto front of validation loss and optimizer/n_fev:" in done.out
    assert "1 of 3 trials duplicate others, whose jobs run only once" in done.err


@pytest.mark.slow
def test_a_search_has_one_ranking_and_all_its_trials_also_when_it_was_killed(with_store):
    nnexp = with_store
    search = ["+search=tpe", *SMALL, "model.l2=tag(log,interval(0.01,10))", "hydra.sweeper.search.n_trials=3"]
    killed = nnexp.start(*search, "optimizer.maxiter=100000", "optimizer.maxfun=100000")
    wait_for(lambda: parents(nnexp.store()) and list(nnexp.folder.glob("outputs/runs/*/history.csv")), killed)
    killed.kill()
    killed.communicate()
    assert wait_for(lambda: nnexp("sync").status == 0)
    [parent] = wait_for(lambda: [run for run in parents(nnexp.store()) if run.status == "KILLED"])
    assert parent.tags["nnexp.jobs.planned"] == "3"
    done = nnexp(*search, "tracking.experiment=whole")
    assert done.status == 0, done.err
    assert "3 of 3 jobs finished, 0 failed; by validation loss:" in done.out
    assert "Chosen by validation loss" in done.out  # the report
    [parent] = parents(nnexp.store("whole"))
    best = done.out.splitlines()[1].split("  ")[-1]
    assert parent.tags["nnexp.best"].startswith("validation loss")
    assert parent.tags["nnexp.best"].endswith(best)
    assert "| by validation loss | setting |" in parent.tags["mlflow.note.content"]


@pytest.mark.slow
def test_the_sweep_goes_on_without_a_store(nnexp):
    grid = ["-m", *SMALL, "seed=0,1", "tracking.uri=http://127.0.0.1:9", "tracking.patience=2"]
    done = nnexp(*grid)
    assert done.status in (0, 4), done.err
    assert len(nnexp.results()) == 2
    again = nnexp(*grid)
    assert "2 of 2 jobs finished" in again.out
    assert len(nnexp.results()) == 2
    elsewhere = nnexp(*grid, "tracking.experiment=another")
    assert (elsewhere.status, len(nnexp.results())) == (4, 4), elsewhere.err


def test_a_sweep_given_again_makes_the_report_that_is_missing_or_older_than_what_the_store_has(with_store):
    grid = ["-m", "experiment=smoke", "optimizer.maxfun=3", "seed=0,1"]
    first, again = with_store.each(grid, grid)
    (page,) = with_store.folder.glob("outputs/sweeps/*/report/report.html")
    assert ("report:" in first.out, "report:" in again.out) == (True, False)
    later = page.stat().st_mtime + 1
    os.utime(next(with_store.folder.glob("outputs/**/published.json")), (later, later))
    published_later = with_store(*grid)
    page.unlink()
    removed = with_store(*grid)
    for done in (published_later, removed):
        assert done.status == 0, done.err
        assert "report:" in done.out
    assert page.exists()


def test_the_command_is_interrupted_while_it_plans(nnexp):
    process = nnexp.start("-m", *SMALL, "seed=0,1")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=HANGING)
    assert process.returncode != 0
