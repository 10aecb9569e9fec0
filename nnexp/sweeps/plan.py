"""What a sweep is: a list of jobs, each with its overrides, its config and its key, known before anything runs.

A job's config is composed by Hydra once for every choice of config groups; what differs beyond that are plain values,
which are set on a copy. So a sweep of a thousand jobs is planned in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType, QuotedString
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nnexp.compose import explain, explain_key, plain
from nnexp.config import Config, ConfigError, check
from nnexp.runs.identity import sha256
from nnexp.runs.records import PlannedJob, SweepPlan
from nnexp.tasks.interface import Task

# How a sweep is run, not what it is: these do not make it another sweep.
CONTROLS = ("resume", "dry_run", "fail_fast", "tracking.", "hydra.", "hydra/", "figures.")


@dataclass(frozen=True)
class Job:
    """One run of a sweep. `error` says why it cannot run; then it has no config and its key is of its overrides."""

    number: int
    overrides: tuple[str, ...]
    swept: tuple[str, ...]
    key: str
    config: Config | None = None
    error: str | None = None

    @property
    def name(self) -> str:
        """What tells this job from the others of its sweep."""
        return " ".join(self.swept) or "the config as it is"

    @property
    def run_name(self) -> str:
        """The same in short, for its run: without the groups of the keys."""
        short = [item.lstrip("+").split("=", 1) for item in self.swept]
        return " ".join(f"{key.split('.')[-1]}={value}" for key, value in short).replace("'", "") or "one config"


@dataclass(frozen=True)
class Plan:
    """All jobs of a sweep, and the id that the same jobs always have."""

    jobs: tuple[Job, ...]
    sweep: str
    name: str
    swept_keys: tuple[str, ...]


class Composer:
    """Composed configs of jobs, each distinct choice of groups composed once."""

    def __init__(
        self, parse: Callable[[list[str]], list[Override]], compose: Callable[[list[str]], DictConfig], groups
    ) -> None:
        self._parse, self._compose, self._is_group = parse, compose, groups
        self._bases: dict[tuple[str, ...], DictConfig] = {}
        self._checked: dict[str, Any] = {}

    def __call__(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The config of a job as nested dictionaries."""
        values: list[tuple[str, Any]] = []
        base: list[str] = []
        for override in self._parse(list(overrides)):
            if self._is_plain(override):
                values.append((override.key_or_group, override.value()))
            else:
                base.append(override.input_line or "")
        key = tuple(base)
        if key not in self._bases:
            self._bases[key] = self._compose(base)
        cfg = self._bases[key].copy()
        for name, value in values:
            try:
                OmegaConf.update(cfg, name, _unquoted(value), force_add=False)
            except OmegaConfBaseException as error:
                raise ConfigError(explain_key(name, overrides)) from error
        return plain(cfg)

    def _is_plain(self, override: Override) -> bool:
        key = override.key_or_group
        return (
            override.type == OverrideType.CHANGE
            and not override.is_sweep_override()
            and not key.startswith("hydra")
            and not self._is_group(key)
        )


def _unquoted(value: Any) -> Any:
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_unquoted(item) for item in value]
    if isinstance(value, dict):
        return {_unquoted(key): _unquoted(item) for key, item in value.items()}
    return value


class Keys:
    """Keys of configs; what they have in common, such as the data, is loaded once."""

    def __init__(self) -> None:
        self._cache: dict[Any, Any] = {}

    def __call__(self, config: Config) -> str:
        """The run key of a config.

        Raises
        ------
        ConfigError
            If the config cannot be trained on its data.
        """
        return config.identity(self._cache).run_key


def make_jobs(grid: Sequence[tuple[tuple[str, ...], tuple[str, ...]]], composer: Composer, keys: Keys) -> list[Job]:
    """Jobs with their configs and keys; one that cannot run says why."""
    jobs = []
    for number, (overrides, swept) in enumerate(grid):
        try:
            config = check(composer(overrides))
            jobs.append(Job(number, overrides, swept, keys(config), config))
        except (ConfigError, OmegaConfBaseException) as error:
            jobs.append(Job(number, overrides, swept, failed_key(overrides), error=explain(error)))
    return jobs


def refuse_wrong(jobs: Sequence[Job]) -> None:
    """Refuse a sweep of which a job cannot run, before any is started.

    Raises
    ------
    ConfigError
        If there is such a job; the message names the first, and the key that is wrong.
    """
    wrong = [job for job in jobs if job.error]
    if not wrong:
        return
    error = str(wrong[0].error)
    if len(wrong) == len(jobs):
        raise ConfigError(error)
    raise ConfigError(
        f"{wrong[0].name}: {error.splitlines()[0]}\n{len(wrong)} of {len(jobs)} jobs cannot run, so none was started; "
        "dry_run=true shows which"
    )


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


def make_plan(jobs: Sequence[Job]) -> Plan:
    """A sweep of these jobs; jobs with equal keys are one."""
    distinct = list({job.key: job for job in reversed(jobs)}.values())[::-1]
    keys = sorted(job.key for job in distinct)
    swept = list(dict.fromkeys(item.partition("=")[0].lstrip("+") for job in distinct for item in job.swept))
    name = "sweep of " + (", ".join(swept) or "one config")
    return Plan(tuple(distinct), sha256("\n".join(keys).encode())[:16], name, tuple(swept))
