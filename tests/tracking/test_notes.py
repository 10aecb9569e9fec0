"""Notes on runs and sweeps."""

import json
from dataclasses import replace

from nnexp import tasks
from nnexp.runs.records import Destination, RunRecord, RunResult, RunStatus
from nnexp.sweeps.ranking import Score
from nnexp.tracking.notes import LONGEST, run_note, sweep_note
from tests.tools import made_up

SHOWN = tasks.find(tasks.NETWORK).presentation
RECORD = RunRecord(
    uid="a",
    name="l2=1",
    started=0.0,
    owner=json.dumps({"machine": "desk/boot/ns"}),
    heartbeat=10.0,
    tracking=Destination(None, "e"),
    params={"data.name": "digits", "optimizer.method": "TNC", "model.l2": 1.0, "seed": 3},
    details={"layer_sizes": [64, 20, 15, 10]},
    overrides=("data=digits", "model.l2=1", "tracking.sweep=0123456789abcdef"),
    tags={"nnexp.directory": "/home/me/outputs/runs/a"},
)
VALUES = {
    "cost": 1.25,
    "loss/train": 1.0,
    "loss/test": 1.5,
    "accuracy/train": 0.75,
    "accuracy/test": 0.5,
}
RESULT = RunResult("a", RunStatus.FINISHED, "TNC stopped by optimizer.maxfun = 30.", 1.0, values=VALUES)
PLAN = replace(made_up.plan("s", swept_keys=("model.l2",)), command="nnexp -m model.l2=0,1")
COUNTS = {"planned": 3, "finished": 2, "failed": 1, "running": 0, "lost": 0}


def test_a_runs_note_says_what_it_is_its_result_how_to_repeat_it_and_where_it_is():
    lines = run_note(SHOWN, RECORD, RESULT, "abc").splitlines()
    assert lines[0] == "**digits, TNC, λ = 1, H = 20 × 15, seed 3**: accuracy test 50.00 %, train 75.00 %; cost 1.25"
    assert lines[2] == "Run it again: `nnexp rerun abc`. Directory: `/home/me/outputs/runs/a` on desk"
    assert "| test | 1.5 | 50.00 % |" in lines
    assert lines[-3] == RESULT.message
    assert lines[-1] == "Overrides: `data=digits`, `model.l2=1`"


def test_a_run_without_a_result_says_so():
    assert run_note(SHOWN, RECORD, None).splitlines()[0].endswith(": running")
    assert "rerun" not in run_note(SHOWN, RECORD, None)
    failed = RunResult("a", RunStatus.FAILED, "ValueError: bad\n  data", 1.0)
    assert run_note(SHOWN, RECORD, failed, "abc").splitlines()[0].endswith(": failed, ValueError: bad data")
    killed = run_note(SHOWN, RECORD, replace(RESULT, status=RunStatus.KILLED), "abc")
    assert ": killed, accuracy test 50.00 %" in killed


def test_a_sweeps_note_links_to_the_comparison_and_the_best_runs():
    key = "accuracy/test"
    best = [
        Score(key, "test accuracy", "90.00 %", "model.hidden_size=[5|6]", (("", "r1"),)),
        Score(key, "test accuracy", "80.00 %", "model.l2=0", (("", "r2"),)),
    ]
    failures, links = ["model.l2=9: bad\nthing"], {"table": "#/t", "report": "#/r"}
    text = sweep_note(PLAN, COUNTS, best, "by test accuracy", failures, links, "#/runs/")
    lines = text.splitlines()
    assert lines[0] == "**sweep of model.l2**: 2 of 3 jobs finished, 1 failed"
    assert lines[2] == "Compare: [table](#/t), [report](#/r)"
    assert lines[4:8] == [
        "| by test accuracy | setting |",
        "|---|---|",
        "| 90.00 % | [model.hidden_size=\\[5\\|6\\]](#/runs/r1) |",
        "| 80.00 % | [model.l2=0](#/runs/r2) |",
    ]
    assert "Finish or repeat it with the same command: `nnexp -m model.l2=0,1`" in lines
    assert lines[-1] == "- model.l2=9: bad thing"


def test_a_sweeps_note_names_settings_over_their_seeds_and_what_the_report_says():
    best = [Score("accuracy/validation", "validation accuracy", "90.00 %", "model.l2=3", (("0", "r1"), ("1", "r2")))]
    text = sweep_note(PLAN, COUNTS, best, "by validation accuracy, mean over 2 seeds", [], {}, "#/", ("It is 3.",))
    assert "It is 3." in text.splitlines()
    assert "| by validation accuracy, mean over 2 seeds | setting | seeds |" in text
    assert "| 90.00 % | model.l2=3 | [0](#/r1) [1](#/r2) |" in text


def test_the_command_stays_in_a_note_with_more_failures_than_fit():
    failures = [f"job {i}: " + "x" * 100 for i in range(1000)]
    text = sweep_note(PLAN, COUNTS, [], "", failures, {"table": "#/t"}, "#/")
    assert len(text) == LONGEST
    assert PLAN.command in text
