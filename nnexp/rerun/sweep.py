"""A whole sweep again: each of its jobs, one table, one parent run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnexp.config import ConfigError, TrackingConfig
from nnexp.errors import one_line
from nnexp.lookup import FoundSweep, Lookup
from nnexp.rerun.compare import IDENTICAL, ORDER
from nnexp.rerun.run import CHECK, Rerun, execute_plan, plan
from nnexp.rerun.source import RerunError, RunSource, source_of
from nnexp.runs.directory import RunDirectory, run_name
from nnexp.runs.files import RecordError
from nnexp.runs.records import RunStatus
from nnexp.runs.tags import KIND, PARENT, RERUN_KIND, RERUN_OF, RUN_KEY, SOURCE, SWEEP, UID
from nnexp.sweeps.status import STATE_OF, JobState, State, states
from nnexp.tracking.notes import LONGEST, NOTE, plain
from nnexp.tracking.store import open_store


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
    best = _latest(of_sweep)
    for key in filter(None, names):
        if key not in best or best[key].status != RunStatus.FINISHED:  # it may have been finished outside the sweep
            best |= _latest([*of_sweep, *runs(RUN_KEY, key)])
    if not names:
        raise RerunError(f"{found}: its plan is neither on this machine nor in the store")
    jobs = [(name, best.get(key)) for key, name in names.items() if key]
    return SweepSource(found.sweep, parent.run_id if parent else found.sweep, jobs)


def _latest(runs: Iterable[RunSource]) -> dict[str, RunSource]:
    """For each key the run that stands for the job, which is the one to run again."""
    by_id = {run.run_id: run for run in runs if run.key}
    return {key: by_id[state.run_id] for key, state in states(map(_state_of, by_id.values())).items()}


def _state_of(run: RunSource) -> JobState:
    state = STATE_OF.get(RunStatus(run.status), State.LOST)
    return JobState(run.key or "", state, run.run_id, start=run.started, tags=run.tags)


NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class SweepRerun:
    """What came of a sweep: its reruns in the order of its jobs, and the parent run that holds them together."""

    run_id: str | None
    original_run_id: str
    reruns: Sequence[Rerun]

    @property
    def verdict(self) -> str | None:
        """The worst verdict; None where nothing worse than *identical* was found, but not everything was checked."""
        verdicts = [rerun.verdict for rerun in self.reruns if rerun.verdict is not None]
        worst = max(verdicts, key=ORDER.index, default=None)
        return None if worst == IDENTICAL and len(verdicts) < len(self.reruns) else worst

    @property
    def changed(self) -> list[str]:
        """Every change of any run, once."""
        return list(dict.fromkeys(item for rerun in self.reruns for item in rerun.changed))

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of the command."""
        told = {"run_id": self.run_id, "original_run_id": self.original_run_id}
        told |= {"verdict": self.verdict, "changed": self.changed}
        return told | {"runs": [rerun.as_dict() for rerun in self.reruns]}


def rerun_sweep(
    found: SweepSource, overrides: Sequence[str], tracking: TrackingConfig, *, check: bool, tell: Callable[[str], None]
) -> SweepRerun:
    """Run every job of a sweep again, one after the other; one that is refused is told and left."""
    reruns: list[Rerun] = []
    for number, (name, original) in enumerate(found.jobs, 1):
        rerun = _one(name, original, overrides, check)
        reruns.append(rerun)
        tell(f"{number} of {len(found.jobs)}: {name}: {said(rerun)}")
        if rerun.outcome is not None and rerun.outcome.status == "KILLED":
            break
    return SweepRerun(_parent(found, reruns, tracking, check, tell), found.run_id, reruns)


def _one(name: str, original: RunSource | None, overrides: Sequence[str], check: bool) -> Rerun:
    if original is None:
        return Rerun(name, None, refused="it was never run")
    try:
        return execute_plan(plan(original, overrides, check=check))
    except (RerunError, RecordError, ConfigError) as error:
        return Rerun(name, original.run_id, refused=str(error))


def said(rerun: Rerun) -> str:
    """The outcome of one run in a few words."""
    if rerun.refused is not None:
        return f"{rerun.verdict or NOT_CHECKED}: {rerun.refused}"
    if rerun.comparison is not None:
        return str(rerun.comparison)
    return f"{rerun.outcome.status}: {rerun.outcome.message}" if rerun.outcome else NOT_CHECKED


def rows(reruns: Sequence[Rerun]) -> list[tuple[str, str, str, str]]:
    """The table of a sweep, its head first: job, old run, new run, what came of it."""
    head = ("job", "original", "rerun", "outcome")
    return [head, *((r.name, r.original_run_id or "-", r.run_id or "-", said(r)) for r in reruns)]


def _parent(
    found: SweepSource, reruns: Sequence[Rerun], tracking: TrackingConfig, check: bool, tell: Callable[[str], None]
) -> str | None:
    """Put the new runs under one parent run, made when all are done, so that none is ever left open."""
    children = [r.run_id for r in reruns if r.outcome is not None and r.outcome.published and r.run_id]
    if tracking.backend != "mlflow" or not children:
        return None
    head, *others = ("| " + " | ".join(map(plain, row)) + " |" for row in rows(reruns))
    table = "\n".join([head, "|---|---|---|---|", *others])
    result = SweepRerun(None, found.run_id, reruns)
    tags = {
        UID: f"rerun-{run_name()}",
        KIND: RERUN_KIND,
        RERUN_OF: found.run_id,
        **SOURCE,
        NOTE: f"Rerun of sweep `{found.sweep}`\n\n{table}"[:LONGEST],
        **({CHECK: result.verdict or NOT_CHECKED} if check else {}),
    }
    try:
        store = open_store(tracking.uri, tracking.experiment)
        start = min(RunDirectory(r.outcome.path).record.started for r in reruns if r.outcome and r.outcome.path)
        run_id = store.create(f"rerun of sweep {found.sweep}", start, tags)
        for child in children:
            store.tag(child, {PARENT: run_id})
        good = all(r.outcome is not None and r.outcome.status == "FINISHED" for r in reruns)
        store.terminate(run_id, "FINISHED" if good else "FAILED")
        return run_id
    except Exception as error:
        tell(f"The new runs have no parent run: {one_line(error)}")
        return None
