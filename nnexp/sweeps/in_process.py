"""A sweep in a process that is somebody else's: Hydra's multirun without its application, its flags and its logging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf.errors import OmegaConfBaseException

from nnexp.compose import explain, initialized_hydra, plain, words_of
from nnexp.config import check_flag
from nnexp.hydra_versions import quiet
from nnexp.readers import ConfigError
from nnexp.sweeps.session import Session
from nnexp.sweeps.sweeper import BaseSweeper


def run_sweep(overrides: Sequence[str], task: TaskFunction, command: str) -> tuple[Session, int]:
    """Run a sweep to its end; return its session and its exit status.

    Parameters
    ----------
    task
        What Hydra runs for each job, in whatever process its launcher does.
    command
        What makes the same sweep on the command line.

    Raises
    ------
    ConfigError
        If the config, or that of a job, is wrong: then no job was started.
    """
    try:
        with initialized_hydra() as hydra, quiet():
            words = [*words_of(overrides), "hydra.mode=MULTIRUN"]  # as its application adds it, for `-m`
            cfg = hydra.compose_config("config", words, RunMode.MULTIRUN, with_log_configuration=False)
            if check_flag("dry_run", plain(cfg)):
                raise ConfigError("`dry_run` must be false for a sweep from Python, got true")
            callbacks = _callbacks(cfg)
            context = HydraContext(config_loader=hydra.config_loader, callbacks=callbacks)
            sweeper = Plugins.instance().instantiate_sweeper(config=cfg, hydra_context=context, task_function=task)
        base: Any = getattr(sweeper, "base", None)
        if not isinstance(base, BaseSweeper):
            raise ConfigError(f"`hydra/sweeper` must be nnexp for a sweep from Python, got {type(sweeper).__name__}")
        callbacks.on_multirun_start(config=cfg, config_name="config")
        try:
            status = base.run(list(cfg.hydra.overrides.task), command, prints_end=False)
        finally:
            if hasattr(base.launcher, "joblib"):
                _release_workers()
        callbacks.on_multirun_end(config=cfg, config_name="config")
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, overrides)) from error
    if base.session is None:
        raise RuntimeError("the sweep ended without a session")
    return base.session, status


def _callbacks(cfg: Any) -> Any:
    from hydra._internal.callbacks import Callbacks

    return Callbacks(cfg)


def _release_workers() -> None:
    """End joblib's workers, which would keep their memory and their companions for minutes, and old code for good."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)
