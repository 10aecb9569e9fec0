"""The sweeper that Hydra calls: command line in, jobs to a launcher, exit status out."""

from __future__ import annotations

import os
import shlex
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from nnexp import kernels
from nnexp.companion import companion_of
from nnexp.compose import plain
from nnexp.config import (
    ConfigError,
    TrackingConfig,
    check_figures,
    check_flag,
    check_margin,
    check_places,
    check_tracking,
)
from nnexp.errors import ExitStatus
from nnexp.paths import absolute, sqlite_path
from nnexp.readers import leaves
from nnexp.runs import disk_arbiter
from nnexp.runs.provenance import STRICT
from nnexp.signals import interruptible
from nnexp.sweeps import on_ray, on_submitit, plan
from nnexp.sweeps.composer import Composer, SweepLoader
from nnexp.sweeps.desk import Call, here
from nnexp.sweeps.grid import expand, refuse_bookkeeping
from nnexp.sweeps.jobs import Job
from nnexp.sweeps.parent_watch import warm_up, watched
from nnexp.sweeps.session import Controls, Foresee, MakeReport, Session
from nnexp.tasks.interface import Task
from nnexp.terminal import say
from nnexp.tracking.limits import batches
from nnexp.tracking.store import Store, open_store
from nnexp.tracking.usable import check_store


class BaseSweeper(Sweeper):
    """A grid of jobs that is always finished by the same command."""

    def __init__(
        self,
        params: Any = None,
        search: Any = None,
        make_report: MakeReport | None = None,
        foresee: Foresee | None = None,
        prepare_report: Callable[[Any], None] | None = None,
    ) -> None:
        self.params = dict(params or {})
        self.search, self.make_report, self.foresee = search, make_report, foresee
        self.prepare_report = prepare_report
        self.config: DictConfig
        self.launcher: Any
        self.hydra_context: HydraContext
        self.session: Session | None = None  # once the jobs are known
        self.replaced: Collection[str] = ()  # keys whose mappings replace what they held
        self._launched = 0
        self._is_strict = False
        self._warming: threading.Thread | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra hands over what a sweep needs."""
        self.config, self.hydra_context = config, hydra_context
        loader: Any = SweepLoader(hydra_context.config_loader)
        self._loader: SweepLoader = loader
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=HydraContext(config_loader=loader, callbacks=hydra_context.callbacks),
            task_function=task_function,
            config=config,
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the sweep; return the exit status."""
        return self.run(arguments, "nnexp " + " ".join(shlex.quote(word) for word in sys.argv[1:]))

    def run(self, arguments: list[str], command: str, *, prints_end: bool = True) -> int:
        """Run the sweep, which `command` makes or finishes; return the exit status.

        Raises
        ------
        ConfigError
            If a job cannot run; then none was started.
        """
        with interruptible(), kernels.environment_kept():
            return self._run(arguments, command, prints_end=prints_end)

    def _run(self, arguments: list[str], command: str, *, prints_end: bool) -> int:
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([f"{key}={value}" for key, value in self.params.items()] + arguments)
        self._loader.replaced = self.replaced = {o.key_or_group for o in overrides if o.is_sweep_override()}
        tree = plain(self.config, missing=True)  # what is missing in it may be swept
        controls = self.controls(tree, command, prints_end)
        check_places(controls.tracking, "hydra.sweep.dir", absolute(self.config.hydra.sweep.dir))
        check_store(tracking := controls.tracking, writes=not controls.dry_run)
        self._loader.resolved = resolved(tracking)
        store = open_store(tracking.uri, tracking.experiment) if tracking.backend == "mlflow" else None
        self._is_strict = controls.resume == STRICT
        if not controls.dry_run:
            self._require(kernels.kernel_of(dict(leaves(tree))))
            if on_ray.is_ray(self._target):
                on_ray.connect(self.config.hydra.launcher)
        if store is not None and not controls.dry_run:
            companion_of(tracking).start()  # it imports MLflow while the jobs are planned
        if controls.dry_run and (path := sqlite_path(tracking.uri)) is not None and not path.exists():
            store = None  # a dry run makes none
        if self.search is not None:
            from nnexp.sweeps.search import run_search

            return run_search(self, overrides, controls, tree, store)
        return self._grid(overrides, controls, store)

    def _grid(self, overrides: Sequence[Any], controls: Controls, store: Store | None) -> int:
        grid, composer = expand(overrides, self.is_group), self.composer()
        refuse_bookkeeping(overrides, plan.task_of_first(grid, composer))
        jobs = plan.make_jobs(grid, composer, plan.Keys())
        if not controls.dry_run:
            plan.refuse_wrong(jobs)
            self.require_kernel(jobs)
        distinct = list({job.key: job for job in jobs}.values())
        self.refuse_one_directory(len(distinct))
        if len(distinct) < len(jobs):
            say(f"{len(jobs) - len(distinct)} of {len(jobs)} jobs duplicate others and run only once")
        task = plan.common_task(jobs)
        call = None if store is None else self.call_of(controls, store)
        self.session = session = Session.of(plan.make_plan(jobs), controls, store, self.launch, task, call)
        if not controls.dry_run:
            self._warm_up(controls.tracking, distinct, task)
            return session.run(distinct)
        status = session.dry_run(distinct)
        planned = [job.config.deciding() for job in distinct if job.config is not None]
        if self.foresee is not None and planned and status == ExitStatus.DONE:
            for sentence in self.foresee(task, planned, session.store):
                say(sentence)
        return status

    def require_kernel(self, jobs: Sequence[Job]) -> None:
        """See that the jobs have one kernel, with which the processes compute in which they are done.

        Raises
        ------
        ConfigError
            If they have several, or these processes compute with another.
        """
        wanted = {kernels.kernel_of(job.config.deciding()) for job in jobs if job.config is not None}
        kernels.refuse_several(wanted)
        for kernel in wanted:
            self._require(kernel)

    def _require(self, kernel: str) -> None:
        has_own = on_ray.is_ray(self._target) or on_submitit.is_submitit(self._target) or self._has_workers
        if has_own and not self._is_strict:  # by which the runs of this very process's arithmetic would be told apart
            kernels.require_of_children(kernel)
        else:
            kernels.require(kernel)

    @property
    def _has_workers(self) -> bool:
        """Whether the launcher is joblib's, with processes of its own: with one job at a time it has none."""
        return isinstance(getattr(self.launcher, "joblib", None), dict) and self.concurrency > 1

    def _warm_up(self, tracking: TrackingConfig, jobs: Sequence[Job], task: Task[Any]) -> None:
        """Start the workers, unless all jobs seem to be done."""
        n_new = sum(not disk_arbiter.knows(tracking.directory, job.key) for job in jobs)
        watched(self.launcher, companion_of(tracking))
        self._warming = warm_up(self.launcher, min(self.concurrency, n_new), task.name) if n_new else None

    def call_of(self, controls: Controls, store: Store) -> Call:
        """What does the sweep's work with the store: a dry run does it itself, so that it leaves no process."""
        return here(store) if controls.dry_run else companion_of(controls.tracking).call

    def controls(self, tree: Mapping[str, Any], command: str, prints_end: bool) -> Controls:
        """How this sweep is to be run; what its jobs compute is checked job by job."""
        resume, dry_run, fail_fast = (check_flag(key, tree) for key in ("resume", "dry_run", "fail_fast"))
        return Controls(
            resume,
            dry_run,
            fail_fast,
            check_tracking(tree),
            command,
            self.concurrency,
            self.make_report,
            self.prepare_report,
            prints_end,
            check_margin(tree),
            check_figures(tree)["of"],
        )

    def refuse_one_directory(self, n_jobs: int) -> None:
        """Refuse a directory that all jobs would have in common.

        Raises
        ------
        ConfigError
            If `hydra.sweep.subdir` is a fixed name and there are several jobs.
        """
        settings: Any = OmegaConf.to_container(self.config.hydra.sweep, resolve=False)
        if n_jobs > 1 and "${" not in str(settings["subdir"]):
            raise ConfigError(
                "`hydra.sweep.subdir` must differ from job to job, as ${hydra.job.num} does, "
                f"got {settings['subdir']!r} for {n_jobs} jobs"
            )

    @cached_property
    def _groups(self) -> frozenset[str]:
        return frozenset(self.hydra_context.config_loader.list_groups(""))

    def is_group(self, key: str) -> bool:
        """Whether a key is a config group, of which a file is chosen."""
        return key.split("@")[0] in self._groups

    @property
    def _target(self) -> str:
        return str(self.config.hydra.launcher._target_)

    @property
    def concurrency(self) -> int:
        """How many jobs the launcher runs at a time."""
        settings = self.config.hydra.launcher
        if self._target.endswith("BasicLauncher"):
            return 1
        n_jobs = OmegaConf.select(settings, "n_jobs" if "n_jobs" in settings else "array_parallelism")
        return n_jobs if isinstance(n_jobs, int) and n_jobs > 0 else os.cpu_count() or 1

    def composer(self) -> Composer:
        """Composes jobs' configs as the launcher will."""
        loader = self.hydra_context.config_loader
        parser = OverridesParser.create(config_loader=loader)

        def compose(overrides: list[str]) -> DictConfig:
            cfg = loader.load_sweep_config(self.config, overrides)
            with open_dict(cfg):
                del cfg["hydra"]
            OmegaConf.set_struct(cfg, True)
            return cfg

        return Composer(parser.parse_overrides, compose, self.is_group, self.replaced)

    def launch(self, overrides: list[list[str]]) -> list[Any]:
        """Give jobs to Hydra's launcher and wait for them; return the outcome of each, None where there is none."""
        watched(self.launcher, companion_of(check_tracking(plain(self.config, missing=True))))
        if self._warming is not None:
            self._warming.join()
            self._warming = None
        # Submitit starts as many processes on this machine as it is given jobs.
        at_once = self.concurrency if on_submitit.is_local(self._target) else len(overrides)
        outcomes: list[Any] = []
        for batch in batches(overrides, at_once):
            first, self._launched = self._launched, self._launched + len(batch)
            if on_ray.is_ray(self._target) and self.session is not None:
                plan_file, named = self.session.plan_file, self.session.task.named_by_content
                returned = on_ray.launch(self.launcher, batch, first, plan_file, named)
            elif on_submitit.is_submitit(self._target):
                returned = on_submitit.launch(self.launcher, batch, first)
            else:
                returned = self.launcher.launch(batch, initial_job_idx=first)
            outcomes += [job.return_value if job.status == JobStatus.COMPLETED else None for job in returned]
        return outcomes


def resolved(tracking: TrackingConfig) -> dict[str, Any]:
    """What this machine's environment says of the store, for jobs on machines where it may say something else.

    A SQLite file stays as it is given: its path means the same from everywhere on the disk that holds it.
    """
    found = {"tracking.experiment": tracking.experiment}
    return found if sqlite_path(tracking.uri) is not None else {**found, "tracking.uri": tracking.uri}
