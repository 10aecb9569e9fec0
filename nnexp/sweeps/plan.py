"""What a sweep is: a list of jobs, each with its overrides, its config and its key, known before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from nnexp import tasks
from nnexp.compose import explain, refuse_foreign
from nnexp.config import Config, ConfigError, check, task_of
from nnexp.own import held, short_names
from nnexp.runs.identity import planned_key, sha256
from nnexp.sweeps.composer import Composer
from nnexp.sweeps.grid import Grid
from nnexp.sweeps.jobs import Job, Plan, failed_key
from nnexp.tasks.interface import Task
from nnexp.timeline import span


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


@span("planning")
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


def make_plan(jobs: Sequence[Job]) -> Plan:
    """A sweep of these jobs; jobs with equal keys are one."""
    distinct = list({job.key: job for job in reversed(jobs)}.values())[::-1]
    keys = sorted(job.key for job in distinct)
    swept = list(dict.fromkeys(item.partition("=")[0].lstrip("+") for job in distinct for item in job.swept))
    name = "sweep of " + (", ".join(swept) or "one config")
    return Plan(tuple(distinct), sha256("\n".join(keys).encode())[:16], name, tuple(swept))
