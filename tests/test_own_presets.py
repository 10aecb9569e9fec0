"""A user's own YAML files join by `--config-dir` or `$NNEXP_CONFIG_DIR`, in every command."""

import json
import os

import pytest

from nnexp.cli import main
from nnexp.compose import compose, read_config
from nnexp.errors import UsageError
from nnexp.presets import VARIABLE

SMALL = ["data=digits", "data.cache=null", "model.hidden_size=5", "optimizer.maxfun=5"]
FILES = {
    "optimizer/mine.yaml": "method: CG\nmaxiter: 3\nmaxfun: 5\noptions: {c1: 0.001}\n",
    "sweep/both.yaml": "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      seed: 0,1\n",
    "experiment/tiny.yaml": "# @package _global_\ndefaults:\n- override /data: digits\n- override /optimizer: mine\n",
    "penalty/strong.yaml": "# @package _global_\nmodel:\n  l2: 7\n",
}


@pytest.fixture
def own(tmp_path):
    """A folder of presets."""
    folder = tmp_path / "my presets"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """The command in this process: its exit status and what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        try:
            status = main(words)
        except SystemExit as ending:
            status = ending.code
        told = capsys.readouterr()
        return status or 0, told.out, told.err

    return call


def test_help_lists_them_as_the_users_own(call, own):
    _, out, _ = call("--help", "--config-dir", "my presets")
    assert "trust_ncg; yours: mine\n" in out
    assert "  penalty: yours: strong\n" in out
    assert "yours" not in call("--help")[1]


@pytest.mark.parametrize("word", ["optimizer=mine", "+optimizer=mine", "++optimizer=mine"])
def test_the_flag_and_the_variable_are_one(call, own, word, monkeypatch):
    ways = [call("-cd", "my presets", word, "--cfg", "job"), call("--config-dir=my presets", "--cfg", "job", word)]
    assert VARIABLE not in os.environ
    monkeypatch.setenv(VARIABLE, "my presets")
    ways.append(call(word, "--cfg", "job"))
    assert [status for status, *_ in ways] == [0, 0, 0]
    assert len({out for _, out, _ in ways}) == 1
    assert "c1: 0.001" in ways[0][1]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("-cd nowhere", "`--config-dir` must be an existing folder, got 'nowhere'"),
        ("report --config-dir nowhere", "`--config-dir` must be an existing folder, got 'nowhere'"),
        ("--config-dir", "needs a folder"),
        ("-cd a -cd b", "given twice, with a and b"),
        ("-cd own optimizer=mien", "did you mean mine?"),
        ("-cd own gradcheck optimizer=mien", "did you mean mine?"),
        ("-cd own +sweep=boht", "did you mean both?"),
        ("-cd own penalty=stron", "`penalty` must be one of strong, got 'stron'; did you mean strong?"),
        ("-cd own +experiment=tny", "did you mean tiny?"),
        ("-cd own optimizer=misspelt", "`optimizer.maxitr` is not a config key; `optimizer` has method, maxiter,"),
        ("-cd own optimizer=broken", "optimizer/broken.yaml, line 2: expected the node content"),
        ("-cd own -m optimizer=mine,broken", "optimizer/broken.yaml, line 2: expected the node content"),
        ("-cd own gradcheck optimizer=broken", "optimizer/broken.yaml, line 2: expected the node content"),
    ],
)
def test_what_is_wrong_is_told_in_a_line_before_any_work(call, own, tmp_path, line, told):
    own.rename(tmp_path / "own")
    (tmp_path / "own/optimizer/misspelt.yaml").write_text("method: CG\nmaxitr: 3\n")
    (tmp_path / "own/optimizer/broken.yaml").write_text("method: [\n")
    status, out, err = call(*line.split())
    assert (status, out) == (2, "")
    assert told in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "outputs").exists()


def test_a_wrong_folder_in_the_variable_is_told_as_such(call, monkeypatch):
    monkeypatch.setenv(VARIABLE, "nowhere")
    assert call("gradcheck")[2] == "`$NNEXP_CONFIG_DIR` must be an existing folder, got 'nowhere'\n"


@pytest.mark.slow
def test_sweeps_plan_by_them(call, own):
    status, out, _ = call("-cd", str(own), "+sweep=both", "penalty=strong", *SMALL, "tracking=none", "dry_run=true")
    assert status == 0
    assert out.splitlines()[-1] == "2 of 2 jobs would run."
    assert call("-m", "-cd", str(own), *SMALL, "optimizer=glob(mi*)", "tracking=none", "dry_run=true")[0] == 0


def test_commands_compose_with_them(call, own):
    status, out, _ = call("gradcheck", *SMALL[:3], "penalty=strong", "+experiment=tiny", "--json", "-cd", "my presets")
    assert status == 0
    assert json.loads(out)["n_params"] == 385


@pytest.mark.slow
def test_a_run_is_repeated_without_the_folder_and_its_workers_have_it(nnexp, call, own):
    line = ["-cd", "my presets", "+sweep=both", "+experiment=tiny", *SMALL[1:], "tracking=none"]
    done = nnexp(*line, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert done.status == 0, done.err
    own.rename(own.parent / "elsewhere")
    assert len(nnexp.results()) == 2
    status, out, err = call("rerun", next(iter(nnexp.results())), "--check", "tracking=none")
    assert status == 0, err
    assert "identical" in out


def test_they_are_known_from_python_too(call, own, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "my presets")
    assert read_config(compose(["penalty=strong", "+experiment=tiny"])).deciding()["model.l2"] == 7
    monkeypatch.setenv(VARIABLE, "nowhere")
    with pytest.raises(UsageError, match=r"`\$NNEXP_CONFIG_DIR` must be an existing folder, got 'nowhere'"):
        compose([])
