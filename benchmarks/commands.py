"""Run the real command in a folder of its own, and read from its run directories how long it took."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import problem
from benchmarks.measure import median

ROOT = Path(__file__).resolve().parent.parent
BUDGET_OF_A_CHECK = ("data=digits", "optimizer.maxiter=5", "optimizer.maxfun=5")


def environment() -> dict[str, str]:
    """The environment without variables that select a store outside the folder."""
    kept = dict(os.environ)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "HYDRA_FULL_ERROR"):
        kept.pop(name, None)
    return kept | {"PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"}


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary empty folder."""
    folder = Path(tempfile.mkdtemp(prefix="nnexp-bench-"))
    try:
        yield folder
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    for _ in range(20):  # a companion may still be closing its last run
        try:
            shutil.rmtree(folder)
        except OSError:
            time.sleep(0.25)
        else:
            return


def run(words: Sequence[str], folder: Path, **settings: str) -> float:
    """Wall seconds of a Python command from start to exit, with `settings` in its environment.

    Raises
    ------
    RuntimeError
        Where it fails, with the end of what it said.
    """
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            [sys.executable, *words], cwd=folder, env=environment() | settings, stdout=said, stderr=said
        )
        took = time.perf_counter() - begin
        if done.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {said.read().decode()[-1500:]}")
    return took


def nnexp(folder: Path, *overrides: str, **settings: str) -> float:
    """Wall seconds of `nnexp OVERRIDES` from start to exit, with the data set from the checkout's cache."""
    return run(["-m", "nnexp", *overrides, f"data.cache={problem.DATA}"], folder, **settings)


@dataclass(frozen=True)
class Whole:
    """A command: its wall seconds from start to exit, and the CPU seconds of all processes to the end of the last."""

    began: float
    seconds: float
    cpu: float | None  # None where the system cannot tell

    @property
    def ended(self) -> float:
        """When the command itself was over, in seconds since the epoch."""
        return self.began + self.seconds


def whole(folder: Path, *overrides: str, **settings: str) -> Whole:
    """`nnexp OVERRIDES`, measured with all that it starts, of which much outlives its parent."""
    adopts = adopt_orphans()
    before, began = cpu_of_children(), time.time()
    seconds = nnexp(folder, *overrides, **settings)
    wait_for_children()
    return Whole(began, seconds, cpu_of_children() - before if adopts else None)


def adopt_orphans() -> bool:
    """Have processes whose parent ends become children of this one, so that their CPU time counts here (Linux)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    return prctl is not None and prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER


def wait_for_children() -> None:
    """Wait until all processes have ended that this one has started or adopted."""
    with suppress(ChildProcessError):
        while True:
            os.wait()


def cpu_of_children() -> float:
    """CPU seconds of all children that have ended and were waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class Run:
    """A run, read from its directory; times in seconds since the epoch."""

    started: float
    ended: float
    fit_seconds: float
    worker: Any
    cost: float
    theta_digest: str


def runs(folder: Path) -> list[Run]:
    """The finished runs below a folder, in the order of their starts."""
    found = []
    for path in folder.glob("outputs/runs/*/result.json"):
        result, record = json.loads(path.read_text()), json.loads((path.parent / "run.json").read_text())
        if result["status"] == "FINISHED":
            facts = record["started"], result["ended"], result["fit_seconds"], record["owner"], result["cost"]
            facts += (result["theta_digest"],)
            found.append(Run(*facts))
    return sorted(found, key=lambda run: run.started)


def beside_the_fit(found: Sequence[Run], warm_up: int = 1) -> list[float]:
    """Seconds between the starts of two runs of a worker, less the fit; without the first run of each worker."""
    by_worker: dict[Any, list[Run]] = {}
    for each in found:
        by_worker.setdefault(json.dumps(each.worker), []).append(each)
    return [
        after.started - before.started - before.fit_seconds
        for mine in by_worker.values()
        for before, after in zip(mine[warm_up:], mine[warm_up + 1 :], strict=False)
    ]


def steady_overhead(found: Sequence[Run]) -> float:
    """Median of `beside_the_fit`."""
    return median(beside_the_fit(found))
