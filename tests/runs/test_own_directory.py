"""A directory that holds a run or a result is never written by another run; jobs get what was swept."""

import json

import numpy as np
import pytest
from scipy.io import savemat

from nnexp.compose import compose, read_config, to_yaml
from nnexp.execute import Request, execute

SMALL = ["data=digits", "model.hidden_size=3", "optimizer.maxfun=5", "tracking=none"]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_fixed_run_directory_is_written_once(nnexp):
    first = nnexp(*SMALL, "hydra.run.dir=same")
    assert first.status == 0, first.err
    before = contents(nnexp.folder / "same")
    second = nnexp(*SMALL, "hydra.run.dir=same", "seed=1")
    assert (second.status, second.out) == (2, "")
    assert "`hydra.run.dir`" in second.err
    assert contents(nnexp.folder / "same") == before


@pytest.mark.slow
def test_numbered_directories_of_sweeps_are_never_written_twice_and_files_are_swept(nnexp):
    rng = np.random.default_rng(0)
    for name in "ab":
        savemat(nnexp.folder / f"{name}.mat", {"X": rng.normal(size=(40, 9)), "y": np.arange(40) % 2})
    line = ["-m", "data=mat", "data.path=a.mat,b.mat", *SMALL[1:], "hydra.sweep.subdir=${hydra.job.num}"]
    first = nnexp(*line)
    assert first.status == 0, first.err
    assert {path.name for path in nnexp.directories()} == {"0", "1"}
    before = contents(nnexp.folder / "outputs/runs")
    second = nnexp(*line, "seed=1", "hydra.job.chdir=true")
    assert second.status == 0, second.err
    assert {path.name for path in nnexp.directories()} == {"0", "1", "0-2", "1-2"}
    after = contents(nnexp.folder / "outputs/runs")
    assert {path: after[path] for path in before} == before
    results = nnexp.results().values()
    assert len({result["theta_digest"] for result in results}) == 4
    assert {result["status"] for result in results} == {"FINISHED"}


def test_an_error_after_training_leaves_the_result(tmp_path, cache, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = compose([*SMALL, f"data.cache='{cache}'", "tracking.sweep=s", "tracking.run_name=r"])

    def fail(*arguments):
        raise RuntimeError("the disk is gone")

    outcome = execute(Request(read_config(cfg), to_yaml(cfg), [], tmp_path / "run"), fail)
    assert (outcome.status, outcome.published, outcome.problem) == ("FINISHED", False, "the disk is gone")
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["status"] == "FINISHED"
    assert result["theta_digest"]


@pytest.mark.slow
def test_a_search_gives_jobs_its_values_as_they_were_written(nnexp):
    words = ["optimizer=sgd", "optimizer.options.batch_size=null,32", "model.init_scale=choice(glorot,0.1)"]
    search = ["+search=tpe", "hydra.sweeper.search.sampler=random", "hydra.sweeper.search.n_trials=4"]
    done = nnexp(*search, *SMALL, *words, "++optimizer.maxiter=interval(1,9)", "optimizer.maxiter=2")
    assert done.status == 0, done.err
    records = [json.loads((path / "run.json").read_text())["params"] for path in nnexp.directories()]
    assert {record["optimizer.options.batch_size"] for record in records} <= {None, 32}
    assert {record["model.init_scale"] for record in records} <= {"glorot", 0.1}
    assert None in {record["optimizer.options.batch_size"] for record in records}
    assert {record["optimizer.maxiter"] for record in records} == {2}
