"""A sweep on the disk: `sweeps/ID`, a run directory of its own kind, with its plan.

Like that of a run its record says who holds it, its result how it ended, and its entry in the backlog that its store
does not have all of it yet. Folders of older versions have a plan only.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnexp.config import TrackingConfig
from nnexp.runs import backlog, lease, provenance
from nnexp.runs.directory import PLAN_FILE, RECORD, RESULT, SWEEPS, RunDirectory, run_name, write_atomically
from nnexp.runs.files import VanishedError, to_json
from nnexp.runs.records import NETWORK, Destination, Kind, PlannedJob, RunRecord, RunResult, RunStatus, SweepPlan
from nnexp.runs.tags import KIND, SOURCE, STATUS_MESSAGE, SWEEP, SWEEP_KIND, SWEPT, USER
from nnexp.sweeps.jobs import Job, SearchGoal
from nnexp.tasks.interface import Task
from nnexp.tracking import views
from nnexp.tracking.publication import sweep_uid

HEARTBEAT_SECONDS = 10.0  # seconds, of sweeps whose record does not say


def sweep_directory(root: str | Path, sweep: str) -> Path:
    """Where a sweep is on this machine."""
    return Path(root).resolve() / SWEEPS / sweep


def plan_of(
    sweep: str,
    name: str,
    swept_keys: Sequence[str],
    command: str,
    jobs: Sequence[Job],
    tracking: TrackingConfig,
    task: Task[Any],
    search: SearchGoal | None = None,
) -> SweepPlan:
    """The plan of a sweep that this process begins."""
    configs = [job.config.deciding() for job in jobs if job.config]
    return SweepPlan(
        sweep=sweep,
        name=name,
        swept_keys=tuple(swept_keys),
        varied=tuple(views.varied_params(swept_keys, configs, task.presentation.params)),
        command=command,
        uri=tracking.uri if tracking.backend == "mlflow" else None,
        experiment=tracking.experiment,
        directory=str(Path(tracking.directory).resolve()),
        made=time.time(),
        owner=lease.owner(),
        made_as=run_name(),
        jobs=tuple(PlannedJob(job.key, job.overrides, job.name) for job in jobs),
        n_trials=search.n_trials if search else None,
        objectives=search.objectives if search else (),
        directions=search.directions if search else (),
    )


def write_plan(root: str | Path, plan: SweepPlan) -> Path:
    """Keep the plan; return the sweep's folder."""
    folder = sweep_directory(root, plan.sweep)
    write_atomically(folder / PLAN_FILE, to_json(plan.to_json()))
    return folder


def whole_as(root: str, plan: SweepPlan) -> str | None:
    """The parent run of a sweep that its store has whole, with these jobs, since an earlier start; else None."""
    known = RunDirectory(sweep_directory(root, plan.sweep))
    try:
        result = known.result
        is_whole = result is not None and result.is_finished and not backlog.has(root, known)
        return result.run_id if result is not None and is_whole and known.plan.jobs == plan.jobs else None
    except (OSError, ValueError):
        return None


def begin(plan: SweepPlan, task: Task[Any], root: str, heartbeat: float) -> RunDirectory:
    """Take the directory of a sweep into this process, from whoever had it before."""
    directory = RunDirectory(write_plan(root, plan))
    (directory.path / RESULT).unlink(missing_ok=True)  # of an earlier start
    directory.write_json(RECORD, _record(plan, task.name, lease.owner(), heartbeat, root).to_json())
    if plan.uri is not None:
        backlog.enter(root, directory)
    return directory


def finish(
    directory: RunDirectory, run_id: str, status: RunStatus, message: str, ended: float, *, is_whole: bool
) -> None:
    """Say how a sweep ended; `is_whole`: its store has all of it, and its run there is `run_id`."""
    tags = {STATUS_MESSAGE: message}
    directory.write_result(RunResult(run_id, status, message, ended, tags=tags, described=True))
    if is_whole:
        backlog.leave(directory.path.parent.parent, directory)


def is_own(directory: RunDirectory) -> bool:
    """Whether this process has the sweep, and no other that has begun it since."""
    return record_of(directory).owner == lease.owner()


def record_of(directory: RunDirectory) -> RunRecord:
    """The record of a sweep; of a folder of an older version what its plan says.

    Raises
    ------
    FileNotFoundError
        If it has no plan either.
    RecordError
        If one of them is damaged.
    """
    try:
        return directory.record
    except VanishedError:
        plan = directory.plan
        return _record(plan, NETWORK, plan.owner or "", HEARTBEAT_SECONDS, str(directory.path.parent.parent))


def _record(plan: SweepPlan, task: str, owner: str, heartbeat: float, root: str) -> RunRecord:
    return RunRecord(
        uid=sweep_uid(plan.sweep),
        name=plan.name,
        started=plan.made,
        owner=owner,
        heartbeat=heartbeat,
        tracking=Destination(plan.uri, plan.experiment),
        backlog=str(backlog.folder(root)),
        kind=Kind.SWEEP,
        task=task,
        tags={
            SWEEP: plan.sweep,
            KIND: SWEEP_KIND,
            SWEPT: ",".join(plan.swept_keys),
            **SOURCE,
            USER: provenance.user(),
        },
    )
