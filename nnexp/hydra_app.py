"""The Hydra application: the check before any work, and one run or one job of a sweep."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from nnexp import kernels
from nnexp.compose import (
    COMPOSING,
    command_folder,
    explain,
    initialized_hydra,
    one_spelling,
    read_config,
    refuse_foreign,
    to_yaml,
    words_of,
)
from nnexp.config import Config, ConfigError, TrackingConfig, check_places, check_run_directory
from nnexp.errors import FULL_ERROR, ExitStatus, UsageError
from nnexp.hydra_versions import BEHAVIOUR, IS_OLD, ignore_warnings, mode_known, quiet
from nnexp.launchers import set_defaults
from nnexp.own import use_folder
from nnexp.paths import absolute
from nnexp.presets import CONFIG_GROUPS, FLAGS, choices, config_directory, own_directory, preset_files
from nnexp.runs.directory import RunDirectory
from nnexp.runs.records import RunResult, RunStatus
from nnexp.timeline import span
from nnexp.tracking.usable import check_store

if TYPE_CHECKING:
    from nnexp.execute import Outcome


@dataclass
class _State:
    """What Hydra does not hand on between its callbacks, its task or sweeper, and :func:`main`."""

    config: DictConfig | None = None  # once begun; Hydra writes into it where it has made a directory
    ended: tuple[Outcome, Config] | None = None
    shown: RunResult | None = None  # what the person has been shown of it
    error: Exception | None = None
    sweep_status: int = ExitStatus.DONE
    is_called: bool = False  # from Python, where nothing is printed


_state = _State()


def note_sweep(status: int) -> None:
    """Keep the exit status of a sweep, with which the process is to end when Hydra's callbacks know that it is over."""
    _state.sweep_status = status


class HydraCallback(Callback):
    """Checks the config of a single run before Hydra has made any directory, and takes its error past Hydra."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Leave Hydra where the config is wrong, and after a dry run."""
        _state.config = config
        try:
            checked, folder = read_config(config), absolute(config.hydra.run.dir)
            refuse_foreign(checked.task, list(config.hydra.overrides.task))
            tracking = checked.tracking
            check_places(tracking, "hydra.run.dir", folder)
            check_run_directory(tracking, folder)
            check_store(tracking, writes=not config.dry_run)
            if config.dry_run and _state.is_called:
                raise ConfigError("`dry_run` must be false for a run from Python, got true")
            if not config.dry_run:
                kernels.require(kernels.kernel_of(checked.deciding()))
            if config.dry_run:
                print("1 run would be started, in a new directory; nothing was done.", flush=True)
        except Exception as error:  # Hydra would pass over it and start the run
            raise LeavesHydra(error) from error
        if config.dry_run:
            raise SystemExit(ExitStatus.DONE)

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Leave Hydra with the error of the run; this callback is the last of all, for it is the first at the start."""
        if _state.error is not None:
            raise LeavesHydra(_state.error)


class LeavesHydra(SystemExit):
    """Carries an error past Hydra, which would tell it in its own words; :func:`main` raises it on the other side."""

    def __init__(self, error: Exception) -> None:
        super().__init__(ExitStatus.FAILED)
        self.error = error


class RunFailedError(Exception):
    """A run that ended, but did not finish: by this the callbacks of Hydra are told of it, and nobody else."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


def task(cfg: DictConfig) -> Outcome:
    """The Hydra task: one run, or one job of a sweep.

    Raises
    ------
    RunFailedError
        If a single run failed or was interrupted. A job of a sweep always returns its outcome.
    """
    settings = HydraConfig.get()
    try:
        if settings.mode == RunMode.MULTIRUN:
            from nnexp.sweeps.job import run_job

            return run_job(cfg, list(settings.overrides.task), Path(settings.runtime.output_dir))
        return _run(cfg, list(settings.overrides.task), Path(settings.runtime.output_dir))
    finally:
        # Hydra makes the directory before the data are read; a run that did not begin leaves none.
        _remove_empty(Path(settings.runtime.output_dir), command_folder() / cfg.tracking.directory)


@span("recording")
def _run(cfg: DictConfig, overrides: list[str], folder: Path) -> Outcome:
    from nnexp import execute

    config: Config | None = None

    def finish(directory: RunDirectory, tracking: TrackingConfig) -> Outcome:
        """Show what was computed before it is drawn and published."""
        result = directory.result
        if result is not None and config is not None and not _state.is_called:
            from nnexp.summary import show_result

            show_result(result, directory.path, config)
            _state.shown = result
        return execute.finish(directory, tracking)

    try:
        config = read_config(cfg)
        outcome = execute.execute(execute.Request(config, to_yaml(cfg), overrides, folder), finish)
        _state.ended = outcome, config
        if outcome.status is not RunStatus.FINISHED:
            raise RunFailedError(outcome)
        return outcome
    except Exception as error:
        _state.error = error
        raise


def _remove_empty(path: Path, root: Path) -> None:
    """Remove a directory that is empty, and those above it up to `root` that are empty without it."""
    for folder in (path, *path.parents):
        if folder != path and not folder.is_relative_to(root):
            return
        try:
            folder.rmdir()
        except OSError:
            return


def main(arguments: Sequence[str]) -> int:
    """Hand the command line to Hydra; return the exit status.

    Raises
    ------
    UsageError
        If the config is wrong, or cannot be composed.
    """
    own = [FLAGS[0], str(own_directory())] if own_directory() is not None else []
    arguments = [*own, *(one_spelling(word) for word in arguments)]
    if not IS_OLD and _is_sweep(arguments):
        arguments.insert(0, "-m")
    sys.argv[1:] = arguments
    asked = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"  # so that errors come here and are told in our words
    set_defaults()
    use_folder(Path.cwd())  # where the user's callbacks are
    app = hydra.main(**BEHAVIOUR, config_path=str(config_directory()), config_name="config")(task)
    try:
        with warnings.catch_warnings(), _mode(arguments):
            ignore_warnings()
            _begin(app)
    except (*COMPOSING, ConfigError, ValueError) as error:
        raise UsageError(explain(error, arguments)) from error
    finally:
        if asked is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = asked
    return _exit_status()


def call(overrides: Sequence[str]) -> Outcome:
    """Do one run in a process that is somebody else's: by Hydra, but not by its application with flags and logging.

    Raises
    ------
    ConfigError
        If the config is wrong, or cannot be composed.
    """
    if _is_sweep(overrides) or any(word.lstrip("+").startswith("hydra.mode=") for word in overrides):
        raise ConfigError("these overrides are those of a sweep, which nnexp.sweep runs")
    try:
        with initialized_hydra() as own:
            words = words_of(overrides)
        with quiet():
            _begin(lambda: own.run("config", task, words, with_log_configuration=False), is_called=True)
    except COMPOSING as error:
        raise ConfigError(explain(error, overrides)) from error
    if isinstance(_state.error, RunFailedError):
        return _state.error.outcome
    if _state.error is not None:
        raise _state.error
    if _state.ended is None:
        raise RuntimeError("Hydra has not run its task")
    return _state.ended[0]


def _begin(start: Callable[[], object], *, is_called: bool = False) -> None:
    """Start Hydra, and note what becomes of a single run."""
    global _state
    _state = _State(is_called=is_called)
    try:
        with span("composing"):  # and all that is in no span within it
            start()
    except LeavesHydra as left:
        _state.error = left.error
    except KeyboardInterrupt:
        path = OmegaConf.select(_state.config or OmegaConf.create(), "hydra.runtime.output_dir")
        if _state.config is not None and path:
            _remove_empty(Path(path), command_folder() / _state.config.tracking.directory)
        raise


def _is_sweep(arguments: Sequence[str]) -> bool:
    """Whether a preset makes it a sweep, which Hydra itself no longer takes from a preset since 1.4."""
    for word in arguments:
        if word.startswith("-") and word not in FLAGS:
            return False  # it is said already, or nothing is run
        group, _, choice = word.lstrip("+").partition("=")
        files = dict(preset_files(group)) if choice and group.isidentifier() else {}
        if choice in files and OmegaConf.select(OmegaConf.load(files[choice]), "hydra.mode") == "MULTIRUN":
            return True
    return False


def _mode(arguments: Sequence[str]) -> AbstractContextManager[None]:
    """Spare Hydra the search for whether it is a sweep, where that is known."""
    if not _is_all_ours(arguments):
        return nullcontext()
    return mode_known(RunMode.MULTIRUN if _is_sweep(arguments) else None)


def _is_all_ours(arguments: Sequence[str]) -> bool:
    """Whether all files that are composed are those of the package, whose presets alone say that it is a sweep."""
    return own_directory() is None and all(map(_is_ours, arguments))


def _is_ours(word: str) -> bool:
    """Whether a word is a flag of sweeps, a value of a key, or one of the package's presets by its plain name."""
    if word.startswith("-"):
        return word in ("-m", "--multirun")
    key, _, value = word.lstrip("+~").partition("=")
    if "@" in key or key == "hydra" or key.startswith(("hydra.mode", "hydra.searchpath")):
        return False
    if key in CONFIG_GROUPS:
        return value in (*choices(key), "null")
    return "/" not in key or key == "hydra/launcher"


def _exit_status() -> int:
    """Show how the single run ended, or raise its error; what the process should say to its caller."""
    error = _state.error
    if isinstance(error, ConfigError):
        raise UsageError(explain(error)) from error
    if error is not None and not isinstance(error, RunFailedError):
        raise error
    if _state.ended is None:  # there was none
        return _state.sweep_status
    from nnexp.summary import show

    outcome, config = _state.ended
    show(outcome, config, _state.shown)
    return outcome.exit_status
