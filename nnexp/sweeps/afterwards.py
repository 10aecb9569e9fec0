"""The parent run of a sweep that its own process could not make or close, from the plan that it kept on the disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from nnexp import tasks
from nnexp.config import TrackingConfig
from nnexp.runs import lease
from nnexp.runs.directory import PLAN_FILE, peek, to_json
from nnexp.runs.files import RecordError, tell_once
from nnexp.runs.places import store_at
from nnexp.runs.records import SweepPlan
from nnexp.runs.tags import OWNER, RUN_KEY, SWEEP
from nnexp.sweeps.known_runs import KnownRuns
from nnexp.sweeps.parent import Parent, read_plan, sweep_directory
from nnexp.sweeps.plan import Job
from nnexp.sweeps.session import Controls, Session
from nnexp.sweeps.status import JobState, outcome
from nnexp.tracking.publication import sweep_uid
from nnexp.tracking.store import Store, StoredRun
from nnexp.tracking.store_arbiter import is_lost

HEARTBEAT = 10.0


class LateParent:
    """A sweep whose parent run is to be in a store, with its plan, counts, best runs, status and times."""

    def __init__(self, root: str | Path, sweep: str, stores: Any) -> None:
        self.root, self.sweep, self._stores = root, sweep, stores
        self.folder = sweep_directory(root, sweep)
        self.name = f"sweep {sweep}"

    @property
    def has_plan(self) -> bool:
        """Whether its plan is on this machine; a damaged one is told, once."""
        try:
            return bool(read_plan(self.folder))
        except FileNotFoundError:
            return False
        except RecordError as error:
            tell_once(f"{error}; the sweep is left out")
            return False

    def is_of(self, directory: Any) -> bool:
        """Whether a run directory is of this sweep."""
        known = peek(directory)
        return known is not None and known[0].sweep == self.sweep

    @property
    def is_private(self) -> bool:
        """Whether the sweep was made with `tracking=none`, and so belongs into no store."""
        try:
            return read_plan(self.folder).uri is None
        except (OSError, ValueError, KeyError):
            return False

    def _open(self) -> tuple[SweepPlan, Store]:
        plan = read_plan(self.folder)
        old = plan.directory  # the output directory may have been moved since
        uri = store_at(plan.uri, Path(old) if old else None, Path(self.root).resolve()) if plan.uri else None
        return plan, self._stores.of(uri, plan.experiment)

    def ensure(self) -> None:
        """Make the parent run where it is missing, so that the sweep's runs can name it."""
        plan, store = self._open()
        if store.find_uid(sweep_uid(self.sweep)) is None:
            Parent(store, plan, HEARTBEAT, tasks.find(tasks.NETWORK)).ensure()

    def close(self) -> None:
        """Say how the sweep stands, and end it where its process has; one that is still run is left to it."""
        plan, store = self._open()
        run = store.find_uid(sweep_uid(self.sweep))
        if run is None or self._is_run_elsewhere(run):
            return
        session = self._session(plan, store)
        session.parent = Parent(store, plan, HEARTBEAT, tasks.find(tasks.NETWORK))
        session.parent.run_id = run.run_id
        session.parent.adopt()
        store.client.log_text(run.run_id, to_json(plan.to_json()), PLAN_FILE)
        session.report()
        if (owner := plan.owner) and lease.gone_reason(owner) is None:
            store.tag(run.run_id, {OWNER: owner})  # it goes on without the store, and is closed by the next sync
            return
        children = store.tagged(SWEEP, self.sweep)
        ends = [child.end for child in children if child.end and child.run_id != run.run_id]
        status, message = outcome(session.counts(), is_over=False)
        store.terminate(run.run_id, status, max([*ends, run.start]), message)

    def _is_run_elsewhere(self, run: StoredRun) -> bool:
        return run.status == "RUNNING" and not is_lost(run) and run.tags.get(OWNER) != lease.owner()

    def _session(self, plan: SweepPlan, store: Store) -> Session:
        """The sweep as its own process would see it now."""
        tracking = TrackingConfig("mlflow", store.uri, store.experiment, str(self.root), 0, HEARTBEAT, None, None)
        controls = Controls(True, False, False, tracking, plan.command, 1)
        session = Session(self.sweep, plan.name, plan.swept_keys, controls, store, lambda jobs: None)
        session.known_runs = _StoreOnly(store, str(self.root), self.sweep)
        jobs = [Job(i, tuple(job.overrides), (job.name,), job.key or "") for i, job in enumerate(plan.jobs)]
        if not jobs:  # a search: what its jobs are is only known from its runs
            runs = [run for run in store.tagged(SWEEP, self.sweep) if RUN_KEY in run.tags]
            jobs = [Job(i, (), (run.name,), run.tags[RUN_KEY]) for i, run in enumerate(runs)]
        session.jobs = {job.key: job for job in jobs}
        session.standings = session.known_runs.refresh(session.jobs, elsewhere=bool(plan.jobs))
        return session


class _StoreOnly(KnownRuns):
    """What the store alone knows."""

    def _on_disk(self, wanted: Collection[str], since: float, repair: bool) -> Iterator[JobState]:
        return iter(())
