"""The Hydra application: the check before any work, and one run or one job of a sweep."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nnexp.compose import command_folder, explain, one_spelling, read_config, to_yaml
from nnexp.config import ConfigError, check_places, check_run_directory
from nnexp.errors import FULL_ERROR, ExitStatus, UsageError
from nnexp.paths import absolute
from nnexp.presets import FLAGS, config_directory, own_directory

_runs: list[DictConfig] = []  # begun in this process; Hydra writes into each where it has made a directory


class CheckBeforeWork(Callback):
    """Checks the config of a single run before Hydra has made any directory."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Leave Hydra where the config is wrong, and after a dry run."""
        _runs.append(config)
        try:
            tracking, folder = read_config(config).tracking, absolute(config.hydra.run.dir)
            check_places(tracking, "hydra.run.dir", folder)
            check_run_directory(tracking, folder)
            if config.dry_run:
                print("1 run would be started, in a new directory; nothing was done.", flush=True)
        except Exception as error:  # Hydra would pass over it and start the run
            end(error)
        if config.dry_run:
            raise SystemExit(ExitStatus.DONE)


class LeavesHydra(SystemExit):
    """Carries an error past Hydra, which would tell it in its own words; :func:`main` raises it on the other side."""

    def __init__(self, error: Exception) -> None:
        super().__init__(ExitStatus.FAILED)
        self.error = error


def end(error: Exception) -> NoReturn:
    """Leave Hydra for an error."""
    told = error
    if isinstance(error, ConfigError):
        told = UsageError(explain(error))
        told.__cause__ = error
    raise LeavesHydra(told)


def task(cfg: DictConfig) -> Any:
    """The Hydra task: one run. Alone it ends the process with its exit status; in a sweep it returns its outcome."""
    try:
        return _run(cfg)
    finally:
        # Hydra makes the directory before the data are read; a run that did not begin leaves none.
        _remove_empty(Path(HydraConfig.get().runtime.output_dir), command_folder() / cfg.tracking.directory)


def _remove_empty(path: Path, root: Path) -> None:
    """Remove a directory that is empty, and those above it up to `root` that are empty without it."""
    for folder in (path, *path.parents):
        if folder != path and not folder.is_relative_to(root):
            return
        try:
            folder.rmdir()
        except OSError:
            return


def _run(cfg: DictConfig) -> Any:
    from nnexp.execute import Request, execute
    from nnexp.summary import show

    settings = HydraConfig.get()
    if settings.mode == RunMode.MULTIRUN:
        from nnexp.sweeps.job import run_job

        return run_job(cfg, list(settings.overrides.task), Path(settings.runtime.output_dir))
    try:
        config = read_config(cfg)
        outcome = execute(
            Request(config, to_yaml(cfg), list(settings.overrides.task), Path(settings.runtime.output_dir))
        )
    except Exception as error:
        end(error)
    os.chdir(command_folder())  # Hydra may have changed it for its job
    show(outcome, config)
    raise SystemExit(outcome.exit_status)


def main(arguments: Sequence[str]) -> int:
    """Hand the command line to Hydra; return the exit status.

    Raises
    ------
    UsageError
        If the config is wrong, or cannot be composed.
    """
    own = [FLAGS[0], str(own_directory())] if own_directory() is not None else []
    sys.argv[1:] = arguments = [*own, *(one_spelling(word) for word in arguments)]
    asked = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"  # so that errors come here and are told in our words
    ended_by: Exception | None = None
    app = hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="config")(task)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*overriding with `hydra.mode=MULTIRUN`.*")
            app()
    except LeavesHydra as left:
        ended_by = left.error
    except (HydraException, OmegaConfBaseException, ConfigError, ValueError) as error:
        raise UsageError(explain(error, arguments)) from error
    except KeyboardInterrupt:
        for config in _runs:
            if path := OmegaConf.select(config, "hydra.runtime.output_dir", throw_on_missing=False):
                _remove_empty(Path(path), command_folder() / config.tracking.directory)
        raise
    finally:
        if asked is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = asked
    if ended_by is not None:
        raise ended_by
    return ExitStatus.DONE
