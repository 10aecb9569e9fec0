"""The companion's process that is started before it is known what it publishes."""

import json
import os
import signal

import pytest

from nnexp import kernels, standby
from nnexp.errors import FULL_ERROR
from tests.tools.waiting import HANGING


@pytest.fixture
def prepared():
    """The processes that were prepared; none of another test."""
    assert not standby._ready
    yield standby._ready
    while standby._ready:
        standby._ready.pop().dismiss()


@pytest.mark.parametrize(
    "words", [[], ["seed=1"], ["-m", "seed=1,2"], ["--multirun", "+search=tpe"], ["tracking.uri=sqlite:///a.db"]]
)
def test_a_command_that_is_likely_to_publish_prepares_one_process(prepared, words):
    standby.prepare(words)
    standby.prepare(words)
    assert len(prepared) == 1
    assert prepared[0].process.poll() is None


@pytest.mark.parametrize(
    "words",
    [["--cfg", "job"], ["--cfg=job"], ["-m", "tracking=none"], ["seed=1", "dry_run=true"], ["--help"], ["~figures"]],
)
def test_others_prepare_none(prepared, words):
    standby.prepare(words)
    assert not prepared


def test_a_preset_by_which_the_process_begins_anew_prepares_none(prepared, tmp_path, monkeypatch):
    """Else MLflow would be imported twice."""
    monkeypatch.setenv("NNEXP_CONFIG_DIR", str(tmp_path))
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/mine.yaml").write_text("training: {kernel: portable}")
    standby.prepare(["experiment=mine"])
    assert not prepared
    for name, value in kernels.VARIABLES.items():
        monkeypatch.setenv(name, value)
    standby.prepare(["experiment=mine"])
    assert len(prepared) == 1


def test_it_is_taken_once(prepared, monkeypatch):
    standby.prepare([])
    (waiting,) = prepared
    monkeypatch.setenv(FULL_ERROR, "1")
    assert standby.take() is waiting
    other = standby.take()
    assert other is not waiting
    for each in (waiting, other):
        each.dismiss()
        assert each.process.returncode == 0


def test_who_needs_no_mlflow_lets_it_end(prepared):
    standby.prepare([])
    (waiting,) = prepared
    other = standby.take(needs_mlflow=False)
    assert waiting.process.returncode == 0
    assert standby.STANDBY not in other.process.args
    other.dismiss()


@pytest.mark.parametrize("spoil", ["environment", "death"])
def test_one_that_is_not_what_would_be_started_now_ends_and_is_replaced(prepared, monkeypatch, spoil):
    standby.prepare([])
    (waiting,) = prepared
    if spoil == "environment":
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "alice")
    else:
        os.kill(waiting.process.pid, signal.SIGKILL)
        waiting.process.wait(HANGING)
    new = standby.take()
    assert new.process.pid != waiting.process.pid
    assert waiting.process.poll() is not None
    assert new.process.poll() is None
    new.dismiss()


def test_a_run_is_published_by_the_process_that_was_prepared(nnexp, tmp_path):
    folder = tmp_path / "timeline"
    folder.mkdir()
    done = nnexp("experiment=smoke", "optimizer.maxfun=3", env={"NNEXP_TIMELINE": str(folder)})
    assert done.status == 0, done.err
    lines = [json.loads(path.read_text().splitlines()[0]) for path in folder.iterdir()]
    words = [line["argv"] for line in lines if "nnexp.publisher" in str(line["argv"])]
    assert len(words) == 1
    assert standby.STANDBY in words[0]
