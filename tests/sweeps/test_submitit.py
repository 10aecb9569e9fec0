"""Sweeps by submitit: its launchers with defaults of ours, and what is said where a launcher's package is missing."""

import os

import pytest
from hydra.core.utils import JobStatus
from omegaconf import OmegaConf

from nnexp.cli import main
from nnexp.presets import LAUNCHERS
from nnexp.sweeps import on_submitit
from nnexp.sweeps.sweeper import BaseSweeper

from .test_sweeps import SMALL


@pytest.mark.slow
def test_a_sweep_by_submitit_leaves_its_logs_in_the_output_directory(nnexp):
    line = ["-m", *SMALL, "tracking=none", "seed=0,1,2", "hydra/launcher=submitit_local"]
    done = nnexp(*line)
    assert done.status == 0, done.err
    assert "3 of 3 jobs finished" in done.out
    assert len(nnexp.directories()) == len(nnexp.results()) == 3
    logs = "".join(path.read_text() for path in nnexp.folder.glob("outputs/submitit/*/*.err"))
    assert logs.count("finished: seed=") == 3
    assert "3 of 3" not in nnexp(*line, "dry_run=true").out.splitlines()[-1]


@pytest.mark.slow
def test_what_became_of_a_job_that_returned_nothing_is_told_by_its_name(tmp_path, monkeypatch, capsys):
    import submitit

    monkeypatch.setattr(submitit.Job, "_results_timeout_s", 1)  # for a result that does not come
    usual = submitit.AutoExecutor
    with on_submitit._waiting_for_each(["seed=0", "seed=1", "seed=2"]):
        executor = submitit.AutoExecutor(tmp_path, cluster="local")
        executor.update_parameters(timeout_min=10)
        fails, one, other = executor.map_array(lambda work, value: work(value), [int, os._exit, os._exit], ["no", 1, 1])
    assert submitit.AutoExecutor is usual
    [failed] = fails.results()
    assert failed.status == JobStatus.COMPLETED
    assert failed._return_value.reason == "ValueError: invalid literal for int() with base 10: 'no'"
    assert capsys.readouterr().err == ""
    [lost] = one.results()
    assert lost.status == JobStatus.FAILED
    assert f"lost: seed=1: its process is gone; its log is {one._job.paths.stderr}" in capsys.readouterr().err
    other._job.wait()
    other._job.paths.stderr.unlink()
    other.results()
    assert "lost: seed=2: Job" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["submitit_local", "submitit_slurm"])
def test_the_settings_of_submitit_can_be_overridden(monkeypatch, tmp_path, capsys, name):
    monkeypatch.chdir(tmp_path)
    words = [f"hydra/launcher={name}", "hydra.launcher.timeout_min=7"]
    assert main(["--cfg", "hydra", "-p", "hydra.launcher", *words]) == 0
    shown = capsys.readouterr().out
    assert "timeout_min: 7\n" in shown
    assert "submitit_folder: ${nnexp.path:${tracking.directory}}/submitit/%j\n" in shown


def test_how_many_jobs_run_at_a_time_is_what_the_launcher_says():
    def concurrency(**settings):
        sweeper = BaseSweeper()
        sweeper.config = OmegaConf.create({"hydra": {"launcher": settings}})
        return sweeper.concurrency

    assert concurrency(_target_="x.SlurmLauncher", array_parallelism=16) == 16
    assert concurrency(_target_="x.JoblibLauncher", n_jobs=3) == 3
    assert concurrency(_target_="x.BasicLauncher") == 1
    assert concurrency(_target_="x.JoblibLauncher", n_jobs=-1) == concurrency(_target_="x.RayLauncher") >= 1


def test_a_launcher_whose_package_is_missing_is_told_with_the_extra(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(LAUNCHERS, "elsewhere", ("hydra_plugins.hydra_elsewhere_launcher", "nnexp[elsewhere]"))
    assert main(["-m", *SMALL, "hydra/launcher=elsewhere", "seed=0,1"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == ("`hydra/launcher=elsewhere` needs a package that is not installed: pip install 'nnexp[elsewhere]'")
