"""The jobs of a sweep, as everything but their composing knows them: no Hydra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnexp.config import Config
from nnexp.own import short_names
from nnexp.runs.identity import sha256
from nnexp.runs.records import PlannedJob, SweepPlan
from nnexp.tasks.interface import Task

# How a sweep is run, not what it is: these do not make it another sweep.
CONTROLS = ("resume", "dry_run", "fail_fast", "tracking.", "hydra.", "hydra/", "figures.", "report.")


@dataclass(frozen=True)
class Job:
    """One run of a sweep. `error` says why it cannot run; then it has no config and its key is of its overrides."""

    number: int
    overrides: tuple[str, ...]
    swept: tuple[str, ...]
    key: str
    config: Config | None = None
    error: str | None = None
    short: str = ""
    planned: str | None = None  # its key, and what it is made of: what is not as it was when the job is done

    @property
    def name(self) -> str:
        """What tells this job from the others of its sweep."""
        return " ".join(self.swept) or "the config as it is"

    @property
    def run_name(self) -> str:
        """The same in short, for its run."""
        return self.short or short_names([self.swept])[0]


@dataclass(frozen=True)
class Plan:
    """All jobs of a sweep, and the id that the same jobs always have."""

    jobs: tuple[Job, ...]
    sweep: str
    name: str
    swept_keys: tuple[str, ...]


@dataclass(frozen=True)
class SearchGoal:
    """How many trials a search has, and the metrics by which it judges them, each to `minimize` or `maximize`."""

    n_trials: int
    objectives: tuple[str, ...]
    directions: tuple[str, ...]

    @classmethod
    def of(cls, plan: SweepPlan) -> SearchGoal | None:
        """That of a plan that was kept; None for a grid."""
        return cls(plan.n_trials, tuple(plan.objectives), tuple(plan.directions)) if plan.n_trials else None

    @property
    def higher_is_better(self) -> dict[str, bool]:
        """For each objective, in their order."""
        return {key: way == "maximize" for key, way in zip(self.objectives, self.directions, strict=True)}


def planned(plan: SweepPlan) -> list[Job]:
    """The jobs of a plan that was kept, without their configs."""

    def swept(job: PlannedJob) -> tuple[str, ...]:
        found = (override.lstrip("+") for override in job.overrides)
        return tuple(item for item in found if item.partition("=")[0] in plan.swept_keys) or (job.name,)

    return [Job(i, tuple(job.overrides), swept(job), job.key or "") for i, job in enumerate(plan.jobs)]


def decisive(overrides: Sequence[str], task: Task[Any] | None = None) -> list[str]:
    """The overrides that say what is computed, without those that say how it is run and kept."""
    kept = [override for override in overrides if not override.lstrip("+~").startswith(CONTROLS)]
    dropped = set(task.bookkeeping) - set(task.named_by_content) if task is not None else set()
    return [override for override in kept if override.lstrip("+~").partition("=")[0] not in dropped]


def failed_key(overrides: Sequence[str]) -> str:
    """The key of a job whose config cannot be used."""
    return sha256(" ".join(decisive(overrides)).encode())
