"""The jobs of a sweep that is run again, each with the run that did it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnexp.lookup import FoundSweep, Lookup
from nnexp.rerun.errors import RerunError
from nnexp.rerun.source import RunSource, source_of
from nnexp.runs.tags import RERUN_OF, RUN_KEY, SWEEP

BETTER = ("FINISHED", "FAILED", "KILLED", "RUNNING")  # which run of a job is run again, the first the rather


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
    best = _best(of_sweep)
    for key in filter(None, names):
        if key not in best or best[key].status != "FINISHED":  # it may have been finished outside the sweep
            best |= _best([*of_sweep, *runs(RUN_KEY, key)], only=key)
    if not names:
        raise RerunError(f"{found}: its plan is neither on this machine nor in the store")
    jobs = [(name, best.get(key)) for key, name in names.items() if key]
    return SweepSource(found.sweep, parent.run_id if parent else found.sweep, jobs)


def _rank(run: RunSource) -> tuple[int, bool, float]:
    rank = BETTER.index(run.status) if run.status in BETTER else len(BETTER)
    return rank, RERUN_OF in run.tags, run.started


def _best(runs: Iterable[RunSource], only: str | None = None) -> dict[str, RunSource]:
    """For each key the run to repeat: a finished one, no rerun, the oldest."""
    best: dict[str, RunSource] = {}
    for run in sorted(runs, key=_rank):
        if run.key and only in (None, run.key):
            best.setdefault(run.key, run)
    return best
