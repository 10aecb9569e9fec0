"""What is known of a sweep's jobs: by the tracking store, by run directories that no store has yet, and by the jobs.

Of the first two a session reads now and then; jobs that came back from the launcher tell it themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nnexp import recovery
from nnexp.runs import backlog, disk_arbiter, lease, provenance
from nnexp.runs.arbitration import Verdict
from nnexp.runs.directory import RunDirectory, peek, run_directories
from nnexp.runs.history import last_row
from nnexp.runs.places import counts_for
from nnexp.runs.records import Destination, RunStatus
from nnexp.runs.tags import RUN_KEY, SWEEP, equals
from nnexp.sweeps.jobs import Job
from nnexp.sweeps.status import JobState, State, of_record, of_stored, states
from nnexp.tracking.limits import batches
from nnexp.tracking.store import Store
from nnexp.tracking.stored_run import StoredRun
from nnexp.tracking.transaction import Stage, stages_of_runs

SEARCHED_ONE_BY_ONE = 50  # keys; of more, all finished runs of the experiment are read
# Runs of a sweep in a store as they were read last, and at which stage: an ended one is not read at every look.
_read_before: dict[tuple[str, str, str], dict[str, tuple[Stage, StoredRun]]] = {}


class KnownRuns:
    """Reads the states of the jobs of one sweep.

    Parameters
    ----------
    store
        None where it cannot be read.
    destination
        The store and the experiment that the sweep is for; of runs of others on the disk none stands for a job.
    strict_before
        What ended before and was made with other arithmetic stands for no job.
    """

    def __init__(
        self, store: Store | None, root: str, sweep: str, destination: Destination, strict_before: float = 0.0
    ) -> None:
        self.store, self.root, self.sweep, self.destination = store, root, sweep, destination
        self.strict_before = strict_before

    def refresh(
        self,
        keys: Iterable[str],
        *,
        since: float = 0.0,
        repair: bool = True,
        elsewhere: bool = True,
        after: float | None = None,
    ) -> dict[str, JobState]:
        """The states of jobs by their keys; keys of which nothing is known are left out.

        Parameters
        ----------
        since
            Runs that ended before this time do not stand for a job (for a sweep that is not to be resumed).
        repair
            Close the runs of processes that are gone.
        elsewhere
            Look also among runs that are not of this sweep.
        after
            Leave out the sweep's runs that ended before this time, which the caller knows.
        """
        wanted = set(keys)
        on_disk = list(self._on_disk(wanted, since, repair))
        return states([*on_disk, *self.stored(wanted, since, repair=repair, elsewhere=elsewhere, after=after)])

    def stored(
        self,
        wanted: Collection[str],
        since: float = 0.0,
        *,
        repair: bool = True,
        elsewhere: bool = True,
        after: float | None = None,
    ) -> list[JobState]:
        """What the store alone knows; parameters as above."""
        if self.store is None:
            return []
        runs = self.store.tagged(SWEEP, self.sweep) if after is None else self._runs_after(self.store, after)
        found = list(self._stored(runs, wanted, since, repair))
        if elsewhere:
            decided = {key for key, job in states(found).items() if job.is_decided}
            others = runs_of_keys(self.store, set(wanted) - decided)
            found += [job for job in self._stored(others, wanted, since, repair) if job.is_decided]
        return found

    def _runs_after(self, store: Store, moment: float) -> list[StoredRun]:
        """The runs of the sweep that are open, or ended after a moment: to read all of a large sweep takes long."""
        after = int(1000 * moment)
        stages = stages_of_runs(store.client, store.experiment_id, SWEEP, self.sweep, after)
        if stages is None:
            mine = equals(SWEEP, self.sweep)
            conditions = (f"attributes.status = '{RunStatus.RUNNING}'", f"attributes.end_time > {after}")
            found = [run for each in conditions for run in store.search(f"{mine} AND {each}")]
            return [run for run in found if run.tags.get(SWEEP) == self.sweep]
        read = _read_before.get((store.uri, store.experiment, self.sweep), {})
        known = {run_id: seen for run_id, seen in read.items() if stages.get(run_id) == seen[0] and seen[1].end}
        for ids in batches([run_id for run_id in stages if run_id not in known], SEARCHED_ONE_BY_ONE):
            some_of_them = ", ".join(f"'{run_id}'" for run_id in ids)
            found = store.search(f"attributes.run_id IN ({some_of_them})")
            known |= {run.run_id: (stages[run.run_id], run) for run in found}
        _read_before[store.uri, store.experiment, self.sweep] = known
        return [run for _, run in known.values()]

    def _stored(
        self, runs: Iterable[StoredRun], wanted: Collection[str], since: float, repair: bool
    ) -> Iterator[JobState]:
        for run in runs:
            if run.tags.get(RUN_KEY) not in wanted:
                continue
            if run.status == RunStatus.RUNNING and repair and self.store is not None:
                run = recovery.close_lost(self.store, run)
            if run.end is None or (run.end >= since and not self._is_of_other_arithmetic(run.tags, run.end)):
                yield of_stored(run)

    def _on_disk(self, wanted: Collection[str], since: float, repair: bool) -> Iterator[JobState]:
        """Runs of this machine: those that the store does not have yet, and all where it cannot be read."""
        directories = backlog.entries(self.root)
        if self.store is None:
            directories = {each.path: each for each in [*directories, *run_directories(self.root)]}.values()
        for directory in directories:
            found = peek(directory)
            if found is None or found[0].run_key not in wanted:
                continue
            record, result = found
            if not counts_for(directory, record, self.destination):
                continue
            if result is None:
                reason = backlog.lost_reason(self.root, directory, record)
                if reason is None:
                    yield of_record(record, None, str(directory.path))
                elif repair and not lease.is_of_this_machine(record.owner):
                    recovery.close(directory, reason)  # what was seen here is news to those who share the disk
            elif result.ended < since or self._is_of_other_arithmetic(record.tags, result.ended):
                continue
            elif self.store is None or result.is_finished:  # the store says of the others what became of them
                yield of_record(record, result, str(directory.path), _last_values(directory))

    def _is_of_other_arithmetic(self, tags: Mapping[str, str], ended: float) -> bool:
        return ended < self.strict_before and provenance.other_arithmetic(tags) is not None


def runs_of_keys(store: Store, keys: Collection[str]) -> list[StoredRun]:
    """The runs that have one of the keys, of whatever sweep; of many keys the finished runs, and others among them."""
    if len(keys) <= SEARCHED_ONE_BY_ONE:
        return [run for key in sorted(keys) for run in store.tagged(RUN_KEY, key)]
    return store.search(f"attributes.status = '{RunStatus.FINISHED}'")


def _last_values(directory: RunDirectory) -> dict[str, float]:
    return last_row(directory.path) or (directory.history() or [{}])[-1]


ATTEMPTS = 2  # times a job may take its process down before it is given up


class JobStates:
    """The states of a sweep's jobs by their keys. The thread that watches the jobs changes them too."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.known: dict[str, JobState] = {}
        self.left: set[str] = set()  # keys of jobs that were left to another process
        self.returns = 0  # launches that have come back; what was read before one of them is out of date
        self.unpublished: dict[str, tuple[str, str]] = {}  # by other machines: host and reason, by the job's key
        self._returned: dict[str, JobState] = {}  # what jobs said when they returned
        self._trained: dict[str, JobState] = {}  # the same of runs that finished, which are to be found in the store
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
        self.unpublished = {
            key: why for key, why in self.unpublished.items() if key not in found or found[key].state != State.FINISHED
        }
        for key, state in list(self._trained.items()):
            if key not in merged or merged[key].state != State.FINISHED:
                merged[key] = state
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
            if outcome.status == RunStatus.FINISHED and outcome.record is not None:
                self._trained[job.key] = of_record(outcome.record, outcome.result, outcome.path)
                if not outcome.published and not lease.is_of_this_machine(outcome.record.owner):
                    reason = outcome.problem or "not yet"
                    self.unpublished[job.key] = (lease.host(outcome.record.owner), reason)
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
