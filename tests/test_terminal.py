"""What a person sees while something runs, on real terminals of several widths."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading
import time

import pytest

from nnexp.tasks.disk_run import DiskRun
from nnexp.tasks.network.presentation import Progress
from nnexp.terminal import LINE_EVERY, StatusLine, fit_width
from tests.tools import made_up
from tests.tools.waiting import HANGING

CLEARED = re.compile(r"\r\x1b\[2K([^\r\n]*)")
ROW = {"step": 123, "optimizer/n_fev": 399, "cost/train": 0.33458, "accuracy/test": 0.934}


class Terminal:
    """A pseudo terminal of a width, and what was written to it."""

    def __init__(self, columns):
        self.reader, self.writer = pty.openpty()
        fcntl.ioctl(self.writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.columns, self._read = columns, b""
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self):
        while True:
            try:
                self._read += os.read(self.reader, 65536)
            except OSError:
                return

    def close(self):
        """What was written, once nobody has the terminal open."""
        os.close(self.writer)
        self._thread.join(HANGING)
        os.close(self.reader)
        return self._read.decode()


def assert_rewritten(text, columns):
    """Every text of the progress line ends before the last column and is cleared, not left behind by a new line."""
    shown = [found for found in CLEARED.finditer(text) if found[1] and text[found.end() : found.end() + 2] != "\r\n"]
    assert shown
    assert all(len(found[1]) < columns for found in shown)
    assert all(text[found.end() :].startswith("\r\x1b[2K") for found in shown)
    return [found[1] for found in shown]


@pytest.mark.parametrize("columns", [120, 80, 60, 20])
def test_a_runs_progress_line_is_rewritten_whatever_the_width(columns, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal(columns)
    with os.fdopen(os.dup(terminal.writer), "w") as stream:
        progress = Progress(400, 400, stream=stream)
        for _ in range(3):
            time.sleep(1.1 * LINE_EVERY)
            progress.update(ROW)
        progress.close()
    shown = assert_rewritten(terminal.close(), columns)
    assert shown[0].startswith("iteration 123")
    if columns >= 80:
        assert "iteration 123, cost 0.3346, test accuracy 93.40 %" in shown[0]
        assert "left" in shown[0]


def test_what_a_task_of_ones_own_logs_is_shown_while_it_trains(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal(60)
    directory = made_up.begin(tmp_path, "run")
    with os.fdopen(os.dup(terminal.writer), "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        run = DiskRun(directory, tells=True)
        for step in range(2):
            time.sleep(1.1 * LINE_EVERY)
            run.log({"loss": 0.25}, step=step)
        run.close()
    assert assert_rewritten(terminal.close(), 60) == ["step 0, loss 0.25", "step 1, loss 0.25"]


def test_parts_that_do_not_fit_are_left_out_whole_and_the_first_is_cut():
    assert fit_width(["12 of 40 done", "about 3 min 05 s left"], 40) == "12 of 40 done, about 3 min 05 s left"
    assert fit_width(["12 of 40 done", "about 3 min 05 s left"], 34) == "12 of 40 done"
    assert fit_width(["12 of 40 done"], 8) == "12 of 4…"
    assert fit_width(["数据 is wide"], 6) == "数据 …"


def test_where_there_is_no_terminal_a_line_is_a_line(capsys):
    line = StatusLine()
    line.show(["one", "two"])
    line.close()
    assert capsys.readouterr().err == "one, two\n"


@pytest.mark.slow
def test_a_sweep_on_a_terminal_rewrites_one_line_that_names_the_fits_under_way(nnexp):
    terminal = Terminal(70)
    fits = ["data=digits", "optimizer=gd", "optimizer.maxfun=3500", "optimizer.maxiter=3500", "tracking=none"]
    words = ["-m", *fits, "seed=0,1", "training.evaluate_every=1000"]
    process = nnexp.start(*words, stderr=terminal.writer, env=os.environ | {"TERM": "xterm"})
    out, _ = process.communicate(timeout=HANGING)
    text = terminal.close()
    assert process.returncode == 0, text
    shown = assert_rewritten(text, 70)
    assert any(re.search(r"running, seed=[01]", line) for line in shown), shown
    left_behind = re.sub(r"[^\r\n]*\r\x1b\[2K", "", text).split("\r\n")
    assert not [line for line in left_behind if " of 2 done" in line]
    assert sum("finished: " in line for line in left_behind) == 2
    lines = out.splitlines()
    assert lines[0] == "2 of 2 jobs finished, 0 failed; by test accuracy, mean over 2 seeds:"
    assert re.fullmatch(r"  \d\d\.\d\d %  the config as it is", lines[1])
