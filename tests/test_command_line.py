"""What is wrong with a command line is told in a line or two before any work, with what was probably meant."""

import os
import subprocess
import sys

import pytest
from hydra.types import RunMode

from nnexp import hydra_app
from nnexp.cli import main
from nnexp.compose import initialized_hydra
from nnexp.presets import ADDED_GROUPS, CONFIG_GROUPS, choices

SMALL = ["data=digits", "data.cache=null", "model.hidden_size=5", "optimizer.maxfun=5", "tracking=none"]


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """The command in this process, in an empty folder: its exit status, standard output and the lines of the other."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        try:
            status = main(words)
        except SystemExit as ending:
            status = ending.code
        told = capsys.readouterr()
        return status or 0, told.out, told.err.splitlines()

    return call


REFUSED = [
    ("sweep=l2", ["+sweep=l2"]),
    ("search=tpe", ["+search=tpe"]),
    ("sweep=1", ["`sweep`", "hidden_size, iterations, l2, l2_seeds, optimizers, seeds", "'1'"]),
    ("+sweep=1", ["`sweep`", "l2_seeds", "'1'"]),
    ("+search=random optimizer=choice(cg,newton_cg)", ["`search`", "nsga2, tpe", "sampler=random"]),
    ("lambda=3", ["`model.l2`", "model, optimizer, report, resume, seed"]),
    ("l2=3", ["`model.l2`"]),
    ("hidden_size=3", ["`model.hidden_size`"]),
    ("optimizer.learning_rate=0.1", ["`optimizer.options.learning_rate`"]),
    ("optimizer.lr=0.1", ["`optimizer.options.learning_rate`"]),
    ("modle.l2=3", ["`model.l2`"]),
    ("data.path=x", ["data=mat"]),
    ("data.openml_name=x", ["data=openml"]),
    ("model.l2=1,2", ["`model.l2=1,2` has several values: add -m to sweep over them"]),
    ("model.hidden_size=4,5", ["add -m", "model.hidden_size=[4,5]"]),
    ("model.l2=interval(0.1,1)", ["+search=tpe"]),
    ("+search=tpe model.l2=interval(0.1,1) optimizer=adm", ["`optimizer` must be one of", "did you mean adam?"]),
    ("+search=tpe model.l2=interval(0.1,1) modle.seed=6", ["`modle.seed`; did you mean `seed`?"]),
    ("method=cg", ["`optimizer`?", "Allowed: data, dry_run"]),
    ("=3", ["`=3` is not an override"]),
    ("optimizer=cg,newton_cg", ["add -m"]),
    ("model.l2=range(3)", ["add -m"]),
    ("optimizer=sgdd", ["`optimizer`", "sgd", "'sgdd'"]),
    ("data=mat data.path=~/x.mat", ["\"data.path='~/x.mat'\""]),
    ("-m optimizer=glob(zz*)", ["glob(zz*)", "newton_cg"]),
    ("-m model.l2=glob(*)", ["model.l2=glob(*)", "not a group"]),
    ("-m seed=range(0,1e9)", ["1,000,000,000", "100,000"]),
    ("-m seed=range(0,1000) model.l2=range(0,1000)", ["1,000,000", "100,000"]),
    ("+search=tpe seed=range(0,1e9)", ["1,000,000,000"]),
    ("-m seed=range(0,5,0)", ["seed=range(0,5,0)"]),
    ("-m seed=0,1 figures.format=svg,pdf", ["figures.format", "[svg,pdf]"]),
    ("-m seed=0,1 training.images_every=1,2", ["training.images_every"]),
    ("-m seed=0,1 hydra.sweep.subdir=same", ["`hydra.sweep.subdir`", "'same'"]),
    ("+search=tpe model.l2=interval(0,1) hydra.sweep.subdir=same", ["`hydra.sweep.subdir`"]),
    ("+search=tpe model.l2=interval(0,1) hydra.sweeper.search.seed=-1", ["search.seed`"]),
    ("+search=tpe model.l2=interval(0,1) data.validation_size=0", ["`data.validation_size`"]),
    ("+search=tpe model.l2=interval(0,1) hydra.sweeper.search.sampler=nope", ["tpe"]),
    ("+search=tpe model.l2=interval(0,1) hydra.sweeper.search.n_trials=0", ["n_trials"]),
    ("+search=tpe model.l2=interval(0,1) hydra.sweeper.search.directions=[up]", ["minimize, maximize"]),
    ("-m modle.l2=0,1", ["modle.l2"]),
    ("-m model.l2=1,-1", ["model.l2=-1", "`model.l2` must be", "1 of 2 jobs"]),
    ("-m optimizer=cg,adam optimizer.options.c1=0.1", ["Adam has no 'c1'", "1 of 2 jobs"]),
    ("+search=tpe optimizer=choice(cg,adam) optimizer.options.c1=0.1", ["Adam has no 'c1'"]),
    ("-m data.validation_size=0,0.9999", ["validation"]),
    ("tracking.patience=1e10", ["`tracking.patience`", "604800", "10000000000"]),
    ("tracking.heartbeat=1e10", ["`tracking.heartbeat`"]),
    ("optimizer.maxiter=3000000000", ["`optimizer.maxiter`", "2147483647"]),
    ("training.threads=1000000", ["`training.threads`", "1024"]),
    ("tracking.directory=/dev/null", ["`tracking.directory`", "/dev/null is not a folder"]),
    ("-m seed=0,1 tracking.directory=/dev/null", ["`tracking.directory`", "/dev/null"]),
    ("tracking.directory=/proc/nnexp", ["`tracking.directory`", "/proc"]),
    ("hydra.run.dir=/etc/passwd", ["`hydra.run.dir`", "/etc/passwd"]),
    ("hydra.run.dir=.", ["`hydra.run.dir`", "`tracking.directory`"]),
    ("-m seed=0,1 hydra.sweep.dir=/etc/passwd", ["`hydra.sweep.dir`", "/etc/passwd"]),
    ("tracking=mlflow tracking.uri=sqlite:///", ["`tracking.uri`", "sqlite:///FILE"]),
    ("tracking=mlflow tracking.uri=sqlite:///.", ["`tracking.uri`", "is a folder"]),
    ("tracking=mlflow tracking.uri=sqlite:////dev/null", ["`tracking.uri`", "/dev/null is not a regular file"]),
    ("tracking=mlflow tracking.uri=sqlite:////etc/passwd", ["`tracking.uri`", "/etc/passwd", "not a database"]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("line", "named"), REFUSED, ids=[line for line, _ in REFUSED])
def test_a_line_that_means_nothing_is_refused_at_once_with_what_was_meant(call, tmp_path, line, named):
    status, out, err = call(*line.split(), *(["tracking=none"] if "tracking=mlflow" not in line else []))
    assert (status, out) == (2, ""), err
    assert 1 <= len(err) <= 2
    for text in named:
        assert text in "\n".join(err)
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("words", [("evaluate", "--weights", "a", "--weights", "b"), ("sync", "--to=a", "--to=b")])
def test_an_option_that_is_given_twice_is_refused(call, words):
    status, _, err = call(*words)
    assert status == 2
    assert "twice, with a and b" in err[-1]


PLANNED = [
    ("seed=5 ++seed=0,1", ["seed=0", "seed=1"]),
    ("++seed=0,1 seed=5", ["the config as it is"]),
    ("+sweep=l2 ++model.l2=5", ["the config as it is"]),
    ("++seed=0,1 +seed=4", ["the config as it is"]),
    ("+seed=0,1", ["seed=0", "seed=1"]),
    ("++sweep=seeds +seed=0,1", ["seed=0", "seed=1"]),
    ("+optimizer=cg,adam", ["optimizer=cg", "optimizer=adam"]),
    ("+experiment=smoke +optimizer=cg seed=0,1", ["seed=0", "seed=1"]),
    ("experiment=smoke,ex4 data=digits", ["experiment=smoke", "experiment=ex4"]),
    ("+sweep=l2 model.l2=5,6", ["model.l2=5", "model.l2=6"]),
    ("model.l2=range(0.1,0.5,0.1)", ["model.l2=0.1", "model.l2=0.2", "model.l2=0.3", "model.l2=0.4"]),
    ("model.l2=range(1,0,-0.3)", ["model.l2=1.0", "model.l2=0.7", "model.l2=0.4", "model.l2=0.1"]),
    ("seed=range(0,5,2)", ["seed=0", "seed=2", "seed=4"]),
    ("seed=sort(range(0,5,2),reverse=true)", ["seed=4", "seed=2", "seed=0"]),
    ("seed=sort(range(5,0,-2))", ["seed=1", "seed=3", "seed=5"]),
    ("seed=sort(3,1,2)", ["seed=1", "seed=2", "seed=3"]),
    ("optimizer=glob(t*20)", ["optimizer=tnc20"]),
    ("optimizer=cg,newton_cg optimizer.options.c1=0.001", ["optimizer=cg", "optimizer=newton_cg"]),
    ("optimizer=adam,sgd optimizer.options.batch_size=null,32 model.activation=tanh", [
        "optimizer=adam optimizer.options.batch_size=null", "optimizer=adam optimizer.options.batch_size=32",
        "optimizer=sgd optimizer.options.batch_size=null", "optimizer=sgd optimizer.options.batch_size=32",
    ]),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("line", "jobs"), PLANNED, ids=[line for line, _ in PLANNED])
def test_a_sweep_plans_the_jobs_that_were_said(call, line, jobs):
    status, out, err = call("-m", *SMALL, *line.split(), "dry_run=true")
    *planned, last = out.splitlines()
    assert status == 0, err
    assert [text.removeprefix("would run").strip() for text in planned] == jobs
    assert last == f"{len(jobs)} of {len(jobs)} jobs would run."


def test_presets_turn_multirun_on_by_themselves(call):
    status, out, err = call("+sweep=seeds", *SMALL, "dry_run=true")
    assert status == 0, err
    assert "5 of 5 jobs would run." in out


def test_a_dry_run_counts_what_cannot_run_as_the_sweep_would(call):
    line = ["-m", *SMALL, "model.l2=1,-1,2"]
    status, out, err = call(*line, "dry_run=true")
    assert (status, err) == (2, ["1 of 3 jobs cannot run, so the sweep would not start."])
    assert "2 of 3 jobs would run." in out
    assert "cannot run (`model.l2`" in out
    assert call(*line)[0] == 2


def test_jobs_that_are_the_same_are_said_to_be(call):
    status, out, err = call("-m", *SMALL, "model.l2=1,1.0,2", "dry_run=true")
    assert status == 0
    assert "2 of 2 jobs would run." in out
    assert err == ["1 of 3 jobs duplicate others and run only once"]


def test_a_dry_run_of_a_single_run_checks_it_and_does_nothing(call, tmp_path):
    status, out, err = call(*SMALL, "dry_run=true")
    assert (status, err) == (0, [])
    assert out.startswith("1 run would be started")
    assert call(*SMALL, "model.l2=-1", "dry_run=true")[0] == 2
    assert not list(tmp_path.iterdir())


def test_a_plus_before_a_group_makes_no_difference(call):
    groups = ["experiment=smoke", "data=csv", "optimizer=cg", "model=mlp"]
    ways = [call(*(f"{sign}{group}" for group in groups), "--cfg", "job") for sign in ("", "+", "++")]
    assert ways[0][0] == 0
    assert ways[0] == ways[1] == ways[2]


@pytest.mark.slow
def test_a_dry_run_that_nobody_reads_does_nothing_either(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "nnexp", *SMALL, "dry_run=true"]
    assert subprocess.run(words, cwd=tmp_path, stdout=writing, stderr=subprocess.DEVNULL).returncode == 1
    os.close(writing)
    assert not list(tmp_path.iterdir())


def test_a_wrong_config_ends_with_2_and_its_traceback_where_it_is_asked_for(call, tmp_path, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    status, _, err = call(*SMALL, "model.l2=-1")
    assert status == 2
    assert any("ConfigError: `model.l2` must be in [0, 1e12], got -1" in line for line in err)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_whether_it_is_a_sweep_is_known_as_hydra_finds_it():
    groups = [group for group in CONFIG_GROUPS if not group.startswith("hydra")]
    words = [[f"{'+' * (group in ADDED_GROUPS)}{group}={name}"] for group in groups for name in choices(group)]
    with initialized_hydra() as hydra:
        for each in [[], ["seed=1"], *words]:
            found = hydra.get_mode("config", each)
            assert found == (RunMode.MULTIRUN if hydra_app._is_sweep(each) else None), each
        assert hydra_app._is_all_ours(each), each


@pytest.mark.parametrize("word", [
    "hydra.mode=MULTIRUN", "++hydra={mode: MULTIRUN}", "hydra={mode: MULTIRUN}", "--config-dir", "-cd", "--cfg",
    "+sweep=[seeds]", "+sweep=[seeds,hidden_size]", "+sweep@_global_=seeds", "experiment=../sweep/seeds",
    "hydra.searchpath=[mine]", "hydra/sweeper=basic", "hydra/output=mine",
])  # fmt: skip
def test_where_it_is_not_known_whether_it_is_a_sweep_hydra_is_asked(word):
    assert not hydra_app._is_all_ours(["seed=1", word])


def test_several_sweep_presets_are_a_sweep(call):
    status, out, _ = call("+sweep=[seeds,hidden_size]", "data=digits", "data.cache=null", "dry_run=true")
    assert (status, out.splitlines()[-1]) == (0, "25 of 25 jobs would run.")
