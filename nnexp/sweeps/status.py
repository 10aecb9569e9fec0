"""The states of a sweep's jobs, by what is known of runs: pure functions, which open no store and read no disk.

A job may have been tried by many runs, of this sweep and of others. Which of them stands for it is decided here, for
sweeps, `nnexp sweeps`, reports and reruns alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from nnexp.runs.records import RunRecord, RunResult, RunStatus
from nnexp.runs.tags import DIRECTORY, RERUN_OF, RUN_KEY, STATUS_MESSAGE, SWEEP

if TYPE_CHECKING:
    from nnexp.tracking.stored_run import StoredRun


class State(StrEnum):
    """What a run makes of its job; of several runs the one with the later of these stands for it."""

    LOST = "lost"
    FAILED = "failed"
    RUNNING = "running"
    FINISHED = "finished"


ORDER = tuple(State)
STATE_OF = {RunStatus.FINISHED: State.FINISHED, RunStatus.FAILED: State.FAILED, RunStatus.RUNNING: State.RUNNING}


@dataclass(frozen=True)
class JobState:
    """A run of a job, and the state that the job is in by it."""

    key: str
    state: State
    run_id: str = ""
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    name: str = ""
    start: float = 0.0
    seconds: float | None = None
    sweep: str | None = None
    directory: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_decided(self) -> bool:
        """Whether the job need not be started: it is finished, or somebody trains it."""
        return self.state in (State.FINISHED, State.RUNNING)

    @property
    def precedence(self) -> tuple[int, bool, float]:
        """Of several runs of a job the one with the largest stands for it: no rerun of another, and the newest."""
        return ORDER.index(self.state), RERUN_OF not in self.tags, self.start


def states(runs: Iterable[JobState]) -> dict[str, JobState]:
    """For each key the run that stands for the job."""
    found: dict[str, JobState] = {}
    for run in runs:
        if run.key not in found or run.precedence > found[run.key].precedence:
            found[run.key] = run
    return found


def of_stored(run: StoredRun, *, is_lost: bool = False) -> JobState:
    """A run of the store; `is_lost` where it is open and its process is gone."""
    state = STATE_OF.get(RunStatus(run.status), State.LOST)
    return JobState(
        key=run.tags.get(RUN_KEY, ""),
        state=State.LOST if is_lost and state is State.RUNNING else state,
        run_id=run.run_id,
        reason=run.tags.get(STATUS_MESSAGE, ""),
        metrics=run.metrics,
        params=run.params,
        name=run.name,
        start=run.start,
        seconds=run.end - run.start if run.end else None,
        sweep=run.tags.get(SWEEP),
        directory=run.tags.get(DIRECTORY, ""),
        tags=run.tags,
    )


def of_record(
    record: RunRecord, result: RunResult | None, directory: str, last: Mapping[str, float] | None = None
) -> JobState:
    """A run of the disk, without a result one that somebody holds; `last` are the last values of its history."""
    common = {"key": record.run_key or "", "name": record.name, "start": record.started, "directory": directory}
    if result is None:
        return JobState(**common, state=State.RUNNING, run_id=record.uid, tags=record.tags)
    metrics = {**(last or {}), **result.values, **result.final_metrics}
    return JobState(
        **common,
        state=STATE_OF.get(result.status, State.LOST),
        run_id=result.run_id,
        params=record.params,
        reason="" if result.is_finished else result.message,
        metrics={key: value for key, value in metrics.items() if type(value) in (int, float)},
        seconds=result.ended - record.started,
        sweep=record.sweep,
        tags=record.tags,
    )


def count(jobs: Collection[JobState], planned: int, sweep: str | None = None) -> dict[str, int]:
    """How many jobs are in which state, and how many of the finished were done outside of the `sweep`."""
    found = Counter(job.state for job in jobs)
    elsewhere = sum(job.state is State.FINISHED and job.sweep != sweep for job in jobs) if sweep else 0
    return {"planned": planned, **{state.value: found[state] for state in reversed(ORDER)}, "elsewhere": elsewhere}


def outcome(counts: Mapping[str, int], *, is_over: bool = True) -> tuple[RunStatus, str]:
    """The status and the message of a sweep; one that is not over was interrupted where jobs are undecided."""
    message = f"{counts['finished']} of {counts['planned']} jobs finished, {counts['failed']} failed"
    if not is_over and counts["finished"] + counts["failed"] < counts["planned"]:
        return RunStatus.KILLED, f"interrupted: {message}"
    return (RunStatus.FAILED if counts["failed"] else RunStatus.FINISHED), message
