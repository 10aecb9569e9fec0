"""What a sweep says on the terminal: what it would do, how far it is, how it ended."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from nnexp.errors import one_line
from nnexp.recovery.reasons import listed
from nnexp.runs import backlog, provenance
from nnexp.runs.history import last_row
from nnexp.sweeps import ranking
from nnexp.sweeps.jobs import Job
from nnexp.sweeps.ranking import Overview
from nnexp.sweeps.status import JobState, State
from nnexp.terminal import clock, say, tell
from nnexp.tracking.errors import StoreError

SHOWN = 5


def is_to_run(state: JobState | None) -> bool:
    """Whether a job is to be started."""
    return state is None or not state.is_decided


def verdict(job: Job, known: JobState | None) -> str:
    """What a sweep would do with a job, and why."""
    if job.error:
        return f"cannot run ({job.error})"
    if known is None:
        return "would run"
    if known.state is State.FINISHED:
        other = provenance.other_arithmetic(known.tags)
        return f"skip: finished as run {known.run_id}{f', made with {other}' if other else ''}"
    if known.state is State.RUNNING:
        return f"skip: running in another process as run {known.run_id}"
    return f"would run: {known.state} before ({known.reason})"


def tell_skipped(name: str, jobs: Sequence[Job], known: Mapping[str, JobState]) -> None:
    """Say which jobs are skipped, by which run each is finished, and how many are left."""
    for job in jobs:
        state = known.get(job.key)
        if state is not None and state.state is State.FINISHED:
            say(f"skipped: {job.name}: run {state.run_id} is finished and has the same key")
    runs = sum(is_to_run(known.get(job.key)) for job in jobs)
    say(f"{name}: {len(jobs)} jobs, {runs} to run, {len(jobs) - runs} already finished or running")


def tell_other_arithmetic(states: Collection[JobState]) -> None:
    """Say which finished runs, though their key is the job's, need not have the numbers of one made here."""
    finished = [state for state in states if state.state is State.FINISHED]
    reasons = Counter(filter(None, (provenance.other_arithmetic(state.tags) for state in finished)))
    for reason, n in reasons.items():
        runs = "1 finished run was" if n == 1 else f"{n} finished runs were"
        say(f"{runs} made with {reason}; here the numbers may differ (resume=strict retrains these jobs)")


def tell_recovered(names: Sequence[str]) -> None:
    """Say which runs of a crash were closed or published."""
    if names:
        say(f"closed or published after a crash: {listed(names)}")


def tell_unpublished(kept: Collection[tuple[str, str]]) -> None:
    """Say which machines have runs that the store does not have, given as pairs of a host and a reason, and why."""
    hosts: dict[str, Counter[str]] = {}
    for host, reason in kept:
        hosts.setdefault(reason, Counter())[host] += 1
    for reason, by_host in hosts.items():
        n = by_host.total()
        runs = "1 run was" if n == 1 else f"{n} runs were"
        where = listed([f"{host} ({n})" for host, n in by_host.items()]) if len(by_host) > 1 else next(iter(by_host))
        say(f"{runs} trained on {where}, not published: {reason}; `nnexp sync` there publishes what is missing.")


def print_end(known: Overview, message: str, choice: Sequence[str], links: Mapping[str, str]) -> None:
    """The end of a sweep on standard output: counts, best settings, where to look, what failed."""
    best = known.listed[:SHOWN]
    tell(f"{message}; {ranking.heading(best)}:" if best else message)
    for text in ranking.lines(best):
        tell(f"  {text}")
    for sentence in (*choice, *known.remarks):
        tell(sentence)
    for name, link in links.items():
        tell(f"{name}: {link}")
    if known.failures:
        tell("failed:")
    for job, state in known.failures:
        tell(f"  {job.name}: {state.reason}" + (f" (run {state.run_id})" if state.run_id else ""))


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
