"""Ends of runs while the next run trains: a worker of a sweep does not wait until its run is drawn and published.

A run has its `result.json` before its end is put off, and the companion process finds it there; what is put off is only
to wait for that, and to tell of it.
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
from nnexp.runs import backlog, lease, questions
from nnexp.runs.directory import RunDirectory, peek
from nnexp.runs.questions import Question
from nnexp.terminal import say

MOST = 2  # ends that a worker may owe while it trains
LOOK_SECONDS = 0.05
LONGEST_SECONDS = 300.0  # since a run was trained, after which nobody waits for its end

_slots = threading.BoundedSemaphore(MOST)
_threads = ThreadPoolExecutor(MOST, "nnexp-ends")
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
    """See a trained run through to its end in the background; wait only while this process owes too many."""
    _slots.acquire()
    try:
        with suppress(OSError):  # at once, so that who waits for the sweep sees that it is under way
            questions.ask(directory, Question.DRAW, Question.PUBLISH)
        _threads.submit(_end, directory, end)
    except BaseException:
        _slots.release()
        raise


def _end(directory: RunDirectory, end: Callable[[], object]) -> None:
    """Whatever comes of it, this process owes one less."""
    try:
        end()
    except Exception as error:
        say(f"{directory.path.name}: its end could not be recorded: {one_line(error)}")
    finally:
        _slots.release()


def wait_for(root: str, sweep: str) -> None:
    """Wait until the trained runs of a sweep are published, or known to be kept back."""
    for _ in range(MOST):
        _slots.acquire()
    _slots.release(MOST)
    while any(_is_under_way(directory, sweep) for directory in backlog.entries(root)):
        time.sleep(LOOK_SECONDS)


def _is_under_way(directory: RunDirectory, sweep: str) -> bool:
    """Whether somebody alive waits for the end of the run: a worker of this sweep, maybe another start of it."""
    known = peek(directory)
    if known is None:
        return False
    record, result = known
    if result is None or not questions.is_asked(directory, Question.PUBLISH):
        return False
    is_of_others = record.sweep == sweep and record.owner != lease.owner()  # this process has all its slots back
    return is_of_others and lease.gone_reason(record.owner) is None and time.time() - result.ended < LONGEST_SECONDS
