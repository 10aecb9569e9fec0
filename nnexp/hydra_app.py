"""Where Hydra and nnexp meet: the config directory, the check before any work, the task and the way errors are told."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nnexp.cli import CONFIG_GROUPS
from nnexp.config import Config, ConfigError, check
from nnexp.credentials import without_password
from nnexp.errors import FULL_ERROR, ExitStatus, explain_failure, wants_traceback
from nnexp.hints import ADDED_GROUPS, explain
from nnexp.paths import absolute, default_uri
from nnexp.preflight import check_places, check_run_directory
from nnexp.runs.directory import run_name
from nnexp.terminal import say

_NOT_TEXTS = ("true", "false", "null", "inf", "nan")  # to Hydra, where they are not quoted
PACKAGE = Path(__file__).resolve().parent

OmegaConf.register_new_resolver("nnexp.run_name", run_name, replace=True)
OmegaConf.register_new_resolver("nnexp.uri", default_uri, replace=True)
OmegaConf.register_new_resolver("nnexp.path", os.path.expanduser, replace=True)

# `optimizer.options` and `task.options` take any name, so that our own check can judge it and say which there are.
_schema = OmegaConf.create({"optimizer": {"options": {}}, "task": {"options": {}}})
for _group in ("optimizer", "task"):
    OmegaConf.set_struct(_schema[_group].options, False)
ConfigStore.instance().store(name="schema", node=_schema, provider="nnexp")


def config_directory() -> Path:
    """`conf/`: inside the package in a wheel, beside it in a checkout."""
    inside = PACKAGE / "conf"
    return inside if inside.is_dir() else PACKAGE.parent / "conf"


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A composed config as nested dictionaries, without Hydra's own part."""
    own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    try:
        tree = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(" ".join(str(error).split())) from error
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def read_config(cfg: DictConfig) -> Config:
    """A composed config, checked; relative paths are in the folder in which the command was given."""
    return check(plain(cfg), command_folder())


def command_folder() -> Path:
    """Where the command was given, also where Hydra has changed the folder for its job."""
    if HydraConfig.initialized():
        folder = HydraConfig.get().runtime.cwd
        if os.path.isdir(folder):  # it is not on a machine that shares no disk
            return Path(folder)
    return Path.cwd()


_switches = {"traceback": False}  # what the user asked for, before Hydra was told another thing
_runs: list[DictConfig] = []  # begun in this process; Hydra writes into each where it has made a directory


class CheckBeforeWork(Callback):
    """Checks the config of a single run before Hydra has made any directory."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """End the process with one line where the config is wrong."""
        _runs.append(config)
        try:
            tracking, folder = read_config(config).tracking, absolute(config.hydra.run.dir)
            check_places(tracking, "hydra.run.dir", folder)
            check_run_directory(tracking, folder)
        except ConfigError as error:
            refuse(error)
        if config.dry_run:
            print("1 run would be made, in a new directory; nothing was done.")
            raise SystemExit(ExitStatus.DONE)


def refuse(error: Exception) -> None:
    """Tell a wrong config in one or two lines and end."""
    say(without_password(explain(error)))
    raise SystemExit(ExitStatus.BAD_USAGE)


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
    except ConfigError as error:
        refuse(error)
    except Exception as error:
        if _switches["traceback"]:
            raise
        text, status = explain_failure(error)
        say(text)
        raise SystemExit(status) from error  # Hydra tells any other exception in its own words first
    else:
        os.chdir(command_folder())  # Hydra may have changed it for its job
        show(outcome, config)
        raise SystemExit(outcome.exit_status)


def in_grammar(text: str) -> str:
    """A text as the value of an override that gives this very text."""
    if re.fullmatch(r"[A-Za-z_/][\w./:-]*", text, re.ASCII) and text.lower() not in _NOT_TEXTS:
        return text
    without_interpolation = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return QuotedString(without_interpolation, Quote.single).with_quotes()


def to_yaml(cfg: DictConfig) -> str:
    """The composed config as text, interpolations resolved and passwords left out."""
    return without_password(OmegaConf.to_yaml(cfg, resolve=True))


def one_spelling(word: str) -> str:
    """An override with the sign that Hydra wants: to it, ``+key`` adds only, and is an error where there is the key."""
    key, equals, _ = word.partition("=")
    name = key.lstrip("+")
    if name == key or not equals or "/" in name or "@" in name:
        return word
    bare = word.lstrip("+")
    if name in CONFIG_GROUPS:
        return f"+{bare}" if name in ADDED_GROUPS else bare
    return f"++{bare}" if name.partition(".")[0] in (*Config.__dataclass_fields__, "hydra") else word


def main(arguments: Sequence[str]) -> int:
    """Hand the command line to Hydra; return the exit status."""
    from nnexp.config import ConfigError

    sys.argv[1:] = arguments = [one_spelling(word) for word in arguments]
    shows_traceback = _switches["traceback"] = wants_traceback()
    os.environ[FULL_ERROR] = "1"  # so that errors come here and are told in our words
    app = hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="config")(task)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*overriding with `hydra.mode=MULTIRUN`.*")
            app()
    except (HydraException, OmegaConfBaseException, ConfigError, ValueError) as error:
        if shows_traceback:
            raise
        say(without_password(explain(error, arguments)))
        return ExitStatus.BAD_USAGE
    except KeyboardInterrupt:
        for config in _runs:
            if path := OmegaConf.select(config, "hydra.runtime.output_dir", throw_on_missing=False):
                _remove_empty(Path(path), command_folder() / config.tracking.directory)
        raise
    finally:
        if not shows_traceback:
            del os.environ[FULL_ERROR]
    return ExitStatus.DONE


def compose(overrides: Sequence[str]) -> DictConfig:
    """The composed config of these overrides, for commands that are not Hydra jobs.

    Raises
    ------
    ConfigError
        Where Hydra cannot compose it.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    running, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(config_directory())):
            return hydra_compose("config", [one_spelling(word) for word in overrides])
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, overrides)) from error
    finally:
        GlobalHydra.instance().hydra = running
