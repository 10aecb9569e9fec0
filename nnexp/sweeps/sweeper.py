"""The sweeper that Hydra calls: command line in, jobs to a launcher, exit status out."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore  # noqa: F401
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from nnexp.config import Config, ConfigError
from nnexp.hydra_app import plain, read_config
from nnexp.sweeps import plan
from nnexp.sweeps.loader import SweepLoader
from nnexp.sweeps.parent_watch import watched
from nnexp.sweeps.session import Controls, Session
from nnexp.tracking.store import Store, open_store, sqlite_path


class BaseSweeper(Sweeper):
    """A grid of jobs that is always finished by the same command."""

    def __init__(self, params: Any = None, search: Any = None) -> None:
        self.params = dict(params or {})
        self.search = search
        self.config: DictConfig
        self.launcher: Any
        self.hydra_context: HydraContext
        self._launched = 0

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra hands over what a sweep needs."""
        self.config, self.hydra_context = config, hydra_context
        loader: Any = SweepLoader(hydra_context.config_loader)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=HydraContext(config_loader=loader, callbacks=hydra_context.callbacks),
            task_function=task_function,
            config=config,
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the sweep; its exit status ends the process where it is not 0."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([f"{key}={value}" for key, value in self.params.items()] + arguments)
        config = read_config(self.config)
        store = (
            open_store(config.tracking.uri, config.tracking.experiment) if config.tracking.backend == "mlflow" else None
        )
        if config.dry_run and (path := sqlite_path(config.tracking.uri)) is not None and not path.exists():
            store = None  # a look makes no store
        if self.search is not None:
            from nnexp.sweeps.search import run_search

            status = run_search(self, overrides, config, store)
        else:
            status = self._grid(overrides, config, store)
        if status:
            raise SystemExit(status)

    def _grid(self, overrides: Sequence[Any], config: Config, store: Store | None) -> int:
        jobs = plan.make_jobs(plan.expand(overrides), self.composer(), plan.Keys())
        if all(job.error for job in jobs):
            raise ConfigError(jobs[0].error)
        session = Session.of(plan.make_plan(jobs), self.controls(config), store, self.launch)
        distinct = list({job.key: job for job in jobs}.values())
        return session.dry_run(distinct) if config.dry_run else session.run(distinct)

    def controls(self, config: Config) -> Controls:
        """How this sweep is to be run."""
        command = "nnexp " + " ".join(shlex.quote(word) for word in sys.argv[1:])
        return Controls(config.resume, config.dry_run, config.fail_fast, config.tracking, command, self.concurrency)

    @property
    def concurrency(self) -> int:
        """How many jobs the launcher runs at a time."""
        settings = self.config.hydra.launcher
        if str(settings._target_).endswith("BasicLauncher"):
            return 1
        n_jobs = OmegaConf.select(settings, "n_jobs")
        return n_jobs if isinstance(n_jobs, int) and n_jobs > 0 else os.cpu_count() or 1

    def composer(self) -> plan.Composer:
        """Composes jobs' configs as the launcher will."""
        loader = self.hydra_context.config_loader
        parser = OverridesParser.create(config_loader=loader)

        def compose(overrides: list[str]) -> DictConfig:
            cfg = loader.load_sweep_config(self.config, overrides)
            with open_dict(cfg):
                del cfg["hydra"]
            OmegaConf.set_struct(cfg, True)
            return cfg

        groups = set(loader.list_groups(""))
        return plan.Composer(parser.parse_overrides, compose, lambda key: key.split("@")[0] in groups)

    def launch(self, overrides: list[list[str]]) -> list[Any]:
        """Give jobs to Hydra's launcher and wait for them; return the outcome of each, None where there is none."""
        first, self._launched = self._launched, self._launched + len(overrides)
        watched(self.launcher)
        returned = self.launcher.launch(overrides, initial_job_idx=first)
        return [job.return_value if job.status == JobStatus.COMPLETED else None for job in returned]


__all__ = ["BaseSweeper", "plain"]
