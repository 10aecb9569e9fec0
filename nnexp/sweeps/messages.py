"""What a sweep says on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from nnexp.runs import arithmetic
from nnexp.sweeps import ranking
from nnexp.sweeps.overview import Overview
from nnexp.sweeps.plan import Job
from nnexp.sweeps.status import JobState, State
from nnexp.terminal import say

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
        other = arithmetic.difference(known.tags)
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
    reasons = Counter(filter(None, (arithmetic.difference(state.tags) for state in finished)))
    for reason, n in reasons.items():
        runs = "1 finished run was" if n == 1 else f"{n} finished runs were"
        say(f"{runs} made with {reason}; here the numbers may differ (resume=strict retrains these jobs)")


def tell_recovered(names: Sequence[str]) -> None:
    """Say which runs of a crash were closed or published."""
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        say(f"closed or published after a crash: {', '.join(names[:SHOWN])}{more}")


def print_end(known: Overview, message: str, choice: Sequence[str], links: Mapping[str, str]) -> None:
    """The end of a sweep on standard output: counts, best settings, where to look, what failed."""
    best = known.best[:SHOWN]
    print(f"{message}; {ranking.heading(best)}:" if best else message)
    for text in ranking.lines(best):
        print(f"  {text}")
    for sentence in choice:
        print(sentence)
    for name, link in links.items():
        print(f"{name}: {link}")
    if known.failures:
        print("failed:")
    for job, state in known.failures:
        print(f"  {job.name}: {state.reason}" + (f" (run {state.run_id})" if state.run_id else ""))
