"""Which runs a report compares: those of a sweep, of an experiment, or of a filter."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nnexp.errors import UsageError, one_line
from nnexp.lookup import Lookup
from nnexp.report.files import RunFiles
from nnexp.runs.directory import PLAN_FILE
from nnexp.runs.files import tell_once
from nnexp.runs.records import SweepPlan
from nnexp.runs.tags import KIND, RUN_KEY, SWEEP
from nnexp.sweeps.job_states import runs_of_keys
from nnexp.sweeps.status import of_stored, states
from nnexp.tracking.errors import StoreError
from nnexp.tracking.mlflow_import import import_mlflow
from nnexp.tracking.store import Store
from nnexp.tracking.stored_run import StoredRun


class NothingToReportError(UsageError):
    """There are no such runs; the message is one sentence for the user."""


@dataclass(frozen=True)
class Selection:
    """What to compare.

    `value` is the id of a sweep, a prefix of one, or its parent run's id (empty: the newest sweep), or an MLflow
    filter; an experiment is the store's own.
    """

    kind: Literal["sweep", "experiment", "filter"]
    value: str = ""


@dataclass(frozen=True)
class Found:
    """The runs of a selection, oldest first, and what is known of them as a whole.

    `name` serves as a folder's name. `plan` is the plan of a sweep, None for the rest.
    """

    runs: list[StoredRun]
    title: str
    name: str
    plan: SweepPlan | None = None


def find(store: Store, selection: Selection, root: str | Path | None = None) -> Found:
    """Read the runs of a selection from the store; the output directory `root` helps to know what a word means.

    Raises
    ------
    UnknownWordError
        If the word for a sweep means none, or several.
    NothingToReportError
        If there is no such experiment or sweep, or no run in it, or the filter cannot be read.
    StoreError
        If the plan of the sweep is there and cannot be read.
    """
    if not store.has_experiment():
        raise NothingToReportError(f"There is no experiment {store.experiment!r} in {store.shown_uri}.")
    finders = {"sweep": _sweep, "experiment": _experiment, "filter": _filter}
    return finders[selection.kind](store, selection.value, root)


def _experiment(store: Store, value: str, root: str | Path | None) -> Found:
    runs = _children(store.search())
    if not runs:
        raise NothingToReportError(f"The experiment {store.experiment!r} has no runs yet.")
    return Found(runs, f"all runs of the experiment {store.experiment}", _safe(store.experiment))


def _filter(store: Store, value: str, root: str | Path | None) -> Found:
    mlflow: Any = import_mlflow()
    try:
        runs = _children(store.search(value))
    except mlflow.exceptions.MlflowException as error:
        raise NothingToReportError(f"The filter {value!r} cannot be read: {one_line(error)}") from error
    if not runs:
        raise NothingToReportError(f"No run of the experiment {store.experiment!r} matches the filter {value!r}.")
    name = f"{_safe(store.experiment)}-{hashlib.sha256(value.encode()).hexdigest()[:8]}"
    return Found(runs, f"runs with {value}", name)


def _sweep(store: Store, value: str, root: str | Path | None) -> Found:
    parents = store.sweeps(newest_first=True)
    if not parents:
        raise NothingToReportError(
            f"The experiment {store.experiment!r} has no sweep; "
            f"`nnexp report --experiment {store.experiment}` compares all its runs."
        )
    sweep = value or parents[0].tags[SWEEP]
    if not any(run.tags[SWEEP] == sweep for run in parents):
        sweep = Lookup(root, store).sweep(value).sweep
    parent = next((run for run in parents if run.tags[SWEEP] == sweep), None)
    if parent is None:
        raise NothingToReportError(
            f"The sweep {sweep} is not in the experiment {store.experiment!r}; `nnexp sweeps` lists those that are."
        )
    plan = _plan(store, parent)
    runs = _children(store.tagged(SWEEP, sweep))
    runs += _from_elsewhere(store, plan, runs)
    if not runs:
        raise NothingToReportError(f"The sweep {sweep} has no runs yet.")
    return Found(runs, parent.name or f"sweep {sweep}", sweep, plan)


def _plan(store: Store, parent: StoredRun) -> SweepPlan | None:
    files = RunFiles(store)
    content = files.read(parent, PLAN_FILE)
    for trouble in files.unread.values():  # without it, a report would say of all the sweep what holds of a part
        raise StoreError(f"the plan of the sweep could not be read: {trouble}")
    try:
        return SweepPlan.from_json(Path(PLAN_FILE), json.loads(content)) if content else None
    except (ValueError, RecursionError) as error:
        tell_once(f"{PLAN_FILE} of the run {parent.run_id} ({parent.name}) is damaged: {one_line(error)}; left out")
        return None


def _from_elsewhere(store: Store, plan: SweepPlan | None, runs: list[StoredRun]) -> list[StoredRun]:
    """Finished runs of other sweeps, or of none, that stand for jobs of this one because their keys are equal."""
    done = {run.tags.get(RUN_KEY) for run in runs if run.status == "FINISHED"}
    missing = {job.key for job in plan.jobs if job.key} - done if plan else set()
    finished = [run for run in _children(runs_of_keys(store, missing)) if run.status == "FINISHED"]
    found = {run.run_id: run for run in finished if run.tags.get(RUN_KEY) in missing}
    return [found[state.run_id] for state in states(map(of_stored, found.values())).values()]


def _children(runs: list[StoredRun]) -> list[StoredRun]:
    return [run for run in runs if KIND not in run.tags]


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "experiment"
