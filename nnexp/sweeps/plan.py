"""What a sweep is: a list of jobs, each with its overrides, its config and its key, known before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from nnexp import tasks
from nnexp.compose import explain, refuse_foreign
from nnexp.config import Config, ConfigError, check, task_of
from nnexp.own import held, short_names
from nnexp.runs.identity import planned_key, sha256
from nnexp.runs.records import PlannedJob, SweepPlan
from nnexp.sweeps.composer import Composer
from nnexp.sweeps.grid import Grid
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


class Keys:
    """Keys of configs; what they have in common, such as the data, is loaded once."""

    def __init__(self) -> None:
        self._cache: dict[Any, Any] = {}

    def __call__(self, config: Config) -> str:
        """The run key of a config, and what it is made of: a text that begins with the key.

        Raises
        ------
        ConfigError
            If the config cannot be trained on its data.
        """
        return config.identity(self._cache).planned(config.own_digests())


def make_jobs(grid: Grid, composer: Composer, keys: Keys) -> list[Job]:
    """Jobs with their configs and keys; one that cannot run says why."""
    with held():
        return _make_jobs(grid, composer, keys)


def _make_jobs(grid: Grid, composer: Composer, keys: Keys) -> list[Job]:
    jobs, names = [], short_names([swept for _, swept in grid])
    for number, (overrides, swept) in enumerate(grid):
        try:
            config = check(composer(overrides))
            refuse_foreign(config.task, overrides)
            planned = keys(config)
            jobs.append(
                Job(number, overrides, swept, planned_key(planned), config, short=names[number], planned=planned)
            )
        except (ConfigError, HydraException, OmegaConfBaseException) as error:
            jobs.append(Job(number, overrides, swept, failed_key(overrides), error=explain(error, overrides)))
    return jobs


def task_of_first(grid: Grid, composer: Composer) -> Task[Any]:
    """The task of the first job of a grid; the network where that job cannot be composed, which is told later."""
    try:
        return task_of(composer(grid[0][0]))
    except (ConfigError, HydraException, OmegaConfBaseException):
        return tasks.find(tasks.NETWORK)


def common_task(jobs: Sequence[Job]) -> Task[Any]:
    """The task of all jobs; of several one that knows what is known of the metrics of each."""
    found = {job.config.task.name: job.config.task for job in jobs if job.config is not None}
    if not found:
        return tasks.find(tasks.NETWORK)
    return found.popitem()[1] if len(found) == 1 else tasks.together(list(found.values()))


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
