"""What every call from Python has in common, whatever process it is made in."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nnexp.compose import explain
from nnexp.errors import UsageError
from nnexp.own import use_folder
from nnexp.own.folder import VARIABLE
from nnexp.presets import own_presets
from nnexp.readers import ConfigError
from nnexp.runs.temporary import own_folder

_ONE_AT_A_TIME = threading.RLock()
IN_PYTHON = {  # what the command's messages advise, and what does it here
    "add -m to sweep over them": "nnexp.sweep runs all of them",
    "add +search=tpe to search it": "nnexp.sweep with +search=tpe searches it",
}


@contextmanager
def working(overrides: Sequence[str] = ()) -> Iterator[None]:
    """For what trains or writes: the folder of the call is that of a command, and the threads of a process take turns.

    Runs at the same time would change each other's numbers: BLAS has one number of threads for a process.

    Raises
    ------
    ConfigError
        In the words of the command, and without the way through Hydra that it has come.
    """
    refuse_flags(overrides)
    with _ONE_AT_A_TIME, own_folder(), own_presets(()), explained(overrides):
        before = os.environ.get(VARIABLE)
        use_folder(Path.cwd())
        try:
            yield
        finally:  # a command that is given in this process later may be given in another folder
            os.environ.pop(VARIABLE, None)
            if before is not None:
                os.environ[VARIABLE] = before


@contextmanager
def explained(overrides: Sequence[str]) -> Iterator[None]:
    """Errors of the user's in one or two lines, without the errors below that they were made of."""
    try:
        yield
    except UsageError as error:
        if isinstance(error, ConfigError):
            text = explain(error, overrides)
            for advice, here in IN_PYTHON.items():
                text = text.replace(advice, here)
            error.args = (text,)
        told = error
    else:
        return
    raise told from None


def refuse_flags(overrides: Sequence[object]) -> None:
    """Refuse what is no override.

    Raises
    ------
    TypeError
        If it is no text.
    ConfigError
        If it is a flag of the command.
    """
    for override in overrides:
        if not isinstance(override, str):
            raise TypeError(f"overrides are texts such as 'seed=3', got {override!r}")
        if override.startswith("-"):
            raise ConfigError(f"{override!r} is a flag of the command; overrides have the form KEY=VALUE")
