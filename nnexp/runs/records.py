"""The records of runs and sweeps as types: `run.json`, `result.json` and `plan.json`, each with a schema number.

A field of a class here is a field of the file; what it may hold stands beside it. The schema number is read before
anything else. A record without one is of schema 1, which older versions wrote; all that they wrote is read for good. A
record of a newer schema is refused by name, since what it means is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, cast

from nnexp.runs import seals
from nnexp.runs.files import RecordError, as_list, as_object, damaged, is_inside, is_mapping, is_number, is_text
from nnexp.runs.tags import is_owner

SCHEMA = 2
SAVED, FIGURES = "saved", "figures"  # values of a result: names of files that a task has made
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


def is_flag(value: Any) -> bool:
    """Whether a value is true or false."""
    return isinstance(value, bool)


def _is_job(value: Any) -> bool:
    job = as_object(value)
    if job is None or not {"key", "overrides", "name"} <= set(job):
        return False
    return isinstance(job["overrides"], list) and isinstance(job["key"], str | None)


def _list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def is_list(value: Any) -> bool:
        return (items := as_list(value)) is not None and all(map(check, items))

    return is_list


def stored(
    check: Callable[[Any], bool], read: Callable[[Any], Any] = lambda value: value, *, is_needed: bool = False
) -> Mapping[str, Any]:
    """What a field may hold in its file, how its value is read, and whether it is needed though it has a default."""
    return {"check": check, "read": read, "is_needed": is_needed}


def _plain(value: Any) -> Any:
    """A value of a field as JSON has it. What a task has put there is left to who writes it: it may be anything."""
    if isinstance(value, Destination | PlannedJob):
        return asdict(value)
    return [_plain(each) for each in cast("tuple[Any, ...]", value)] if isinstance(value, tuple) else value


class Record:
    """What all records have: they are read with each field checked, and written in the schema of today."""

    @classmethod
    def from_json(cls, path: Path, value: Mapping[str, Any]) -> Self:
        """Read it from what was in the file of `path`.

        Raises
        ------
        RecordError
            If it is not such a record, or one of a newer schema.
        """
        schema_of(path, value)
        value, given = cls._brought_up_to_date(value), dict[str, Any]()
        for each in fields(cls):  # pyright: ignore[reportArgumentType] - every record is a dataclass
            name, is_right = each.name, each.metadata.get("check")
            if is_right is None:
                continue
            if name in value:
                if not is_right(value[name]):
                    raise damaged(path, name, value[name])
                given[name] = each.metadata["read"](value[name])
            elif each.metadata["is_needed"] or (each.default is MISSING and each.default_factory is MISSING):
                raise RecordError(f"{path} is damaged: it has no {name!r}")
        return cls(**given)

    @classmethod
    def _brought_up_to_date(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """What was in a file, of whatever schema, with the fields of today."""
        return value

    @classmethod
    def names(cls) -> list[str]:
        """The names of its fields in the file."""
        own = fields(cls)  # pyright: ignore[reportArgumentType] - every record is a dataclass
        return [each.name for each in own if "check" in each.metadata]

    def to_json(self) -> dict[str, Any]:
        """As the file has it, in the schema of today."""
        return {"schema": SCHEMA, **{name: _plain(getattr(self, name)) for name in self.names()}}


def schema_of(path: Path, value: Mapping[str, Any]) -> int:
    """The schema of a record that was read from a file.

    Raises
    ------
    RecordError
        If a newer version of nnexp wrote it, or its number is none.
    """
    schema = value.get("schema", 1)
    if type(schema) is not int or schema < 1:
        raise damaged(path, "schema", schema)
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
    def read(cls, value: Mapping[str, Any]) -> Destination:
        """Read it from a record."""
        return cls(value["uri"], value["experiment"], value.get("sweep"), value.get("resume", True))

    @staticmethod
    def is_one(value: Any) -> bool:
        """Whether a value is what :meth:`read` reads."""
        found = as_object(value)
        if found is None or "uri" not in found or not is_text(found.get("experiment")):
            return False
        return is_optional_text(found["uri"]) and is_optional_text(found.get("sweep"))


@dataclass(frozen=True)
class RunRecord(Record):
    """What `run.json` says: who the run (or sweep) is and who holds it.

    Attributes
    ----------
    uid
        The run's own id, made before any store knows it.
    owner, heartbeat
        The process that holds it (:func:`nnexp.runs.lease.owner`), and the seconds between its signs of life.
    parent
        The process whose companion publishes it, where that is not the owner's own: the one that started it.
    tracking
        Where it is to be published.
    identity
        `config_hash`, `data_digest`, `code_digest` and `run_key`; empty but for the key where the run could not begin.
    backlog
        The folder in which it is entered while there is something to publish; None for a run of no output directory.
    figures, draws
        The formats of its figures, and whether they are drawn when it has ended.
    details
        What its task needs in order to describe it.
    seal
        Of that and of the store that it is for (:mod:`nnexp.runs.seals`).
    """

    uid: str = field(metadata=stored(is_text))
    name: str = field(metadata=stored(is_text))
    started: float = field(metadata=stored(is_number))
    owner: str = field(metadata=stored(lambda value: is_text(value) and is_owner(value)))
    heartbeat: float = field(metadata=stored(lambda value: is_number(value) and value > 0))
    tracking: Destination = field(metadata=stored(Destination.is_one, Destination.read))
    identity: Mapping[str, str] = field(default_factory=dict[str, str], metadata=stored(is_mapping))
    backlog: str | None = field(default=None, metadata=stored(is_optional_text))
    kind: Kind = field(default=Kind.RUN, metadata=stored(lambda value: value in tuple(Kind), Kind))
    task: str = field(default=NETWORK, metadata=stored(is_text))
    params: Mapping[str, Any] = field(default_factory=dict[str, Any], metadata=stored(is_mapping, is_needed=True))
    overrides: Sequence[str] = field(default=(), metadata=stored(is_texts, tuple))
    seed: int = field(default=0, metadata=stored(is_number))
    figures: Sequence[str] = field(default=("png",), metadata=stored(is_texts, tuple))
    draws: bool = field(default=True, metadata=stored(is_flag))
    tags: Mapping[str, str] = field(default_factory=dict[str, str], metadata=stored(is_mapping, is_needed=True))
    details: Mapping[str, Any] = field(default_factory=dict[str, Any], metadata=stored(is_mapping))
    parent: str | None = field(default=None, metadata=stored(is_optional_text))
    seal: str | None = field(default=None, metadata=stored(is_optional_text))

    @property
    def publisher(self) -> str:
        """The process whose companion publishes it."""
        return self.parent or self.owner

    @property
    def run_key(self) -> str | None:
        """The key of the job that it does; None for a sweep."""
        return self.identity.get("run_key")

    @property
    def sweep(self) -> str | None:
        """The sweep that it belongs to."""
        return self.tracking.sweep

    @property
    def is_own(self) -> bool:
        """Whether this user has written its details, and the store that it is for, himself."""
        return seals.is_sealed(self._to_seal, self.seal)

    def sealed(self) -> Self:
        """The same with this user's seal."""
        return replace(self, seal=seals.seal(self._to_seal))

    @property
    def _to_seal(self) -> str:
        return seals.text_of({"details": self.details, "uri": self.tracking.uri})

    @property
    def is_private(self) -> bool:
        """Whether it was made with ``tracking=none``, and so belongs into no store."""
        return self.tracking.uri is None

    @classmethod
    def _brought_up_to_date(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """Schema 1 had the details at the top level, and another name for the backlog."""
        if "details" in value:
            return value
        own = {"schema", "ledger", *cls.names()}
        details = {key: each for key, each in value.items() if key not in own}
        return {"backlog": value.get("ledger"), **value, "details": details}


@dataclass(frozen=True)
class RunResult(Record):
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
    draws_later
        Whether its figures, which were left out, were asked for later.
    superseded_by
        The run that had finished the same job first.
    values
        What its task says of it (`cost`, `n_iter`, digests, ...), at the top level of the file.
    """

    run_id: str = field(metadata=stored(is_text))
    status: RunStatus = field(metadata=stored(lambda value: value in STORED, RunStatus))
    message: str = field(metadata=stored(lambda value: isinstance(value, str)))
    ended: float = field(metadata=stored(is_number))
    step: int = field(default=0, metadata=stored(is_number, int))
    tags: Mapping[str, str] = field(default_factory=dict[str, str], metadata=stored(is_mapping, is_needed=True))
    final_metrics: Mapping[str, float] = field(default_factory=dict[str, float], metadata=stored(is_mapping))
    described: bool = field(default=False, metadata=stored(lambda value: True, bool))
    not_described: str | None = field(default=None, metadata=stored(is_optional_text))
    draws_later: bool | None = field(default=None, metadata=stored(lambda value: value is None or is_flag(value)))
    superseded_by: str | None = field(default=None, metadata=stored(is_optional_text))
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def is_finished(self) -> bool:
        """Whether it ended as FINISHED."""
        return self.status is RunStatus.FINISHED

    @classmethod
    def from_json(cls, path: Path, value: Mapping[str, Any]) -> Self:
        """As of every record; what is no field of it is a value of its task's."""
        values = {key: each for key, each in value.items() if key not in cls.reserved()}
        for name in (*(as_object(values.get(SAVED)) or ()), *(as_list(values.get(FIGURES)) or ())):
            if not is_inside(name):
                raise RecordError(f"{path} is damaged: expected the name of a file of the run, got {str(name)[:80]!r}")
        return replace(super().from_json(path, value), values=values)

    @classmethod
    def reserved(cls) -> set[str]:
        """The names that no value of a task can have."""
        return {"schema", *cls.names()}

    @classmethod
    def _brought_up_to_date(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """Schema 1 had no step but the network's count of iterations."""
        return {"step": value["n_iter"], **value} if "n_iter" in value else value

    def to_json(self) -> dict[str, Any]:
        """As of every record, with the values at the top level."""
        optional = ("not_described", "draws_later", "superseded_by")
        written = {key: each for key, each in super().to_json().items() if each is not None or key not in optional}
        return written | {key: each for key, each in self.values.items() if key not in self.reserved()}

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
class SweepPlan(Record):
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
    n_trials, objectives, directions
        Of a search: how many there will be, and the metrics by which it judges, each to `minimize` or `maximize`.
    """

    sweep: str = field(metadata=stored(is_text))
    name: str = field(metadata=stored(is_text))
    swept_keys: Sequence[str] = field(metadata=stored(_list_of(is_text), tuple))
    command: str = field(metadata=stored(lambda value: isinstance(value, str)))
    uri: str | None = field(metadata=stored(is_optional_text))
    experiment: str = field(metadata=stored(is_text))
    made: float = field(metadata=stored(is_number))
    jobs: Sequence[PlannedJob] = field(
        default=(),
        metadata=stored(
            _list_of(_is_job),
            lambda jobs: tuple(PlannedJob(job["key"], tuple(job["overrides"]), job["name"]) for job in jobs),
            is_needed=True,
        ),
    )
    varied: Sequence[str] = field(default=(), metadata=stored(is_texts, tuple))
    directory: str | None = field(default=None, metadata=stored(is_optional_text))
    owner: str | None = field(default=None, metadata=stored(is_optional_text))
    made_as: str | None = field(default=None, metadata=stored(is_optional_text))
    n_trials: int | None = field(default=None, metadata=stored(lambda value: value is None or is_number(value)))
    objectives: Sequence[str] = field(default=(), metadata=stored(is_texts, tuple))
    directions: Sequence[str] = field(default=(), metadata=stored(is_texts, tuple))

    @classmethod
    def _brought_up_to_date(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """Older plans did not tell what was swept from what varies by it."""
        return value if value.get("varied") else {**value, "varied": value.get("swept_keys", [])}
