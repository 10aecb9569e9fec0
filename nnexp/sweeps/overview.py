"""How a sweep stands: counts, best settings and failures, made of its jobs and their states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nnexp.sweeps import ranking
from nnexp.sweeps.plan import Job
from nnexp.sweeps.ranking import Score
from nnexp.sweeps.status import JobState, State, count
from nnexp.tasks.interface import Task


@dataclass(frozen=True)
class Overview:
    """How a sweep stands.

    Attributes
    ----------
    counts
        As of :func:`nnexp.sweeps.status.count`.
    best
        All settings, the best first.
    failures
        The jobs that failed, with what stands for them.
    """

    counts: Mapping[str, int]
    best: list[Score]
    failures: list[tuple[Job, JobState]]


def overview(
    task: Task[Any], jobs: Mapping[str, Job], states: Mapping[str, JobState], sweep: str, to_come: int = 0
) -> Overview:
    """How a sweep stands; `to_come` are jobs that a search has yet to propose."""
    known = [(job, states[key]) for key, job in jobs.items() if key in states]
    done = sorted((each for each in known if each[1].state is State.FINISHED), key=lambda each: each[0].number)
    return Overview(
        count(list(states.values()), len(jobs) + to_come, sweep),
        ranking.rank(task, done),
        [each for each in known if each[1].state is State.FAILED],
    )
