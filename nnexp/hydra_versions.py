"""Hydra 1.3, which we require, and its pre-releases of 1.4, in which some things are said differently."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hydra
from hydra._internal.hydra import Hydra
from hydra.types import RunMode
from omegaconf import OmegaConf

IS_OLD = hydra.__version__.startswith("1.3.")
BEHAVIOUR: dict[str, Any] = {"version_base": "1.3"} if IS_OLD else {}  # for what starts Hydra
REPLACE: dict[str, Any] = {} if IS_OLD else {"replace": True}  # for a second entry of a name in the ConfigStore


def register_resolver(name: str, function: Callable[..., Any]) -> None:
    """Have `${name:...}` in a config call a function."""
    register: Any = OmegaConf.register_new_resolver if IS_OLD else OmegaConf.register_resolver
    register(name, function, replace=True)


def ignore_warnings() -> None:
    """Silence what Hydra says to developers; the callbacks that it would have named in code are the user's own."""
    warnings.filterwarnings("ignore", message=".*overriding with `hydra.mode=MULTIRUN`.*")
    warnings.filterwarnings("ignore", message="(?s).*_execution_whitelist_")


@contextmanager
def mode_known(mode: RunMode | None) -> Iterator[None]:
    """Have Hydra 1.3 take whether it is a sweep from here, or from its flags where it is None.

    It composes the whole config to look into it for `hydra.mode`, and then composes it again: a tenth of a second.
    """
    if not IS_OLD:
        yield
        return
    ask = Hydra.get_mode
    Hydra.get_mode = lambda *_, **__: mode
    try:
        yield
    finally:
        Hydra.get_mode = ask


@contextmanager
def quiet() -> Iterator[None]:
    """The same for a while, in a process that is somebody else's; 1.3 says nothing where no application is started."""
    if IS_OLD:
        yield
        return
    with warnings.catch_warnings():
        ignore_warnings()
        yield
