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
from contextlib import suppress

from nnexp.errors import one_line
from nnexp.runs import backlog, lease
from nnexp.runs.directory import RunDirectory, peek
from nnexp.terminal import say

MOST = 2  # ends that a worker may owe while it trains
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
    """Bring a trained run to its end in the background; wait only while this process owes too many.

    Where the run cannot be marked, as on a full disk, its end is not put off.
    """
    _slots.acquire()
    try:
        directory.write_text(backlog.ENDING, "")
        _threads.submit(_end, directory, end)
    except OSError:
        _end(directory, end)
    except BaseException:
        _slots.release()
        raise


def _end(directory: RunDirectory, end: Callable[[], object]) -> None:
    """Whatever comes of it, this process owes one less."""
    try:
        end()
    except Exception as error:
        say(f"{directory.path.name}: its end could not be kept: {one_line(error)}")
    finally:
        _slots.release()
        with suppress(OSError):
            (directory.path / backlog.ENDING).unlink(missing_ok=True)


def wait_for(root: str, sweep: str) -> None:
    """Wait until the trained runs of a sweep are published, or known to be kept back."""
    for _ in range(MOST):
        _slots.acquire()
    _slots.release(MOST)
    while any(_is_under_way(directory, sweep) for directory in backlog.entries(root)):
        time.sleep(LOOK_SECONDS)


def _is_under_way(directory: RunDirectory, sweep: str) -> bool:
    """Whether somebody alive is bringing the run to its end: a worker of this sweep, maybe another start of it."""
    known = peek(directory)
    if known is None:
        return False
    record, result = known
    if record.sweep != sweep or result is None or not (directory.path / backlog.ENDING).exists():
        return False
    if record.owner == lease.owner():
        return False  # of this process none is under way: it has all its slots back
    return lease.gone_reason(record.owner) is None and time.time() - result.ended < LONGEST
