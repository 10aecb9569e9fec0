"""Configs as Hydra composes them: from overrides to a plain tree, to the checked config and to text.

What everybody uses who needs a config, also below the Hydra application (:mod:`nnexp.hydra_app`).
"""

from __future__ import annotations

import copy
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf, read_write
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from nnexp import hints, tasks
from nnexp.config import KEYS, Config, ConfigError, TrackingConfig, check
from nnexp.hydra_versions import BEHAVIOUR, register_resolver
from nnexp.launchers import set_defaults
from nnexp.paths import default_experiment, default_run_name, default_uri
from nnexp.presets import ADDED_GROUPS, CONFIG_GROUPS, config_directory, own_directory, own_groups
from nnexp.runs.directory import run_name
from nnexp.tasks.interface import Task
from nnexp.uris import written

COMPOSING = (HydraException, OmegaConfBaseException, YAMLError)  # what Hydra raises where a config is wrong
_HYDRA = threading.RLock()  # Hydra has one state for all threads of a process
_NOT_TEXTS = ("true", "false", "null", "inf", "nan")  # to Hydra, where they are not quoted

register_resolver("nnexp.run_name", run_name)
register_resolver("nnexp.uri", default_uri)
register_resolver("nnexp.experiment", default_experiment)
register_resolver("nnexp.mlflow_run_name", default_run_name)
register_resolver("nnexp.path", os.path.expanduser)

# These take any name, so that our own check can judge it and say which there are.
_schema = OmegaConf.create({group: {"options": {}} for group in ("data", "optimizer", "task")})
for _group in _schema:
    OmegaConf.set_struct(_schema[_group].options, False)
ConfigStore.instance().store(name="schema", node=_schema, provider="nnexp")


def compose(overrides: Sequence[str]) -> DictConfig:
    """The composed config of these overrides.

    Raises
    ------
    ConfigError
        If Hydra cannot compose it.
    """
    try:
        with initialized_hydra():
            return hydra_compose("config", words_of(overrides))
    except COMPOSING as error:
        raise ConfigError(explain(error, overrides)) from error


@contextmanager
def initialized_hydra() -> Iterator[Any]:
    """Hydra on our config files, for this thread alone; a Hydra that runs in this process already goes on after it.

    A command inside a Hydra job composes too (a report at the end of a sweep), and so does a Hydra application of
    somebody else that calls us.
    """
    with _HYDRA:
        running, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None
        try:
            set_defaults()
            with initialize_config_dir(**BEHAVIOUR, config_dir=str(config_directory())):
                yield GlobalHydra.instance().hydra
        finally:
            GlobalHydra.instance().hydra = running


def words_of(overrides: Sequence[str]) -> list[str]:
    """Overrides as Hydra wants them; it looks into the user's own folder too, unless he says himself where to look."""
    own, words = own_directory(), [one_spelling(word) for word in overrides]
    if own is None or any(word.lstrip("+").startswith("hydra.searchpath=") for word in overrides):
        return words
    return [f"hydra.searchpath=[{QuotedString(f'file://{own}', Quote.single).with_quotes()}]", *words]


def tracking_of(overrides: Sequence[str]) -> TrackingConfig:
    """Where runs are kept and looked for, by the config of today and those overrides that speak of it."""
    return read_config(compose([o for o in overrides if o.lstrip("+").startswith("tracking")])).tracking


def plain(cfg: DictConfig, *, missing: bool = False) -> dict[str, Any]:
    """A composed config as nested dictionaries, without Hydra's own part; `missing`: values in it may be missing."""
    own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"]) if "hydra" in cfg else cfg
    try:
        tree: Any = OmegaConf.to_container(own, resolve=True, throw_on_missing=not missing)
    except MissingMandatoryValue as error:
        raise ConfigError(f"`{error.full_key}` must be given; it has no default") from error
    except OmegaConfBaseException as error:
        raise ConfigError(" ".join(str(error).split())) from error
    return {str(key): value for key, value in tree.items()}


def read_config(cfg: DictConfig) -> Config:
    """A composed config, checked; relative paths are in the folder in which the command was given."""
    return check(plain(cfg), command_folder())


def refuse_foreign(task: Task[Any], overrides: Sequence[str]) -> None:
    """Raise a ConfigError where overrides set a key of another task, which would change nothing."""
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        group = key.partition(".")[0].partition("@")[0]
        if group in tasks.GROUPS and group not in task.groups:
            raise ConfigError(
                f"`{override}`: `{key}` is a key of task={tasks.NETWORK}; those of {task.name} are in "
                + ", ".join(f"`{mapping}`" for mapping in task.options)
            )


def command_folder() -> Path:
    """Where the command was given, also where Hydra has changed the folder for its job."""
    if HydraConfig.initialized():
        folder = HydraConfig.get().runtime.cwd
        if os.path.isdir(folder):  # it is not on a machine that shares no disk
            return Path(folder)
    return Path.cwd()


def to_yaml(cfg: DictConfig, *, resolve: bool = True) -> str:
    """The composed config as text, passwords left out; interpolations resolved, unless it is somebody else's."""
    if _hide_passwords(cfg, resolve, changes=False):
        _hide_passwords(cfg := copy.deepcopy(cfg), resolve)
    return OmegaConf.to_yaml(cfg, resolve=resolve)


def _hide_passwords(node: Any, resolve: bool, *, changes: bool = True) -> bool:
    """Take the passwords out of all values of a config, if it `changes`; whether there is any."""
    found = False
    for key in range(len(node)) if isinstance(node, ListConfig) else list(node):
        if OmegaConf.is_missing(node, key) or (not resolve and OmegaConf.is_interpolation(node, key)):
            continue
        value = node[key]
        if isinstance(value, DictConfig | ListConfig):
            found |= _hide_passwords(value, resolve, changes=changes)
        elif isinstance(value, str) and (bare := written(value)) != value:
            found = True
            if changes:
                with read_write(node):
                    node[key] = bare
    return found


def in_grammar(text: str) -> str:
    """A text as the value of an override that gives this very text."""
    if re.fullmatch(r"[A-Za-z_/][\w./:-]*", text, re.ASCII) and text.lower() not in _NOT_TEXTS:
        return text
    without_interpolation = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return QuotedString(without_interpolation, Quote.single).with_quotes()


def one_spelling(word: str) -> str:
    """An override with the sign that Hydra wants: to it, ``+key`` adds only, and is an error where there is the key."""
    key, equals, _ = word.partition("=")
    name = key.lstrip("+")
    bare = word.lstrip("+")
    if equals and name in own_groups():
        return f"+{bare}"
    if equals and name.startswith("hydra.callbacks."):  # the user's, which no file names
        return f"++{bare}"
    if name == key or not equals or "/" in name or "@" in name:
        return word
    if name in CONFIG_GROUPS:
        return f"+{bare}" if name in ADDED_GROUPS else bare
    return f"++{bare}" if name.partition(".")[0] in (*KEYS, "hydra") else word


def explain(error: BaseException, overrides: Sequence[str] = ()) -> str:
    """An error of Hydra, OmegaConf or ours as one or two lines that name the key, the value and what is allowed."""
    searches = any(re.match(r"\+*search=", override) for override in overrides)
    if searches and re.match("Ambiguous value|Sweep parameters", str(error)):
        try:  # what keeps Hydra from the search is another override, at which it did not arrive
            compose([override for override in overrides if not re.search(r"=.*(,|\w\()", override)])
        except ConfigError as cause:
            return str(cause)
    return hints.explain(error, overrides, _defaults)


def _defaults(overrides: Sequence[str]) -> dict[str, Any]:
    """The config with nothing but its task chosen, for the keys that there are."""
    chosen = [o for o in overrides if re.match(r"\+*task(\.name)?=", o)]
    try:
        return plain(compose(chosen))
    except ConfigError:
        if not chosen:
            raise
        return plain(compose([]))
