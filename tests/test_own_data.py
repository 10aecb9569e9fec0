"""A table of a user's own, unscaled, from the command line to the model that MLflow serves."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from nnexp import datasets
from nnexp.compose import compose, read_config
from nnexp.runs.files import read_arrays
from nnexp.tasks.network.served_model import ServedNetwork
from tests.tools.waiting import wait_for

NAMES = np.array(["nought", "one", "two"])


@pytest.fixture
def command(with_store):
    X, y = load_digits(n_class=3, return_X_y=True)
    frame = pd.DataFrame(X, columns=[f"p{i}" for i in range(64)]).assign(digit=NAMES[y])
    frame.to_csv(with_store.folder / "own.csv", index=False)

    def run(*arguments):
        return with_store(*arguments[:1], "data=csv", "data.path=own.csv", "data.target=digit", *arguments[1:])

    run.nnexp = with_store
    return run


@pytest.mark.slow
def test_a_scaled_run_is_evaluated_and_served_as_it_was_trained(command):
    hinted = command("experiment=smoke", "tracking=none")
    assert hinted.status == 0, hinted.err
    assert "hint: features reach 16;" in hinted.err

    done = command("experiment=smoke", "data.scale=standard", "seed=3")
    assert done.status == 0, done.err
    assert "hint" not in done.err
    [run] = [path for path in command.nnexp.directories() if '"scale": "standard"' in (path / "run.json").read_text()]
    result = command.nnexp.results()[run.name]
    assert result["accuracy/test"] > 0.9

    judged = command.nnexp("evaluate", "--weights", str(run), "--json")
    assert judged.status == 0, judged.err
    assert judged.json["accuracy"] == result["accuracy/test"]
    assert judged.json["train"]["cost"] == pytest.approx(result["cost"], rel=1e-12)

    raw = datasets.load("csv", path=str(command.nnexp.folder / "own.csv"), target="digit").split(0.2, 0, 3).test
    model = ServedNetwork(read_arrays(run / "weights.npz"))
    assert np.mean(model(raw.X)["label"] == np.array(raw.classes)[raw.y]) == result["accuracy/test"]

    [stored] = command.nnexp.store().search("params.`data.scale` = 'standard'")
    assert stored.status == "FINISHED"
    rerun = command.nnexp("rerun", stored.run_id, "--check", "--json")
    assert (rerun.status, rerun.json["verdict"]) == (0, "identical"), rerun.err


LOADER = """
import os, time
import numpy as np

def load(path: str = "own.csv"):
    planned = "plan" + "ned"  # no text that names a file, which the digest would be known by
    late = os.path.exists(planned)
    while late and not os.path.exists("go"):
        time.sleep(0.01)
    rows = np.loadtxt(path, delimiter=",")
    with open(planned, "a") as file:
        file.write("x")
    return rows[:, :-1], rows[:, -1]
"""


@pytest.mark.slow
def test_a_function_of_ones_own_gives_the_data_and_data_that_change_fail_the_jobs(with_store):
    """Planned, edited, done; done anew; skipped without a load; made again; judged."""
    nnexp, rng = with_store, np.random.default_rng(0)
    y = np.repeat([0, 1], 30)
    rows = np.column_stack([rng.normal(size=(60, 3)) + 2 * y[:, None], y])
    np.savetxt(nnexp.folder / "own.csv", rows, delimiter=",")
    (nnexp.folder / "mine.py").write_text(LOADER)
    words = ("experiment=smoke", "data=custom", "data.name=mine.load", "data.options={path: own.csv}")
    line = ("-m", *words, "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")

    sweep = nnexp.start(*line, "tracking=none")
    wait_for((nnexp.folder / "planned").exists, sweep)
    np.savetxt(nnexp.folder / "own.csv", 2 * rows, delimiter=",")
    (nnexp.folder / "go").touch()
    out, err = sweep.communicate()
    assert sweep.returncode == 3, err
    assert err.count("data changed since the sweep was planned") == 2, err
    assert "0 of 2 jobs finished, 2 failed" in out
    assert {each["status"] for each in nnexp.results().values()} == {"FAILED"}

    done = nnexp(*line)
    assert done.status == 0, done.err
    loads = (nnexp.folder / "planned").read_text()
    again = nnexp(*line)
    assert (again.status, again.err.count("skipped:")) == (0, 2), again.err
    assert (nnexp.folder / "planned").read_text() == loads

    finished = [path for path in nnexp.directories() if nnexp.results()[path.name]["status"] == "FINISHED"]
    assert len(finished) == 2
    assert (finished[0] / "environment/sources/mine.py").read_text() == LOADER
    rerun, judged, report = nnexp.each(
        ["rerun", str(finished[0]), "--check", "--json"],
        ["evaluate", "--weights", str(finished[0]), "--json"],
        ["report", "--json"],
    )
    assert (rerun.status, rerun.json["verdict"]) == (0, "identical"), rerun.err
    assert judged.json["accuracy"] == nnexp.results()[finished[0].name]["accuracy/test"]
    stored = [run for run in nnexp.store().search() if run.status == "FINISHED" and "data.name" in run.params]
    assert {run.params["data.options.path"] for run in stored} == {"own.csv"}
    assert (report.status, report.json["n_runs"]) == (0, 2), report.err


@pytest.mark.slow
def test_data_that_are_others_at_each_load_fail_the_job_and_a_failing_function_is_told_once(nnexp):
    (nnexp.folder / "mine.py").write_text(
        "import numpy as np\n"
        "def load():\n    return np.random.default_rng().normal(size=(20, 2)), [0, 1] * 10\n"
        "def fail(column='a'):\n    return {}[column]\n"
    )
    words = ("-m", "experiment=smoke", "tracking=none", "data=custom", "seed=0,1")
    random = nnexp(*words, "data.name=mine.load")
    assert random.status == 3
    assert "0 of 2 jobs finished, 2 failed" in random.out
    assert "data changed since the sweep was planned" in random.out
    failed = nnexp(*words, "data.name=mine.fail")
    assert failed.status == 2
    trace, [told] = failed.err.splitlines()[:-1], failed.err.splitlines()[-1:]
    assert trace[0] == "Traceback (most recent call last):"
    assert trace[1].strip().startswith(f'File "{nnexp.folder / "mine.py"}", line 5')
    assert failed.err.count("Traceback") == 1
    assert told.startswith("`data.name` = 'mine.fail' failed: KeyError: 'a' (")


def test_a_function_is_the_same_data_set_with_and_without_the_preset():
    words = ("data.name=sklearn.datasets.load_wine", "data.cache=null")
    tasks = [read_config(compose(each)) for each in (words, ("data=custom", *words))]
    assert tasks[0].deciding() == tasks[1].deciding()
