"""The harness for a task of the user's own: what holds for the network holds for ten lines that somebody else wrote."""

import json
import signal
from subprocess import DEVNULL

import pytest

from tests.tools.waiting import wait_for

pytestmark = pytest.mark.slow  # each takes seconds, alone or by its fixtures

TOY = """
import time

def train(run, lr=0.1, n=4, pause=0.0):
    x = 1.0 + run.seed
    for step in range(n):
        x -= lr * 2 * x
        run.log({"toy/loss": x * x}, step=step)
        if step == 2:
            run.log({"toy/late": x}, step=step)
        time.sleep(pause)
    run.save("x.npz", x=x)
    return {"toy/final": x * x}
"""
TASK = ("task=custom", "task.name=toy.train")


def toy(nnexp):
    (nnexp.folder / "toy.py").write_text(TOY)
    return nnexp


def test_a_run_is_kept_published_rerun_and_checked(with_store):
    nnexp = toy(with_store)
    done = nnexp(*TASK, "task.options={lr: 0.2}")
    assert done.status == 0, done.err
    assert "toy/final" in done.out
    [directory] = nnexp.directories()
    [result] = nnexp.results().values()
    assert (result["status"], result["message"]) == ("FINISHED", "toy.train returned")
    [run] = nnexp.store().search()
    assert run.params == {"task.name": "toy.train", "task.options.lr": "0.2", "task.options.n": "4",
                          "task.options.pause": "0.0", "seed": "0"}  # fmt: skip
    assert set(run.metrics) == {"toy/loss", "toy/late", "toy/final"}
    checked = nnexp("rerun", str(directory), "--check", "--json")
    assert (checked.status, json.loads(checked.out)["verdict"]) == (0, "identical"), checked.err
    lines = (directory / "reports/history.csv").read_text().replace("0.36", "0.37")
    (directory / "reports/history.csv").write_text(lines)
    assert nnexp("rerun", str(directory), "--check").status != 0


def test_a_sweep_by_joblib_is_killed_resumed_and_reported(with_store):
    nnexp = toy(with_store)
    line = ["-m", *TASK, "task.options.lr=0.05,0.1", "seed=0,1", "task.options.pause=0.3",
            "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]  # fmt: skip
    sweep = nnexp.start(*line, stdout=DEVNULL, stderr=DEVNULL)
    wait_for(lambda: any(result["status"] == "FINISHED" for result in nnexp.results().values()), sweep)
    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    finished = nnexp(*line)
    assert finished.status == 0, finished.err
    runs = [run for run in nnexp.store().search() if "nnexp.kind" not in run.tags]
    keys = [run.tags["nnexp.run_key"] for run in runs if run.status == "FINISHED"]
    assert len(keys) == len(set(keys)) == 4
    assert {run.status for run in runs} <= {"FINISHED", "KILLED"}
    again, report = nnexp.each(line, ["report", "--json"])
    assert again.status == 0
    assert again.err.count("skipped:") == 4
    assert report.status == 0, report.err
    page = (nnexp.folder / json.loads(report.out)["path"]).read_text()
    assert "toy/final" in page


WRONG = """
import sys
from nnexp.tasks.interface import Ending

def train(run, how):
    if how == "leaves":
        sys.exit(0)
    if how == "climbs":
        run.log({"../x": 1.0}, step=0)
    if how == "escapes":
        run.save("../../evil.npz", x=1)
    if how == "overwrites":
        run.save("run.json", x=1)
    if how == "encodes":
        raise ValueError("cannot read caf\\udce9.csv")
    if how == "restates":
        return Ending("converged", "done", values={"status": "FINISHED"})
    return {"loss": "high"}
"""


@pytest.mark.slow
def test_a_function_that_does_wrong_is_a_failed_run_and_ends_no_sweep(nnexp):
    (nnexp.folder / "wrong.py").write_text(WRONG)
    names = ("leaves", "climbs", "returns", "escapes", "overwrites", "encodes", "restates")
    words = ("task=custom", "task.name=wrong.train", f"task.options.how={','.join(names)}", "tracking=none")
    done = nnexp("-m", *words)
    assert done.status == 3, done.err
    assert [result["status"] for result in nnexp.results().values()] == ["FAILED"] * len(names)
    assert "0 of 7 jobs finished, 7 failed" in done.out
    assert all((path / "error.txt").read_text().startswith("Traceback") for path in nnexp.directories())
    assert not list(nnexp.folder.glob("outputs/**/evil*"))
    assert "cannot read caf\\udce9.csv" in done.out
    assert all((path / "run.json").is_file() for path in nnexp.directories())


def test_options_that_the_function_does_not_have_are_refused_before_any_work(nnexp):
    toy(nnexp)
    wrong = {
        "task.options={lrr: 1}": "lrr",
        "task.name=toy.trian": "toy.trian",
        "task.name=toy.train.__class__": "must name a function train(run, **options), got",
    }
    for done, told in zip(nnexp.each(*([*TASK, word] for word in wrong)), wrong.values(), strict=True):
        assert (done.status, len(done.err.splitlines())) == (2, 1), done.err
        assert told in done.err
    assert not (nnexp.folder / "outputs/runs").exists()
