"""What a run's directory says of it: its record before training, and the result of its ending."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nnexp
from nnexp import tasks
from nnexp.companion import destination_of, parent_of
from nnexp.config import BEST, NONE, Config
from nnexp.runs import backlog, lease, provenance, seals
from nnexp.runs.directory import SOURCES, RunDirectory, write_atomically
from nnexp.runs.files import to_json
from nnexp.runs.history import check_metrics
from nnexp.runs.identity import Identity
from nnexp.runs.records import RunRecord, RunResult, RunStatus
from nnexp.runs.tags import COMMIT, DIRECTORY, SEAL, SOURCE, STATUS_MESSAGE, SWEEP, TASK, USER, VERSION
from nnexp.tasks.interface import Ending

INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Request:
    """What a run is asked to do, and where."""

    config: Config
    composed: str
    overrides: Sequence[str]
    path: Path
    tags: Mapping[str, str] = field(default_factory=dict)


def make_record(request: Request, identity: Identity, details: Mapping[str, Any], path: Path) -> RunRecord:
    """What `run.json` will say: who the run is and who holds it."""
    config, tracking = request.config, request.config.tracking
    git = provenance.git_state()
    return RunRecord(
        uid=new_uid(path),
        name=tracking.run_name or config.task.title(config.of_task, request.overrides),
        started=time.time(),
        owner=lease.owner(),
        heartbeat=tracking.heartbeat,
        tracking=destination_of(tracking, config.resume),
        identity=identity.to_json(),
        backlog=str(backlog.folder(tracking.directory)),
        task=config.task.name,
        params=config.deciding(),
        overrides=tuple(request.overrides),
        seed=config.seed,
        figures=config.figures,
        draws=config.figures_of != NONE and not (config.figures_of == BEST and tracking.sweep),
        tags={
            **{f"nnexp.{key}": value for key, value in identity.to_json().items()},
            VERSION: nnexp.__version__,
            **provenance.arithmetic(),
            DIRECTORY: str(path.resolve()),
            **SOURCE,
            USER: provenance.user(),
            **({COMMIT: git["commit"]} if git else {}),
            **({SWEEP: tracking.sweep} if tracking.sweep else {}),
            **({TASK: config.task.name} if config.task.name != tasks.NETWORK else {}),
            **({SEAL: sealed} if (sealed := seals.seal(request.composed)) else {}),
            **request.tags,
        },
        details=details,
        parent=parent_of(tracking),
    ).sealed()


def new_uid(path: Path) -> str:
    """A run's own id."""
    return f"{path.name}-{os.urandom(4).hex()}"


def write_description(directory: RunDirectory, request: Request) -> None:
    """Config, overrides and environment, before the first iteration."""
    config, task = request.config, request.config.task
    code = task.code(config.of_task)
    environment = provenance.environment(task.threads(config.of_task), code.digest, code.files)
    directory.write_text("config/config.yaml", request.composed)
    directory.write_text("config/overrides.yaml", "".join(f"- {json.dumps(o)}\n" for o in request.overrides) or "[]\n")
    directory.write_json("environment/environment.json", {**environment, "own": sorted(code.sources.names)})
    for name, text in code.sources.texts().items():
        write_atomically(directory.file(f"{SOURCES}/{name}"), text.encode("utf-8", "surrogateescape"))  # as it was
    if diff := provenance.git_state().get("diff"):
        directory.write_text("environment/git_diff.patch", diff)


def result_of(
    directory: RunDirectory, ending: Ending, saved: Mapping[str, str], figures: Sequence[str] = ()
) -> RunResult:
    """What `result.json` says of a run that ended by itself or was interrupted.

    Raises
    ------
    ValueError
        If its final metrics are none that a store takes, or one of its values has the name of a field of a result.
    TypeError
        If one of its values cannot be written as JSON.
    """
    check_metrics(ending.metrics)
    values = {**ending.values, **ending.counters, "saved": dict(saved)}
    if figures:
        values["figures"] = list(figures)
    if taken := set(values) & RunResult.reserved():
        raise ValueError(
            f"a value of a task must have another name than {min(taken)!r}, which `result.json` has itself"
        )
    result = RunResult(
        run_id=directory.uid,
        status=RunStatus.KILLED if ending.reason == INTERRUPTED else RunStatus.FINISHED,
        message=ending.message,
        ended=time.time(),
        step=ending.step,
        tags={STATUS_MESSAGE: ending.message, **ending.tags},
        final_metrics=dict(ending.metrics),
        values=values,
    )
    to_json(result.to_json())  # a value that cannot be written makes a failed run, and not one without an end
    return result


def ended(directory: RunDirectory, status: RunStatus, message: str) -> RunResult:
    """The result of a run that is cut off now, by what it had logged."""
    return tasks.cut_off(directory, status, message, time.time())
