"""Ends of runs behind the next run's back: a worker of a sweep trains on while its keeper draws and publishes.

A run has its `result.json` before its end is put off, so a crash loses nothing: whoever repairs draws and publishes it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from nnexp.tracking import ledger, liveness
from nnexp.tracking.rundir import RunDirectory

MOST = 2  # ends that a worker may owe when it begins to train
KEPT_BACK = ".kept_back"  # in a run directory: its end came, and the store does not have it
LOOK_SECONDS = 0.05

_owed: deque[Future] = deque()
_threads = ThreadPoolExecutor(MOST, "nnexp-behind")


def put_off(end: Callable[[], None]) -> None:
    """Bring a run to its end in the background; wait only while this process owes too many."""
    while len(_owed) >= MOST:
        _owed.popleft().result()
    _owed.append(_threads.submit(end))


def wait_for(root: str, sweep: str) -> None:
    """Wait until the trained runs of a sweep on this machine are published or known to be kept back."""
    while _owed:
        _owed.popleft().result()
    while any(_is_under_way(directory, sweep) for directory in ledger.entries(root)):
        time.sleep(LOOK_SECONDS)


def _is_under_way(directory: RunDirectory, sweep: str) -> bool:
    record = directory.record
    if record["tracking"].get("sweep") != sweep or directory.result is None:
        return False
    if (directory.path / KEPT_BACK).exists():
        return False
    return liveness.lost_reason(record["owner"], None, record["heartbeat"]) is None
