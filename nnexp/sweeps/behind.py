"""Ends of runs behind the next run's back: a worker of a sweep trains on while its keeper draws and publishes.

A run has its `result.json` before its end is put off, so a crash loses nothing: who repairs it draws and publishes it.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from nnexp.tracking import ledger, liveness
from nnexp.tracking.rundir import RunDirectory, peek

MOST = 2  # ends that a worker may owe while it trains
MARK = ".ending"  # in a run directory whose end is under way behind another run
LOOK_SECONDS = 0.05
LONGEST = 300.0  # seconds since a run was trained after which nobody waits for its end

_slots = threading.BoundedSemaphore(MOST)
_threads = ThreadPoolExecutor(MOST, "nnexp-behind")
_sweep_process: int | None = None


def begin() -> None:
    """Note that this process runs a sweep and will wait for the ends that its jobs put off."""
    global _sweep_process
    _sweep_process = os.getpid()


def is_possible() -> bool:
    """Whether this process outlives its job: the sweep's own does, and a worker of joblib."""
    return os.getpid() == _sweep_process or is_worker()


def is_worker() -> bool:
    """Whether this process is one of joblib's workers, of which a sweep has several."""
    return multiprocessing.current_process().name.startswith("LokyProcess")


def put_off(directory: RunDirectory, end: Callable[[], object]) -> None:
    """Bring a trained run to its end in the background; wait only while this process owes too many."""
    _slots.acquire()
    directory.write_text(MARK, "")

    def work() -> None:
        try:
            end()
        finally:
            (directory.path / MARK).unlink(missing_ok=True)
            _slots.release()

    _threads.submit(work)


def wait_for(root: str, sweep: str) -> None:
    """Wait until the trained runs of a sweep are published, or known to be kept back."""
    for _ in range(MOST):
        _slots.acquire()
    _slots.release(MOST)
    while any(_is_under_way(directory, sweep) for directory in ledger.entries(root)):
        time.sleep(LOOK_SECONDS)


def _is_under_way(directory: RunDirectory, sweep: str) -> bool:
    """Whether somebody alive is bringing the run to its end: a worker of this sweep, maybe another start of it."""
    known = peek(directory)
    if known is None:
        return False
    record, result = known
    if record["tracking"].get("sweep") != sweep or result is None or not (directory.path / MARK).exists():
        return False
    is_alive = liveness.lost_reason(record["owner"], None, record["heartbeat"]) is None
    return is_alive and time.time() - result["ended"] < LONGEST
