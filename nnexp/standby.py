"""The process of a companion, started before it is known whose runs it publishes: it imports MLflow meanwhile.

MLflow takes as long to import as all that a command needs until it has read its config. So the command starts this
process first, where it is likely to publish something, and gives it away here.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from nnexp import kernels
from nnexp.errors import FULL_ERROR
from nnexp.presets import preset_files
from nnexp.runs.temporary import system_folder

STANDBY = "standby"  # as its argument: import MLflow at once
IRRELEVANT = {FULL_ERROR, "KMP_DUPLICATE_LIB_OK"}  # variables that are set on the way, by us and by a library
MULTIRUN = ("-m", "--multirun")
SPEAK_AGAINST_IT = ("tracking=", "dry_run=")


@dataclass(frozen=True)
class Spawned:
    """A process that waits for its settings, the first line of its standard input.

    Attributes
    ----------
    connection
        By which it answers calls.
    errors
        What it says.
    """

    process: subprocess.Popen[bytes]
    connection: socket.socket
    errors: IO[bytes]
    pid: int = field(default_factory=os.getpid)  # of whoever started it,
    environment: Mapping[str, str] = field(default_factory=lambda: _environment())  # and its environment

    @property
    def is_as_new(self) -> bool:
        """Whether a process that is started now would be no other."""
        return self.pid == os.getpid() and self.environment == _environment() and self.process.poll() is None

    def dismiss(self) -> None:
        """Let it end."""
        if self.pid == os.getpid():
            with suppress(OSError):
                self.process.communicate()
            self.errors.close()
        self.connection.close()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in IRRELEVANT}


def spawn(*words: str) -> Spawned:
    """Start a process."""
    errors = tempfile.TemporaryFile(dir=system_folder())
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "nnexp.publisher", str(theirs.fileno()), *words],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
            pass_fds=(theirs.fileno(),),
        )
    return Spawned(process, ours, errors)


_ready: list[Spawned] = []


def prepare(arguments: Sequence[str]) -> None:
    """Start a process for a command that trains and publishes, as far as its overrides show that."""
    words = [word for word in arguments if word not in MULTIRUN]
    is_likely = all("=" in word and word[0] not in "-~" for word in words) and not _may_begin_anew(words)
    if is_likely and not _ready and not any(word.lstrip("+").startswith(SPEAK_AGAINST_IT) for word in words):
        with suppress(OSError):  # which is told where the process is needed
            _ready.append(spawn(STANDBY))


def _may_begin_anew(words: Sequence[str]) -> bool:
    """Whether a preset asks for a kernel that this process does not have, for all that can be seen before Hydra."""
    chosen = dict(word.lstrip("+").split("=", 1) for word in words)
    files = [path for group, name in chosen.items() for known, path in _files(group) if known == name]
    return not kernels.is_set() and any(kernels.PORTABLE in path.read_text(errors="replace") for path in files)


def _files(group: str) -> list[tuple[str, Path]]:
    return list(preset_files(group)) if group.isidentifier() else []


def take(*, needs_mlflow: bool = True) -> Spawned:
    """The process that was prepared, once and where it is what is needed; else a new one."""
    while _ready:
        spawned = _ready.pop()
        if spawned.is_as_new and needs_mlflow:
            return spawned
        spawned.dismiss()
    return spawn()
