"""The records of runs and sweeps as types: `run.json`, `result.json` and `plan.json`, each with a schema number.

The number is read before anything else. A record without one is of schema 1, which older versions wrote; all that they
wrote is read for good. A record of a newer schema is refused by name, since what it means is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from nnexp.runs.files import RecordError, Shape, as_list, as_object, check, is_mapping, is_number, is_text
from nnexp.runs.tags import is_owner

SCHEMA = 2
NETWORK = "network"  # the task of all records of schema 1


class Kind(StrEnum):
    """What a record is of."""

    RUN = "run"
    SWEEP = "sweep"


class RunStatus(StrEnum):
    """MLflow's statuses of a run, and SKIPPED for one whose job another run has done."""

    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"
    SKIPPED = "SKIPPED"


STORED = tuple(status.value for status in RunStatus if status is not RunStatus.SKIPPED)


def is_texts(value: Any) -> bool:
    """Whether a value is a list of texts."""
    return (items := as_list(value)) is not None and all(isinstance(item, str) for item in items)


def is_optional_text(value: Any) -> bool:
    """Whether a value is a text that says something, or null."""
    return value is None or is_text(value)


TRACKING: Shape = {"uri": is_optional_text, "experiment": is_text}
NEEDED: Shape = {
    "uid": is_text,
    "name": is_text,
    "started": is_number,
    "owner": lambda value: is_text(value) and is_owner(value),
    "heartbeat": lambda value: is_number(value) and value > 0,
    "tracking": is_mapping,
    "params": is_mapping,
    "tags": is_mapping,
}
POSSIBLE: Shape = {
    "kind": lambda value: value in tuple(Kind),
    "task": is_text,
    "identity": is_mapping,
    "ledger": is_text,
    "backlog": is_optional_text,
    "overrides": is_texts,
    "details": is_mapping,
}
OF_THE_RECORD = {*NEEDED, *POSSIBLE, "schema", "seed", "figures"}
RESULT_NEEDED: Shape = {
    "run_id": is_text,
    "status": lambda value: value in STORED,
    "message": lambda value: isinstance(value, str),
    "ended": is_number,
    "tags": is_mapping,
}
RESULT_POSSIBLE: Shape = {"final_metrics": is_mapping, "n_iter": is_number, "step": is_number}
PLAN_NEEDED: Shape = {
    "sweep": is_text,
    "name": is_text,
    "swept_keys": lambda value: _are(is_text, value),
    "command": lambda value: isinstance(value, str),
    "uri": is_optional_text,
    "experiment": is_text,
    "made": is_number,
    "jobs": lambda value: _are(_is_job, value),
}


def _is_job(value: Any) -> bool:
    job = as_object(value)
    if job is None or not {"key", "overrides", "name"} <= set(job):
        return False
    return isinstance(job["overrides"], list) and isinstance(job["key"], str | None)


def _are(check: Callable[[Any], bool], value: Any) -> bool:
    return (items := as_list(value)) is not None and all(map(check, items))


def schema_of(path: Path, value: Mapping[str, Any]) -> int:
    """The schema of a record that was read from a file.

    Raises
    ------
    RecordError
        If a newer version of nnexp wrote it, or its number is none.
    """
    schema = value.get("schema", 1)
    if type(schema) is not int or schema < 1:
        raise RecordError(f"{path} is damaged: its 'schema' is {str(schema)[:80]!r}")
    if schema > SCHEMA:
        raise RecordError(f"{path} was written by a newer version of nnexp: its schema is {schema}, expected {SCHEMA}")
    return schema


@dataclass(frozen=True)
class Destination:
    """The store that a run was made for (`uri` is None with ``tracking=none``), and the sweep that it belongs to."""

    uri: str | None
    experiment: str
    sweep: str | None = None
    resume: bool | str = True

    @classmethod
    def from_json(cls, path: Path, value: Mapping[str, Any]) -> Destination:
        """Read it from a record."""
        check(path, value, needed=TRACKING, possible={"sweep": is_optional_text})
        return cls(value["uri"], value["experiment"], value.get("sweep"), value.get("resume", True))

    def to_json(self) -> dict[str, Any]:
        """As a record has it."""
        return {"uri": self.uri, "experiment": self.experiment, "sweep": self.sweep, "resume": self.resume}


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` says: who the run (or sweep) is and who holds it.

    Attributes
    ----------
    uid
        The run's own id, made before any store knows it.
    owner, heartbeat
        The process that holds it (:func:`nnexp.runs.lease.owner`), and the seconds between its signs of life.
    identity
        `config_hash`, `data_digest`, `code_digest` and `run_key`; empty but for the key where the run could not begin.
    tracking
        Where it is to be published.
    backlog
        The folder in which it is entered while there is something to publish; None for a run of no output directory.
    details
        What its task needs in order to describe it.
    """

    uid: str
    name: str
    started: float
    owner: str
    heartbeat: float
    tracking: Destination
    identity: Mapping[str, str] = field(default_factory=dict[str, str])
    backlog: str | None = None
    kind: Kind = Kind.RUN
    task: str = NETWORK
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    overrides: Sequence[str] = ()
    seed: int = 0
    figures: Sequence[str] = ("png",)
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    schema: int = SCHEMA

    @property
    def run_key(self) -> str | None:
        """The key of the job that it does; None for a sweep."""
        return self.identity.get("run_key")

    @property
    def sweep(self) -> str | None:
        """The sweep that it belongs to."""
        return self.tracking.sweep

    @property
    def is_private(self) -> bool:
        """Whether it was made with ``tracking=none``, and so belongs into no store."""
        return self.tracking.uri is None

    @classmethod
    def from_json(cls, path: Path, value: Mapping[str, Any]) -> RunRecord:
        """Read it from what was in the file of `path`.

        Raises
        ------
        RecordError
            If it is not a record, or one of a newer schema.
        """
        schema = schema_of(path, value)
        check(path, value, needed=NEEDED, possible=POSSIBLE)
        details = value.get("details")
        if details is None:
            details = {key: each for key, each in value.items() if key not in OF_THE_RECORD}  # schema 1
        return cls(
            uid=value["uid"],
            name=value["name"],
            started=value["started"],
            owner=value["owner"],
            heartbeat=value["heartbeat"],
            tracking=Destination.from_json(path, value["tracking"]),
            identity=value.get("identity", {}),
            backlog=value.get("backlog", value.get("ledger")),
            kind=Kind(value.get("kind", Kind.RUN)),
            task=value.get("task", NETWORK),
            params=value["params"],
            overrides=tuple(value.get("overrides", ())),
            seed=value.get("seed", 0),
            figures=tuple(value.get("figures", ("png",))),
            tags=value["tags"],
            details=details,
            schema=schema,
        )

    def to_json(self) -> dict[str, Any]:
        """As `run.json` has it, in the schema of today."""
        return {
            "schema": SCHEMA,
            "kind": str(self.kind),
            "task": self.task,
            "uid": self.uid,
            "name": self.name,
            "started": self.started,
            "owner": self.owner,
            "heartbeat": self.heartbeat,
            "identity": dict(self.identity),
            "tracking": self.tracking.to_json(),
            "backlog": self.backlog,
            "params": dict(self.params),
            "overrides": list(self.overrides),
            "seed": self.seed,
            "figures": list(self.figures),
            "tags": dict(self.tags),
            "details": dict(self.details),
        }


FIELDS = ("schema", "run_id", "status", "message", "ended", "step", "tags", "final_metrics", "described",
          "not_described", "superseded_by")  # fmt: skip


@dataclass(frozen=True)
class RunResult:
    """What `result.json` says: how a run (or sweep) ended.

    Attributes
    ----------
    run_id
        The id in the store once it has one, before that the run's own.
    ended
        Seconds since the epoch.
    step
        The last step, at which the final metrics are logged.
    final_metrics
        What is logged once, at that step.
    described, not_described
        Whether its reports and figures were made, or why they could not be.
    superseded_by
        The run that had finished the same job first.
    values
        What its task says of it (`cost`, `n_iter`, digests, ...), at the top level of the file.
    """

    run_id: str
    status: RunStatus
    message: str
    ended: float
    step: int = 0
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    final_metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    described: bool = False
    not_described: str | None = None
    superseded_by: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def is_finished(self) -> bool:
        """Whether it ended as FINISHED."""
        return self.status is RunStatus.FINISHED

    @classmethod
    def from_json(cls, path: Path, value: Mapping[str, Any]) -> RunResult:
        """Read it from what was in the file of `path`.

        Raises
        ------
        RecordError
            If it is not a result, or one of a newer schema.
        """
        schema_of(path, value)
        check(path, value, needed=RESULT_NEEDED, possible=RESULT_POSSIBLE)
        return cls(
            run_id=value["run_id"],
            status=RunStatus(value["status"]),
            message=value["message"],
            ended=value["ended"],
            step=int(value.get("step", value.get("n_iter", 0))),
            tags=value["tags"],
            final_metrics=value.get("final_metrics", {}),
            described=bool(value.get("described", False)),
            not_described=value.get("not_described"),
            superseded_by=value.get("superseded_by"),
            values={key: each for key, each in value.items() if key not in FIELDS},
        )

    def to_json(self) -> dict[str, Any]:
        """As `result.json` has it, in the schema of today."""
        optional = {"not_described": self.not_described, "superseded_by": self.superseded_by}
        return {
            "schema": SCHEMA,
            "run_id": self.run_id,
            "status": str(self.status),
            **self.values,
            "message": self.message,
            "ended": self.ended,
            "step": self.step,
            "final_metrics": dict(self.final_metrics),
            "described": self.described,
            **{key: each for key, each in optional.items() if each is not None},
            "tags": dict(self.tags),
        }

    def amended(
        self,
        *,
        tags: Mapping[str, str] | None = None,
        final_metrics: Mapping[str, float] | None = None,
        **changes: Any,
    ) -> RunResult:
        """The result with other fields, and with more tags and final metrics."""
        return replace(
            self,
            tags={**self.tags, **(tags or {})},
            final_metrics={**self.final_metrics, **(final_metrics or {})},
            **changes,
        )


@dataclass(frozen=True)
class PlannedJob:
    """A job of a sweep as its plan keeps it."""

    key: str | None
    overrides: Sequence[str]
    name: str


@dataclass(frozen=True)
class SweepPlan:
    """What `plan.json` says: the jobs of a sweep, known before any of them runs.

    Attributes
    ----------
    sweep, name
        Its id, which the same jobs always have, and what it is called.
    swept_keys, varied
        What was swept, and the params in which its jobs differ.
    command
        The command that makes or finishes it.
    uri, experiment, directory
        The store that it belongs to (None with ``tracking=none``) and its output directory.
    made, owner, made_as
        When and by which process it was last begun, and the name of that start.
    jobs
        Empty for a search, whose jobs are not known before.
    """

    sweep: str
    name: str
    swept_keys: Sequence[str]
    command: str
    uri: str | None
    experiment: str
    made: float
    jobs: Sequence[PlannedJob] = ()
    varied: Sequence[str] = ()
    directory: str | None = None
    owner: str | None = None
    made_as: str | None = None

    @classmethod
    def from_json(cls, path: Path, value: Mapping[str, Any]) -> SweepPlan:
        """Read it from what was in the file of `path`.

        Raises
        ------
        RecordError
            If it is not a plan, or one of a newer schema.
        """
        schema_of(path, value)
        check(
            path,
            value,
            needed=PLAN_NEEDED,
            possible={"varied": is_texts, "directory": is_optional_text, "owner": is_optional_text},
        )
        return cls(
            sweep=value["sweep"],
            name=value["name"],
            swept_keys=tuple(value["swept_keys"]),
            command=value["command"],
            uri=value["uri"],
            experiment=value["experiment"],
            made=value["made"],
            jobs=tuple(PlannedJob(job["key"], tuple(job["overrides"]), job["name"]) for job in value["jobs"]),
            varied=tuple(value.get("varied") or value["swept_keys"]),
            directory=value.get("directory"),
            owner=value.get("owner"),
            made_as=value.get("made_as"),
        )

    def to_json(self) -> dict[str, Any]:
        """As `plan.json` has it, in the schema of today."""
        return {
            "schema": SCHEMA,
            "sweep": self.sweep,
            "name": self.name,
            "swept_keys": list(self.swept_keys),
            "varied": list(self.varied),
            "command": self.command,
            "uri": self.uri,
            "experiment": self.experiment,
            "directory": self.directory,
            "made": self.made,
            "owner": self.owner,
            "made_as": self.made_as,
            "jobs": [{"key": job.key, "overrides": list(job.overrides), "name": job.name} for job in self.jobs],
        }
