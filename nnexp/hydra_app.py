"""Where Hydra and nnexp meet: the config directory, the check before any work, the task and the way errors are told."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nnexp.config import Config, ConfigError, check
from nnexp.terminal import say
from nnexp.tracking.rundir import run_name

BAD_CONFIG = 2
PACKAGE = Path(__file__).resolve().parent

OmegaConf.register_new_resolver("nnexp.run_name", run_name, replace=True)


def config_directory() -> Path:
    """`conf/`: inside the package in a wheel, beside it in a checkout."""
    inside = PACKAGE / "conf"
    return inside if inside.is_dir() else PACKAGE.parent / "conf"


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A composed config as nested dictionaries, without Hydra's own part."""
    try:
        tree = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(" ".join(str(error).split())) from error
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items() if key != "hydra"}


def read_config(cfg: DictConfig) -> Config:
    """A composed config, checked."""
    return check(plain(cfg))


class CheckBeforeWork(Callback):
    """Checks the config of a single run before Hydra has made any directory."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """End the process with one line where the config is wrong."""
        try:
            read_config(config)
        except ConfigError as error:
            refuse(error)


def refuse(error: Exception) -> None:
    """Tell a wrong config in one or two lines and end."""
    say(explain(error))
    raise SystemExit(BAD_CONFIG)


def explain(error: BaseException) -> str:
    """An error of Hydra, OmegaConf or ours as one or two lines."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException) and str(cause).splitlines()[0] not in lines:
        lines.append(str(cause).splitlines()[0].strip())
    if any("Could not override" in line for line in lines):
        lines = [lines[0], "The keys are listed by `nnexp --cfg job`."]
    if lines and lines[0].startswith("Could not find") or lines and "In 'config'" in lines[0]:
        lines = [lines[0] if "Could not find" in lines[0] else lines[1], *(_options_after(lines))]
    return "\n".join(lines[:3])


def _options_after(lines: Sequence[str]) -> list[str]:
    """The choices that Hydra lists under its error, on one line."""
    for i, line in enumerate(lines):
        if line.startswith("Available options"):
            return ["Available: " + ", ".join(lines[i + 1 :][:20]).replace("Config search path:", "").strip(", ")]
    return []


def task(cfg: DictConfig) -> Any:
    """The Hydra task: one run. Alone it ends the process with its exit status; in a sweep it returns its outcome."""
    from nnexp.train import Task, execute, show

    settings = HydraConfig.get()
    try:
        config = read_config(cfg)
        outcome = execute(
            Task(
                config=config,
                composed=OmegaConf.to_yaml(cfg, resolve=True),
                overrides=list(settings.overrides.task),
                path=Path(settings.runtime.output_dir),
            )
        )
    except ConfigError as error:
        if settings.mode == RunMode.RUN:
            refuse(error)
        raise
    if settings.mode == RunMode.RUN:
        show(outcome, config)
        raise SystemExit(outcome.exit_status)
    return outcome


def main(arguments: Sequence[str]) -> int:
    """Hand the command line to Hydra; return the exit status."""
    from nnexp.config import ConfigError

    sys.argv[1:] = arguments
    asked_for_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that errors come here and are told in our words
    app = hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="config")(task)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*overriding with `hydra.mode=MULTIRUN`.*")
            app()
    except (HydraException, OmegaConfBaseException, ConfigError, ValueError) as error:
        if asked_for_traceback:
            raise
        say(explain(error))
        return BAD_CONFIG
    except KeyboardInterrupt:
        say("Interrupted.")
        return 130
    return 0
