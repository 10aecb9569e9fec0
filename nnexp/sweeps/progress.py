"""What a person sees of a sweep while it runs: one line that is rewritten, elsewhere a line now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from statistics import fmean

from nnexp.errors import one_line
from nnexp.runs import backlog
from nnexp.runs.history import last_row
from nnexp.sweeps.status import JobState, State
from nnexp.terminal import clock, say
from nnexp.tracking.store import StoreError

POLL_SECONDS = 2.0
SHOWN_FITS = 4


class Repeatedly:
    """While the launcher works: does something now and then, in a thread of its own.

    Parameters
    ----------
    step
        What is done; it is given a function that says whether the launcher has come back in the meantime.
    """

    def __init__(self, step: Callable[[Callable[[], bool]], None]) -> None:
        self._step = step
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="nnexp-watch", daemon=True)

    def __enter__(self) -> Repeatedly:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _work(self) -> None:
        pause = POLL_SECONDS
        while not self._stop.wait(pause):
            began = time.monotonic()
            try:
                self._step(self._stop.is_set)
            except (StoreError, OSError):
                continue  # a store that is away now may be back at the next step
            except Exception as error:
                say(one_line(error))
            pause = max(POLL_SECONDS, 20 * (time.monotonic() - began))


def describe(
    counts: Mapping[str, int], running: Collection[tuple[str, str]], left: float | None, best: str
) -> list[str]:
    """The state of a sweep in parts, what matters most first.

    Parameters
    ----------
    running
        The names of the jobs that are trained now, and how far each is.
    left
        Seconds until the rest is done, if that can be known.
    best
        The best setting so far; empty where there is none.
    """
    parts = [f"{counts['finished'] + counts['failed']} of {counts['planned']} done"]
    if counts["failed"]:
        parts.append(f"{counts['failed']} failed")
    if left is not None and left >= 1:
        parts.append(f"about {clock(left) if left >= 60 else f'{left:.0f} s'} left")
    if running:
        parts.append(f"{len(running)} running")
    parts += [f"{name}: {how_far}" if how_far else name for name, how_far in list(running)[:SHOWN_FITS]]
    return [*parts, f"best so far: {best}"] if best else parts


def last_rows(root: str | Path, sweep: str) -> dict[str, dict[str, float]]:
    """The last row of the history of each run of a sweep that this machine trains, by its key."""
    rows = {}
    for directory in backlog.entries(root):
        try:
            record = directory.record
            if record.sweep == sweep and directory.result is None:
                rows[record.run_key or ""] = last_row(directory.path)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # removed this moment, or damaged
    return rows


def time_left(jobs: Collection[JobState], n_open: int, began: float, now: float) -> float | None:
    """Seconds until the rest of a sweep is done; None before the first fit of this start of it has ended.

    What is left to be done, in seconds of fits, at the rate at which it is done: the seconds of fits, ended and under
    way, for each second since the first began. That rate is the number of jobs at a time, less what is lost between
    them; the time before the first of them, in which processes start and import, has no part in it.

    Parameters
    ----------
    jobs
        What is known of the jobs.
    n_open : int
        Jobs that have neither finished nor failed.
    began, now : float
        When this start of the sweep began, and now.
    """
    here = [s for s in jobs if s.start >= began]
    ended = [s.seconds for s in here if s.state in (State.FINISHED, State.FAILED) and s.seconds is not None]
    fits = [s.seconds for s in here if s.state is State.FINISHED and s.seconds is not None]
    ages = [max(now - s.start, 0.0) for s in here if s.state is State.RUNNING]
    if not fits:
        return None
    mean = fmean(fits)
    mean = fmean([*fits, *(age for age in ages if age > mean)])  # those that take longer have not ended yet
    elapsed = now - min(s.start for s in here)
    work = sum(ended) + sum(ages)
    if elapsed <= 0 or work <= 0:
        return None
    rest = (n_open - len(ages)) * mean + sum(max(mean - age, 0.0) for age in ages)
    return rest * elapsed / work if rest > 0 else None
