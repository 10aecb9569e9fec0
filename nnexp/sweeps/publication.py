"""The parent run of a sweep that its own process could not make or close, from the sweep's directory and the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnexp.runs import lease
from nnexp.runs.directory import RunDirectory, peek
from nnexp.runs.files import RecordError, tell_once
from nnexp.runs.places import store_at
from nnexp.runs.records import RunStatus, SweepPlan
from nnexp.runs.tags import OWNER, RUN_KEY, SWEEP
from nnexp.sweeps.directory import finish, record_of, sweep_directory
from nnexp.sweeps.job_states import KnownRuns
from nnexp.sweeps.jobs import Job, SearchGoal, planned
from nnexp.sweeps.parent import Parent, Told
from nnexp.sweeps.ranking import overview
from nnexp.sweeps.status import outcome, states
from nnexp.tracking.store_arbiter import is_lost
from nnexp.tracking.stored_run import StoredRun


class SweepPublication:
    """A sweep whose parent run is to be in a store, with its plan, counts, best settings, status and times."""

    def __init__(self, root: str | Path, sweep: str, stores: Any) -> None:
        self.root, self.sweep, self._stores = root, sweep, stores
        self.directory = RunDirectory(sweep_directory(root, sweep))
        self.name = f"sweep {sweep}"

    @property
    def has_plan(self) -> bool:
        """Whether its plan is on this machine; a damaged one is told, once."""
        try:
            return bool(self.directory.plan and record_of(self.directory))
        except FileNotFoundError:
            return False
        except RecordError as error:
            tell_once(f"{error}; the sweep is left out")
            return False

    @property
    def is_private(self) -> bool:
        """Whether the sweep was made with `tracking=none`, and so belongs into no store."""
        return self.directory.plan.uri is None

    def is_of(self, run: RunDirectory) -> bool:
        """Whether a run directory is of this sweep."""
        known = peek(run)
        return known is not None and known[0].sweep == self.sweep

    def _parent(self) -> Parent:
        plan = self.directory.plan
        old = Path(plan.directory) if plan.directory else None  # the output directory may have been moved since
        uri = store_at(plan.uri, old, Path(self.root).resolve()) if plan.uri else None
        return Parent(self._stores.of(uri, plan.experiment), plan, record_of(self.directory))

    def ensure(self) -> None:
        """Make the parent run where it is missing, so that the sweep's runs can name it."""
        self._parent().ensure()

    def close(self) -> str | None:
        """Say how the sweep stands, and end it where its process has; one that is still run is left to it.

        Returns
        -------
        str or None
            How it stands, if its parent run has got another status by that.
        """
        parent = self._parent()
        run = parent.store.get(parent.ensure())
        if run is None or _is_held_elsewhere(run):
            return None
        parent.introduce()
        runs = parent.store.tagged(SWEEP, self.sweep)
        jobs = _jobs(parent.plan, runs)
        known_runs = KnownRuns(parent.store, str(self.root), self.sweep, parent.record.tracking)
        found = known_runs.stored(set(jobs), elsewhere=bool(parent.plan.jobs))
        goal = SearchGoal.of(parent.plan)
        to_come = goal.n_trials - len(jobs) if goal and self.directory.result is None else 0
        known = overview(parent.task, jobs, states(found), self.sweep, max(to_come, 0), goal)
        parent.say(Told.of(known))
        if parent.record.owner and lease.gone_reason(parent.record.owner) is None and self.directory.result is None:
            parent.hold()  # it goes on without the store, and is closed by the next sync
            return None
        status, message = outcome(known.counts, is_over=False)
        ended = max([run.start, *(each.end for each in runs if each.end and each.run_id != run.run_id)])
        parent.end(status, message, ended)
        if not self._stores.is_copy(parent.plan.uri):
            finish(self.directory, run.run_id, status, message, ended, is_whole=True)
        return message if run.status != status else None


def _is_held_elsewhere(run: StoredRun) -> bool:
    return run.status == RunStatus.RUNNING and not is_lost(run) and run.tags.get(OWNER) != lease.owner()


def _jobs(plan: SweepPlan, runs: list[StoredRun]) -> dict[str, Job]:
    """The jobs by their keys; of a search, whose jobs are not planned, those that were run."""
    if plan.jobs:
        return {job.key: job for job in planned(plan)}
    keys = dict.fromkeys(run.tags[RUN_KEY] for run in runs if RUN_KEY in run.tags)
    names = {run.tags[RUN_KEY]: run.name for run in runs if RUN_KEY in run.tags}
    return {key: Job(i, (), (names[key],), key) for i, key in enumerate(keys)}
