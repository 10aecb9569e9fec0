"""What a session knows of its jobs: read from runs now and then, and told by the jobs that came back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nnexp.runs import disk_arbiter
from nnexp.runs.arbitration import Verdict
from nnexp.runs.records import RunStatus
from nnexp.sweeps.plan import Job
from nnexp.sweeps.status import JobState, State, states

ATTEMPTS = 2  # times a job may take its process down before it is given up


class JobStates:
    """The states of a sweep's jobs by their keys. The thread that watches the jobs changes them too."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.known: dict[str, JobState] = {}
        self.left: set[str] = set()  # keys of jobs that were left to another process
        self.returns = 0  # launches that have come back; what was read before one of them is out of date
        self._returned: dict[str, JobState] = {}  # what jobs said when they returned
        self._ended: set[str] = set()  # directories of the runs that came back
        self._deaths: Counter[str] = Counter()  # how often a job has taken its process down

    def of(self, job: Job) -> State | None:
        """The state of a job, None where nothing is known of it."""
        known = self.known.get(job.key)
        return None if known is None else known.state

    def learn(self, found: Mapping[str, JobState], *, complete: bool = False) -> None:
        """Take what was read into what is known; `complete`: what was not found does not run any more."""
        known = self.known
        if complete:
            known = {key: state for key, state in known.items() if state.state is not State.RUNNING}
        merged = known | {key: self._checked(state) for key, state in found.items()}
        merged |= states([*merged.values(), *list(self._returned.values())])
        for key in list(self.left):
            is_open = key not in merged or not merged[key].is_decided
            if is_open and disk_arbiter.is_locked(self.root, key):
                merged[key] = JobState(key, State.RUNNING)
        self.known = merged

    def _checked(self, state: JobState) -> JobState:
        """A run that came back from the launcher is not running, whatever its process could still write of it."""
        if state.state is State.RUNNING and state.directory in self._ended:
            return replace(state, state=State.LOST, reason="its end could not be recorded")
        return state

    def take(self, jobs: Sequence[Job], outcomes: Sequence[Any]) -> set[str]:
        """Take what jobs said when they returned; return the keys of those that were left to another process."""
        left: set[str] = set()
        self.returns += 1
        for job, outcome in zip(jobs, outcomes, strict=False):
            if outcome is None:
                continue
            if outcome.status == RunStatus.SKIPPED:
                left.add(job.key)
                if outcome.claim.verdict == Verdict.FINISHED:
                    self._returned[job.key] = JobState(job.key, State.FINISHED, outcome.run_id, name=job.name)
                continue
            self._ended.add(outcome.path)
            if outcome.status == RunStatus.FAILED:
                run_id = outcome.run_id or ""
                self._returned[job.key] = JobState(job.key, State.FAILED, run_id, outcome.message, name=job.name)
        self.left |= left
        return left

    def is_missing(self, job: Job, launched: Collection[str]) -> bool:
        """Whether a job is to be launched; one that has taken its process down too often is given up."""
        state = self.of(job)
        if job.key not in launched:
            return state not in (State.FINISHED, State.RUNNING)
        if state not in (None, State.LOST):
            return False
        # It was launched, and neither finished nor failed: its process died under it, or somebody else's did.
        self._deaths[job.key] += 1
        if self._deaths[job.key] < ATTEMPTS:
            return True
        self.known[job.key] = JobState(job.key, State.FAILED, reason="its process died at every attempt")
        return False
