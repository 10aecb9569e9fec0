"""Temporary files with the name of their process in theirs, so that whoever comes later knows those of the dead.

Two kinds: a file beside the one that it is to replace, and a folder of this process for all that MLflow and others
make by :mod:`tempfile`.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from nnexp.runs.lease import machine, process_start

STAMP = re.compile(r"([0-9a-f]{8})-(\d+)-(\w+)")  # machine, process id, start of the process
BESIDE = re.compile(rf"\..+\.{STAMP.pattern}\.[0-9a-f]{{8}}")
OWN_FOLDER = re.compile(rf"nnexp-{STAMP.pattern}")


@cache
def _machine_digest() -> str:
    return hashlib.sha256(machine().encode()).hexdigest()[:8]


def _stamp() -> str:
    return f"{_machine_digest()}-{os.getpid()}-{process_start(os.getpid())}"


def beside(path: Path) -> Path:
    """A new name for what is to become `path`."""
    return path.with_name(f".{path.name}.{_stamp()}.{secrets.token_hex(4)}")


@contextmanager
def replacing(path: Path) -> Generator[Path, None, None]:
    """A file beside `path` to be written, its folder made; it takes the place of `path` if all goes well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # a full disk does not say it
        raise
    finally:
        temporary.unlink(missing_ok=True)


def is_abandoned(name: str) -> bool:
    """Whether a file or folder of this name is temporary, of a process of this machine that is gone."""
    match = BESIDE.fullmatch(name) or OWN_FOLDER.fullmatch(name)
    if match is None or match[1] != _machine_digest():
        return False
    return process_start(int(match[2])) != match[3]


def remove_abandoned(folder: Path, *, deep: bool = False) -> None:
    """Remove the temporary files in a folder whose process is gone; with `deep`, below it too.

    What another process removes at the same time, or this one may not remove, is passed over.
    """
    for parent, _, names in os.walk(folder):  # which passes over folders that vanish, as Path.rglob does not
        for name in filter(is_abandoned, names):
            with suppress(OSError):
                os.unlink(os.path.join(parent, name))
        if not deep:
            return


def remove_empty_folders(folder: Path) -> None:
    """Remove the folders below one, where nothing is in them; as :func:`remove_abandoned` does its files."""
    for parent, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            if Path(parent) != folder and not os.listdir(parent):
                os.rmdir(parent)


def system_folder() -> Path:
    """The system's folder for temporary files, by its name alone: :mod:`tempfile` tries it out by making a file."""
    named = (os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    for folder in (*named, "/tmp"):
        if folder and os.path.isdir(folder) and os.access(folder, os.W_OK):
            return Path(folder).absolute()
    return Path(tempfile.gettempdir())


def use_own_folder() -> None:
    """Have all that :mod:`tempfile` makes in this process in one folder, which the next one removes if need be.

    For processes that are ours alone: what is in it goes with the process.
    """
    base = system_folder()
    for path in base.glob("nnexp-*"):
        if is_abandoned(path.name):
            shutil.rmtree(path, ignore_errors=True)
    folder = base / f"nnexp-{_stamp()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return
    tempfile.tempdir = str(folder)
    atexit.unregister(remove_own_folder)  # of an earlier use
    atexit.register(remove_own_folder)


@contextmanager
def own_folder() -> Generator[None, None, None]:
    """The same for a while, in a process that is somebody else's; the folder stays as long as the process."""
    before = tempfile.tempdir
    use_own_folder()
    try:
        yield
    finally:
        tempfile.tempdir = before


def remove_own_folder() -> None:
    """Remove the folder of this process; for those that end by `os._exit`."""
    shutil.rmtree(system_folder() / f"nnexp-{_stamp()}", ignore_errors=True)
    tempfile.tempdir = None
