"""A user's Hydra callbacks, found in the folder of the command, are told of the end of jobs and of a single run."""

import signal
import sys

import pytest

from nnexp.cli import main
from nnexp.hydra_versions import IS_OLD
from tests.tools.waiting import wait_for

SMALL = ["data=digits", "data.cache=null", "model.hidden_size=5", "optimizer.maxfun=5", "tracking=none"]
CALLBACK = ["hydra.callbacks.mine._target_=my_callbacks.Tells"]
SOURCE = """
from pathlib import Path
from hydra.experimental.callback import Callback


class Tells(Callback):
    def tell(self, what, job_return):
        error = job_return._return_value if job_return.status.name == "FAILED" else None
        outcome = job_return._return_value if error is None else getattr(error, "outcome", None)
        path = Path(outcome.path).name if outcome else ""
        told = [what, job_return.status.name, str(outcome and outcome.status), path]
        with (Path(__file__).parent / "told.txt").open("a") as file:
            print(*told, file=file)

    def on_job_end(self, config, job_return, **kwargs):
        self.tell("job", job_return)

    def on_run_end(self, config, job_return, **kwargs):
        self.tell("run", job_return)

    def on_multirun_end(self, config, **kwargs):
        with (Path(__file__).parent / "told.txt").open("a") as file:
            print("sweep", file=file)


class Breaks(Callback):
    def on_job_end(self, config, job_return, **kwargs):
        raise RuntimeError("mine")


def explode(run):
    raise ValueError("exploded")


def endless(run):
    import time

    run.log({"x": 1.0}, 0)
    (Path(__file__).parent / "began").touch()
    while True:
        time.sleep(0.01)
"""


@pytest.fixture
def folder(nnexp):
    """The folder of the command, with the callbacks."""
    (nnexp.folder / "my_callbacks.py").write_text(SOURCE)
    return nnexp.folder


def told(folder):
    return [line.split() for line in (folder / "told.txt").read_text().splitlines()]


@pytest.mark.slow
def test_a_single_run_tells_its_end_and_its_outcome_whatever_other_callbacks_do(nnexp, folder):
    done = nnexp(*SMALL, *CALLBACK, "hydra.callbacks.other._target_=my_callbacks.Breaks")
    assert done.status == 0
    [path] = nnexp.directories()
    assert told(folder) == [["job", "COMPLETED", "FINISHED", path.name], ["run", "COMPLETED", "FINISHED", path.name]]
    assert done.out.startswith("status          FINISHED")
    assert "Breaks.on_job_end raised RuntimeError: mine" in done.err


@pytest.mark.slow
def test_a_run_that_fails_is_a_job_that_failed(nnexp, folder):
    done = nnexp("task=custom", "task.name=my_callbacks.explode", "tracking=none", *CALLBACK)
    assert done.status == 1
    [path] = nnexp.directories()
    assert told(folder) == [["job", "FAILED", "FAILED", path.name], ["run", "FAILED", "FAILED", path.name]]
    assert "FAILED: ValueError: exploded" in done.out
    assert "Error executing job" not in done.err  # Hydra's words for it


def test_a_config_that_is_wrong_begins_no_job(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert main([*SMALL, *CALLBACK, "model.l2=-1"]) == 2
    if IS_OLD:  # Hydra 1.4 calls the ends of what did not begin, too
        assert not (folder / "told.txt").exists()
    assert main([*SMALL, "hydra.callbacks.mine._target_=my_callbacks.Missing"]) == 2
    assert "my_callbacks.Missing" in capsys.readouterr().err
    assert not (folder / "outputs").exists()
    del sys.modules["my_callbacks"]


@pytest.mark.slow
def test_data_that_cannot_be_used_are_told_in_our_words(nnexp, folder):
    (folder / "x.csv").write_text("a,b\n1,2\n")
    done = nnexp("data=csv", "data.path=x.csv", "data.target=c", "tracking=none", *CALLBACK)
    assert done.status == 2
    assert [line[:3] for line in told(folder)] == [["job", "FAILED", "None"], ["run", "FAILED", "None"]]
    [line] = done.err.splitlines()
    assert "`data.target`" in line
    assert not nnexp.directories()


@pytest.mark.slow
def test_ctrl_c_ends_the_job_too(nnexp, folder):
    line = ["task=custom", "task.name=my_callbacks.endless", "tracking=none", *CALLBACK]
    process = nnexp.start(*line)
    wait_for((folder / "began").exists, process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 130
    assert out.startswith("status     KILLED")
    assert [line[:3] for line in told(folder)] == [["job", "FAILED", "KILLED"], ["run", "FAILED", "KILLED"]]


@pytest.mark.slow
def test_jobs_of_a_sweep_tell_theirs(nnexp, folder):
    line = ["-m", *SMALL, *CALLBACK, "seed=0,1", "optimizer=gd", "optimizer.options.learning_rate=0.1,1e300"]
    assert nnexp(*line, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2").status == 3
    *jobs, end = told(folder)
    expected = [["job", "COMPLETED", status] for status in ("FAILED", "FAILED", "FINISHED", "FINISHED")]
    assert sorted(job[:3] for job in jobs) == expected
    assert end == ["sweep"]
