"""The jobs of a sweep that is run again, each with the run that did it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnexp.lookup import FoundSweep, Lookup
from nnexp.rerun.errors import RerunError
from nnexp.rerun.source import RunSource, source_of
from nnexp.runs.records import RunStatus
from nnexp.runs.tags import RUN_KEY, SWEEP
from nnexp.sweeps.status import STATE_OF, JobState, State, states


@dataclass(frozen=True)
class SweepSource:
    """A sweep: its jobs, each with the run that did it, None where none did."""

    sweep: str
    run_id: str
    jobs: Sequence[tuple[str, RunSource | None]]


def jobs_of(lookup: Lookup, found: FoundSweep, scratch: Path) -> SweepSource:
    """The jobs of a sweep as its plan has them, or as its runs say where the plan is lost.

    Raises
    ------
    RerunError
        If neither its plan nor a run of it is there.
    """
    parent, plan = lookup.parent_of(found), lookup.plan_of(found)

    def runs(tag: str, value: str) -> list[RunSource]:
        return [source_of(run, lookup.store, scratch) for run in lookup.runs_with(tag, value)]

    of_sweep = runs(SWEEP, found.sweep)
    names = {job.key: job.name for job in (plan.jobs if plan else ())} or {run.key: run.name for run in of_sweep}
    best = _standing(of_sweep)
    for key in filter(None, names):
        if key not in best or best[key].status != RunStatus.FINISHED:  # it may have been finished outside the sweep
            best |= _standing([*of_sweep, *runs(RUN_KEY, key)])
    if not names:
        raise RerunError(f"{found}: its plan is neither on this machine nor in the store")
    jobs = [(name, best.get(key)) for key, name in names.items() if key]
    return SweepSource(found.sweep, parent.run_id if parent else found.sweep, jobs)


def _standing(runs: Iterable[RunSource]) -> dict[str, RunSource]:
    """For each key the run that stands for the job, which is the one to run again."""
    by_id = {run.run_id: run for run in runs if run.key}
    return {key: by_id[state.run_id] for key, state in states(map(_state_of, by_id.values())).items()}


def _state_of(run: RunSource) -> JobState:
    state = STATE_OF.get(RunStatus(run.status), State.LOST)
    return JobState(run.key or "", state, run.run_id, start=run.started, tags=run.tags)
