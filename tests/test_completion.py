"""What shells offer after `nnexp`, and that they ask for it without loading what takes time."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hydra._internal.utils import get_args_parser

from nnexp import cli
from nnexp.completion import HYDRAS_FLAGS
from nnexp.compose import compose, plain
from nnexp.config import leaves
from nnexp.presets import CONFIG_GROUPS, FLAGS, VARIABLE

RUNS = ["20260101-000000-aaaaaaaa", "20260102-000000-bbbbbbbb"]
SWEEP, ID = "4143712b67cbbfba", "2e0e9fa4d53c431b9fc61d73158ca657"
BASH = """
eval "$(nnexp -sc install=bash)"
COMP_LINE="{line}" COMP_POINT={point} COMP_WORDS=({line}) COMP_CWORD={n}
hydra_bash_completion
printf "%s\\n" "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with two runs, a sweep and a preset."""
    for name in RUNS:
        (tmp_path / "outputs/runs" / name).mkdir(parents=True)
    (tmp_path / "outputs/runs" / RUNS[1] / "result.json").write_text(f'{{"run_id": "{ID}"}}')
    (tmp_path / "outputs/sweeps" / SWEEP).mkdir(parents=True)
    (tmp_path / "own/optimizer").mkdir(parents=True)
    (tmp_path / "own/optimizer/mine.yaml").write_text("method: CG\n")
    (tmp_path / "own/penalty").mkdir()
    (tmp_path / "own/penalty/strong.yaml").write_text("# @package _global_\nmodel:\n  l2: 7\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offered(line):
    return cli._offered(f"nnexp {line}")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gra", ["gradcheck"]),
        ("re", ["report", "report.", "rerun", "resume="]),
        ("rerun ", [*RUNS, SWEEP]),
        ("rerun 20260102", [RUNS[1]]),
        ("rerun 2e", [ID]),
        ("rerun x mod", ["model.", "model="]),
        ("rerun x --ch", ["--check"]),
        ("report ", [SWEEP]),
        ("sync ", [*RUNS, SWEEP]),
        ("sync x model", []),
        ("evaluate --weights ", RUNS),
        ("evaluate --wei", ["--weights"]),
        ("rerun tracking.directory=nowhere ", []),
        ("model.h", ["model.hidden_size="]),
        ("optimizer=tr", ["optimizer=trust_krylov", "optimizer=trust_ncg"]),
        ("-m optimizer=cg,ad", ["optimizer=cg,adam"]),
        ("+swe", ["+sweep="]),
        ("+sweep=l2", ["+sweep=l2", "+sweep=l2_seeds"]),
        ("+optimizer=adam", ["+optimizer=adam"]),
        ("~opt", ["~optimizer.", "~optimizer="]),
        ("data.op", []),
        ("data=openml data.op", ["data.openml_name="]),
        ("experiment=smoke optimizer=cg optimizer.max", ["optimizer.maxfun=", "optimizer.maxiter="]),
        ("resume=", ["resume=false", "resume=true"]),
        ("seed=", ["seed=0"]),
        ("data=csv data.path=o", ["data.path=outputs", "data.path=own"]),
        ("hydra/launcher=jo", ["hydra/launcher=joblib"]),
        ("--cfg ", ["all", "hydra", "job"]),
        ("--config-dir ", []),
        ("-cd own optimizer=m", ["optimizer=mine"]),
        ("-cd own pen", ["penalty="]),
        ("-cd own penalty=", ["penalty=strong"]),
        ("-cd own rerun 20260101", [RUNS[0]]),
        ("-cd nowhere optimizer=tn", ["optimizer=tnc", "optimizer=tnc20"]),
        ("nothing", []),
    ],
)
def test_a_line_is_completed_by_what_there_is(folder, line, expected):
    assert offered(line) == sorted(expected)


def test_presets_of_the_variable_are_known(folder, monkeypatch):
    monkeypatch.setenv(VARIABLE, "own")
    assert "optimizer=mine" in offered("optimizer=")


def test_an_empty_line_offers_commands_groups_and_keys(folder):
    found = offered("")
    assert set(cli.COMMANDS) < set(found)
    assert {f"{'+' if group in ('search', 'sweep') else ''}{group}=" for group in CONFIG_GROUPS} < set(found)


def test_every_key_of_the_config_is_offered(folder):
    for key, _ in leaves(plain(compose([]))):
        assert {f"{key}=", f"{key}."} & set(offered(key)), key


def test_flags_are_those_that_are_taken(folder):
    hydras = {name for action in get_args_parser()._actions for name in action.option_strings}
    assert set(HYDRAS_FLAGS) - {"--version"} <= hydras
    for command in cli.COMMANDS:
        assert FLAGS[0] in offered(f"{command} -")


def test_hydras_own_keys_are_left_to_hydra(folder):
    assert offered("hydra.job.") is offered("hydra/sweeper=") is None


def test_nothing_heavy_is_loaded(folder):
    code = "import sys\nfrom nnexp.cli import main\nmain(['-sc', 'query=bash'])\nprint(*sys.modules)"
    for line in ("nnexp ", "nnexp rerun 2e", "nnexp model."):
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"COMP_LINE": line}, capture_output=True, text=True
        )
        loaded = set(done.stdout.splitlines()[1].split())
        assert not loaded & {"hydra", "omegaconf", "numpy", "mlflow", "scipy"}, done.stderr


def on_path():
    """An environment in which the command is found."""
    folder = str(Path(sys.executable).parent)
    if not shutil.which("nnexp", path=folder):
        pytest.skip("the command is not installed beside Python")
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [("nnexp gra", "gradcheck"), ("nnexp rerun 2e", ID), ("nnexp -cd own optimizer=m", "optimizer=mine")],
)
def test_bash_completes(folder, line, expected):
    script = BASH.format(line=line, point=len(line), n=len(line.split()) - 1)
    done = subprocess.run(["bash", "--norc", "-c", script], env=on_path(), capture_output=True, text=True)
    assert done.stdout.split() == [expected], done.stderr


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish")
def test_fish_completes(folder):
    script = 'nnexp -sc install=fish | source; complete -C "nnexp rerun 2e"; complete -C "nnexp hydra/launcher=jo"'
    done = subprocess.run(["fish", "--no-config", "-c", script], env=on_path(), capture_output=True, text=True)
    assert done.stdout.split() == [ID, "hydra/launcher=joblib"], done.stderr
