"""Memory of the default run and of a sweep's workers, and whether workers share the data."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import problem
from benchmarks.commands import BUDGET_OF_A_CHECK, environment, scratch
from benchmarks.measure import Line, left_out

TITLE = "Memory (share of each process in its pages, at the highest)"
KINDS = {"nnexp.publisher": "companion", "loky": "worker", "resource_tracker": None}


def kind_of(pid: int) -> str | None:
    """The role of a process of nnexp."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return next((kind for mark, kind in KINDS.items() if mark in words), "trainer")


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for each in found:
        try:
            for task in os.listdir(f"/proc/{each}/task"):
                found += map(int, Path(f"/proc/{each}/task/{task}/children").read_text().split())
        except OSError:
            continue
    return found


def proportional(pid: int) -> float:
    """Megabytes of a process; shared pages count in proportion."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def highest(words: list[str], folder: Path) -> dict[str, list[float]]:
    """Peak memory of each process of a command, by role."""
    peaks: dict[tuple[str, int], float] = {}
    silent: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(
        [sys.executable, "-m", "nnexp", *words, f"data.cache={problem.DATA}"], cwd=folder, env=environment(), **silent
    )
    while process.poll() is None:
        for pid in tree(process.pid):
            try:
                if kind := kind_of(pid):
                    peaks[kind, pid] = max(peaks.get((kind, pid), 0.0), proportional(pid))
            except OSError:
                continue
        time.sleep(0.1)
    found: dict[str, list[float]] = {}
    for (kind, _), peak in peaks.items():
        found.setdefault(kind, []).append(round(peak, 1))
    return found


def run(quick: bool) -> list[Line]:
    if not Path("/proc/self/smaps_rollup").exists():
        return [left_out("memory", "this system has no /proc/PID/smaps_rollup")]
    budget: list[str] = list(BUDGET_OF_A_CHECK) if quick else []
    lines = []
    with scratch() as folder:
        for kind, peaks in highest(budget, folder).items():
            lines.append(Line(f"default run: {kind}", max(peaks), "MB"))
        if not quick:
            sweep = ["-m", "model.l2=0.5,1,2,3", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
            for kind, peaks in highest(sweep, folder).items():
                lines.append(Line(f"sweep of two workers: {kind}", max(peaks), "MB", note=f"{len(peaks)} processes"))
    dataset = problem.data()
    size = (dataset.X.nbytes + dataset.Y.nbytes) / 2**20
    lines.append(Line("the data set itself (X and Y)", size, "MB"))
    return lines
