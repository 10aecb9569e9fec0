"""Every door, by each way to it: in a run, in a sweep of two processes, in its rerun and in its report."""

import json
import signal
import time
from subprocess import DEVNULL

import pytest

from tests.tools.real_runs import commands
from tests.tools.waiting import wait_for

pytestmark = pytest.mark.slow

BUDGETS = ("optimizer.maxfun=60", "optimizer.maxiter=25", "model.hidden_size=5")
NETWORK = {
    "beside": ("optimizer=custom", "optimizer.method=ownlab.minimizers.heavy_ball", "optimizer.options={lr: 0.2}",
               "model.activation=ownlab.functions.softsign", "model.l2=0.1",
               "data=custom", "data.name=ownlab.sets.wine", "data.options={n_classes: 2}"),
    "installed": ("optimizer.method=heavy_ball", "optimizer.options={lr: 0.2}", "model.activation=softsign",
                  "model.l2=0.1", "data=custom", "data.name=cultivars", "data.options={n_classes: 2}"),
    "with_presets": ("optimizer=heavy", "model=soft", "data=cultivars"),
}  # fmt: skip
TASK = {
    "beside": ("task=custom", "task.name=ownlab.models.linear", "task.options={epochs: 3, draw: true}"),
    "installed": ("task=custom", "task.name=linear", "task.options={epochs: 3}"),
    "with_presets": ("task=linear",),
}
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


def runs_of(nnexp):
    return [run for run in nnexp.store().search() if "nnexp.kind" not in run.tags]


def finished_keys(nnexp):
    return [run.tags["nnexp.run_key"] for run in runs_of(nnexp) if run.status == "FINISHED"]


@pytest.mark.parametrize("way", ["installed", "with_presets"])
def test_every_door_is_found_by_a_sweep_of_two_processes_and_a_rerun(way, request):
    nnexp = request.getfixturevalue(way)
    network = (*NETWORK[way], *BUDGETS)
    lines = [
        ["-m", *network, "seed=0,1", *JOBLIB],
        [*TASK[way], "hydra.run.dir=outputs/runs/task"],
        ["rerun", "task", "--check", "--json"],
    ]
    done = commands(nnexp.folder, *lines)
    assert [status for status, _, _ in done] == [0] * len(lines), done
    assert "2 of 2 jobs finished" in done[0][1]
    assert json.loads(done[2][1])["verdict"] == "identical"
    records = sorted(nnexp.folder.glob("outputs/runs/*/environment/environment.json"))
    environments = [json.loads(path.read_text()) for path in records]
    if way == "installed":
        assert all(each["modules"]["package ownlab"] == "1.2" for each in environments)
        assert not list(nnexp.folder.glob("outputs/runs/*/environment/sources"))
    else:
        assert sum("ownlab/steps.py" in each["own"] for each in environments) == 2


def test_every_door_in_a_run_a_sweep_a_rerun_and_a_report(beside):
    nnexp = beside
    network, task = (*NETWORK["beside"], *BUDGETS), TASK["beside"]
    lines = [
        [*network, "hydra.run.dir=outputs/runs/network"],
        ["-m", *network, "seed=0,1", *JOBLIB],
        ["rerun", "network", "--check", "--json"],
        ["report", "--json"],
        [*task, "hydra.run.dir=outputs/runs/task"],
        ["-m", *task, "seed=0,1", *JOBLIB],
        ["rerun", "task", "--check", "--json"],
        ["report", "--json"],
    ]
    done = commands(nnexp.folder, *lines)
    assert [status for status, _, _ in done] == [0] * len(lines), done
    for (_, run, _), (_, sweep, skipped), (_, checked, _), (_, report, _) in (done[:4], done[4:]):
        assert "FINISHED" in run
        assert "2 of 2 jobs finished" in sweep
        assert "skipped: seed=0" in skipped  # by the single run
        assert json.loads(checked)["verdict"] == "identical"
        assert json.loads(report)["n_runs"] == 2
    page = (nnexp.folder / json.loads(done[-1][1])["path"]).read_text()
    assert "held-out score" in page
    assert "coefficients, as the runs have logged it." in page
    keys = [run.tags["nnexp.run_key"] for run in runs_of(nnexp) if run.status == "FINISHED"]
    assert len(set(keys)) == 4
    kept = sorted(path.name for path in nnexp.folder.glob("outputs/runs/network/environment/sources/ownlab/*.py"))
    environment = json.loads((nnexp.folder / "outputs/runs/network/environment/environment.json").read_text())
    assert kept == ["__init__.py", "functions.py", "minimizers.py", "sets.py", "steps.py"]
    assert "ownlab/steps.py" in environment["own"]


def test_both_on_ray(beside):
    ray = ("hydra/launcher=ray", "+hydra.launcher.ray.init.include_dashboard=false")
    lines = [["-m", *NETWORK["beside"], *BUDGETS, "seed=0,1", *ray], ["-m", *TASK["beside"], "seed=0,1", *ray]]
    done = beside.each(*lines)  # on one cluster
    assert [each.status for each in done] == [0, 0], done
    assert len(set(finished_keys(beside))) == 4


def test_a_sweep_of_a_model_of_scikit_learn_survives_three_kills(beside):
    line = ["-m", "task=custom", "task.name=ownlab.models.linear", "task.options={epochs: 4, pause: 0.15}",
            "task.options.alpha=1e-4,1e-2", "seed=0,1,2", *JOBLIB]  # fmt: skip
    for n_finished in (1, 2, 4):
        sweep = beside.start(*line, stdout=DEVNULL, stderr=DEVNULL)
        wait_for(lambda n=n_finished: finished(beside) >= n, sweep)
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()
        time.sleep(0.1)
    done, report = beside.each(line, ["report", "--json"])
    assert done.status == 0, done.err
    assert "6 of 6 jobs finished" in done.out
    assert len(finished_keys(beside)) == len(set(finished_keys(beside))) == 6
    assert {run.status for run in runs_of(beside)} <= {"FINISHED", "KILLED"}
    assert report.status == 0, report.err
    page = (beside.folder / report.json["path"]).read_text()
    assert "held-out score" in page
    assert "score/train" in page


def finished(nnexp):
    return sum(result["status"] == "FINISHED" for result in nnexp.results().values())
