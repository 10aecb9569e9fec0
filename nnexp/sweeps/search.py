"""A search instead of a grid: Optuna proposes jobs, the sweep does them, their runs in the store are the study.

Nothing is kept beside the store: a search that is started again rebuilds the study from the finished runs of the sweep,
in the order of their trials, and goes on.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from nnexp.config import ConfigError, deciding_leaves
from nnexp.runs.identity import config_hash, sha256
from nnexp.sweeps import plan
from nnexp.sweeps.grid import MAX_JOBS, Grid, count, effective, first_value, text_of, values
from nnexp.sweeps.jobs import Job, SearchGoal, decisive
from nnexp.sweeps.session import Controls, Session
from nnexp.sweeps.status import JobState, State
from nnexp.tasks.interface import Task
from nnexp.tasks.presentation import MetricSpec
from nnexp.terminal import say
from nnexp.tracking.store import Store

SAMPLERS = ("tpe", "random", "cmaes", "gp", "nsga2")
DIRECTIONS = ("minimize", "maximize")
MAX_CORNERS = 100


def run_search(
    sweeper: Any, overrides: Sequence[Override], controls: Controls, tree: Mapping[str, Any], store: Store | None
) -> int:
    """Run or go on with a search; return the exit status."""
    counted = effective(overrides, sweeper.is_group)
    searched = [o for o in counted if o.is_sweep_override()]
    fixed = [text_of(o) for o in counted if not o.is_sweep_override()]
    first = [f"{o.get_key_element()}={first_value(o)}" for o in searched if o.is_discrete_sweep()]
    composer, keys = sweeper.composer(), plan.Keys()
    task = plan.task_of_first([((*fixed, *first), ())], composer)
    settings = read_settings(sweeper.search, task)
    space = {
        o.get_key_element(): distribution(o, whole=isinstance(OmegaConf.select(sweeper.config, o.key_or_group), int))
        for o in searched
    }
    if not space:
        raise ConfigError("a search needs something to search, such as KEY=tag(log,interval(0.01,100))")
    at_corners = plan.make_jobs(corners(fixed, space), composer, keys)
    plan.refuse_wrong(at_corners)
    if not controls.dry_run:
        sweeper.require_kernel(at_corners)
    for job in at_corners:
        for objective in settings["objectives"]:
            if job.config is not None:
                task.refuse_objective(objective, job.config.of_task)
    sweeper.refuse_one_directory(settings["n_trials"])
    base = config_hash(deciding_leaves(tree))
    what = [
        base,
        *sorted({task.code(job.config.of_task).digest for job in at_corners if job.config is not None}),
        sorted(decisive(fixed, task)),
        {k: repr(d) for k, d in space.items()},
        settings["sampler"],
    ]
    what += [settings["seed"], settings["objectives"], settings["directions"]]
    sweep = sha256(json.dumps(what, sort_keys=True, default=str).encode())[:16]
    name = "search of " + ", ".join(key.lstrip("+") for key in space)
    call = None if store is None else sweeper.call_of(controls, store)
    swept = [key.lstrip("+") for key in space]
    session = Session(sweep, name, swept, controls, store, sweeper.launch, task, call)
    session.goal = SearchGoal(settings["n_trials"], tuple(settings["objectives"]), tuple(settings["directions"]))
    session.to_come = settings["n_trials"]
    sweeper.session = session
    search = Search(session, settings, space, fixed, composer, keys)
    return search.dry_run() if controls.dry_run else search.run()


def corners(fixed: Sequence[str], space: Mapping[str, Any]) -> Grid:
    """The jobs at the ends of intervals and at all choices, some of them where there are very many."""
    ends = [
        [d.low, d.high] if isinstance(d, FloatDistribution | IntDistribution) else d.choices for d in space.values()
    ]
    swept = [
        tuple(f"{key}={value}" for key, value in zip(space, corner, strict=True))
        for corner in itertools.islice(itertools.product(*ends), MAX_CORNERS)
    ]
    return [(tuple(fixed) + job, job) for job in swept]


def read_settings(search: Any, task: Task[Any]) -> dict[str, Any]:
    """The search settings, checked."""
    settings = OmegaConf.to_object(search) if OmegaConf.is_config(search) else search
    if not isinstance(settings, dict):
        raise ConfigError(f"`hydra.sweeper.search` must be a mapping, got {settings!r}")
    objective = task.search_objective or task.objective
    spec = task.metrics.get(objective or "", MetricSpec())
    known: dict[str, Any] = {
        "sampler": "tpe",
        "n_trials": 20,
        "seed": 0,
        "objectives": [objective] if objective else [],
        "directions": ["maximize" if spec.higher_is_better else "minimize"] if objective else [],
    }
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise ConfigError(f"`hydra.sweeper.search.{unknown[0]}` is not a key; the keys are {', '.join(known)}")
    if settings.get("objectives") is not None and settings.get("directions") is None:
        known["directions"] = []  # those of other objectives say nothing about these
    settings = {**known, **{key: value for key, value in settings.items() if value is not None}}
    if settings["sampler"] not in SAMPLERS:
        raise ConfigError(
            f"`hydra.sweeper.search.sampler` must be one of {', '.join(SAMPLERS)}, got {settings['sampler']!r}"
        )
    for key, least, most in (("n_trials", 1, MAX_JOBS), ("seed", 0, 2**32 - 1)):
        if not isinstance(settings[key], int) or not least <= settings[key] <= most:
            raise ConfigError(
                f"`hydra.sweeper.search.{key}` must be an integer >= {least} and <= {most}, got {settings[key]!r}"
            )
    if not settings["objectives"]:
        raise ConfigError(
            f"`hydra.sweeper.search.objectives` must name metrics that are logged, got none, and {task.name} declares "
            "no `objective`"
        )
    if len(settings["objectives"]) != len(settings["directions"]):
        raise ConfigError("`hydra.sweeper.search.directions` must have one direction for each of `objectives`")
    for direction in settings["directions"]:
        if direction not in DIRECTIONS:
            raise ConfigError(
                f"`hydra.sweeper.search.directions` must be of {', '.join(DIRECTIONS)}, got {direction!r}"
            )
    return settings


def distribution(override: Override, *, whole: bool = False) -> Any:
    """An override's sweep as what Optuna draws from; an interval of a key that holds an integer gives integers."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        log = "log" in value.tags
        low, high = value.start, value.end
        if low is None or high is None:
            raise ConfigError(f"`{override.input_line}`: an interval needs two ends")
        if whole or (isinstance(low, int) and isinstance(high, int)):
            return IntDistribution(int(low), int(high), log=log)
        return FloatDistribution(float(low), float(high), log=log)
    if count(override) > MAX_JOBS:
        raise ConfigError(f"`{override.input_line}` has {count(override):,} values; {MAX_JOBS:,} are the most")
    return CategoricalDistribution(values(override))  # as texts of Hydra's grammar, which overrides are made of


class Search:
    """A study of a session's finished jobs."""

    def __init__(
        self,
        session: Session,
        settings: Mapping[str, Any],
        space: Mapping[str, Any],
        fixed: Sequence[str],
        composer,
        keys,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.session, self.settings, self.space, self.fixed = session, settings, dict(space), list(fixed)
        self.composer, self.keys = composer, keys
        samplers = {
            "tpe": optuna.samplers.TPESampler,
            "random": optuna.samplers.RandomSampler,
            "cmaes": optuna.samplers.CmaEsSampler,
            "gp": optuna.samplers.GPSampler,
            "nsga2": optuna.samplers.NSGAIISampler,
        }
        self.study = optuna.create_study(
            sampler=samplers[settings["sampler"]](seed=settings["seed"]), directions=list(settings["directions"])
        )
        self.jobs: list[Job] = []

    def dry_run(self) -> int:
        """Say what is left to do."""
        print(f"{self.session.name}: {self.settings['n_trials']} trials by {self.settings['sampler']}")
        return self.session.dry_run(self._ask(min(self.session.controls.concurrency, self.settings["n_trials"])))

    def run(self) -> int:
        """Ask, do, tell, until all trials are done.

        The trials of a batch are asked for together, and told in their order. The study is built anew by the same
        questions and answers at each start, and finished runs answer at once; so it goes on where it was.
        """
        self.session.link.recover()
        self.session.link.open(self.session.begin([]), self.session.task.name)
        try:
            while len(self.jobs) < self.settings["n_trials"]:
                left = self.settings["n_trials"] - len(self.jobs)
                batch = self._ask(min(self.session.controls.concurrency, left))
                self.session.to_come = left - len(batch)
                self.session.work(list({job.key: job for job in batch}.values()))
                self._tell(batch)
                if self.session.controls.fail_fast and self.session.overview().failures:
                    break
        except KeyboardInterrupt:
            return self.session.interrupted()
        if n_again := len(self.jobs) - len({job.key for job in self.jobs}):
            say(f"{n_again} of {len(self.jobs)} trials duplicate others, whose jobs run only once")
        return self.session.close()

    def _ask(self, count: int) -> list[Job]:
        self._trials = [self.study.ask(self.space) for _ in range(count)]
        grid = []
        for trial in self._trials:
            swept = tuple(f"{key}={value}" for key, value in trial.params.items())
            grid.append((tuple(self.fixed) + swept, swept))
        batch = plan.make_jobs(grid, self.composer, self.keys)
        batch = [replace(job, number=len(self.jobs) + i) for i, job in enumerate(batch)]
        return batch

    def _tell(self, batch: Sequence[Job]) -> None:
        from optuna.trial import TrialState

        for trial, job in zip(self._trials, batch, strict=True):
            self.jobs.append(job)
            values = self._values(self.session.states.get(job.key))
            if values is None:
                self.study.tell(trial, state=TrialState.FAIL)
            else:
                self.study.tell(trial, values)

    def _values(self, known: JobState | None) -> list[float] | None:
        if known is None or known.state is not State.FINISHED:
            return None
        try:
            return [known.metrics[objective] for objective in self.settings["objectives"]]
        except KeyError as error:
            logged = ", ".join(sorted(known.metrics))
            raise ConfigError(
                f"`hydra.sweeper.search.objectives`: runs have no metric {error}; they have {logged}"
            ) from error
