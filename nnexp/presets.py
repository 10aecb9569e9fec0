"""The config files: those of nnexp and the user's own, their groups, what there is to choose. Imports nothing heavy.

A user's own folder is named by ``--config-dir`` or ``$NNEXP_CONFIG_DIR``. The flag is put into the variable, which
every process that is started inherits.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from nnexp.errors import UsageError
from nnexp.paths import absolute

PACKAGE = Path(__file__).resolve().parent
CONFIG_GROUPS = ("data", "experiment", "model", "optimizer", "search", "sweep", "task", "tracking")
ADDED_GROUPS = ("search", "sweep")  # what they say is added to the config: +sweep=l2
# Launchers of other packages: the package in which Hydra finds each, and how to install it.
LAUNCHERS = {
    "joblib": ("hydra_plugins.hydra_joblib_launcher", "hydra-joblib-launcher"),
    "ray": ("hydra_plugins.hydra_ray_launcher", "nnexp[ray]"),
    "submitit_local": ("hydra_plugins.hydra_submitit_launcher", "nnexp[slurm]"),
    "submitit_slurm": ("hydra_plugins.hydra_submitit_launcher", "nnexp[slurm]"),
}
FLAGS, VARIABLE = ("--config-dir", "-cd"), "NNEXP_CONFIG_DIR"


def config_directory() -> Path:
    """`conf/`: inside the package in a wheel, beside it in a checkout."""
    inside = PACKAGE / "conf"
    return inside if inside.is_dir() else PACKAGE.parent / "conf"


def own_directory() -> Path | None:
    """The folder of the user's own presets, if he has named one.

    Raises
    ------
    UsageError
        If there is no such folder.
    """
    named = os.environ.get(VARIABLE, "").strip()
    if named and not Path(absolute(named)).is_dir():
        raise UsageError(f"`${VARIABLE}` must be an existing folder, got {named!r}")
    return Path(absolute(named)) if named else None


def choices(group: str) -> list[str]:
    """The choices of a config group, those of nnexp and the user's own, read from the names of files."""
    return sorted({name for name, _ in preset_files(group)})


def own_choices(group: str) -> list[str]:
    """The choices of a config group that only the user has."""
    return sorted({name for name, _ in _files(own_directory(), group)} - {*_names(group)})


def own_groups() -> list[str]:
    """The groups that only the user has."""
    folder = own_directory()
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder is not None else []
    return sorted(name for name in names if name not in (*CONFIG_GROUPS, "hydra") and own_choices(name))


def launcher_problem(name: str) -> str | None:
    """How to install the package of a launcher, where it is missing."""
    module, package = LAUNCHERS.get(name, ("", ""))
    if not module or (find_spec("hydra_plugins") and find_spec(module)):
        return None
    return f"`hydra/launcher={name}` needs a package that is not installed: pip install '{package}'"


def preset_files(group: str) -> Iterator[tuple[str, Path]]:
    """The choices of a config group with their files; of two of one name, that of nnexp comes first and counts."""
    yield from _files(config_directory(), group)
    yield from _files(own_directory(), group)


def _names(group: str) -> list[str]:
    return [name for name, _ in _files(config_directory(), group)]


def _files(folder: Path | None, group: str) -> list[tuple[str, Path]]:
    if folder is None:
        return []
    place = folder / group
    return [(path.relative_to(place).with_suffix("").as_posix(), path) for path in sorted(place.rglob("*.yaml"))]


@contextmanager
def own_presets(words: Sequence[str]) -> Generator[list[str], None, None]:
    """Take ``--config-dir`` out of a command line, and have its folder used; gives the words that are left.

    Raises
    ------
    UsageError
        If the flag is given twice or without a folder, or there is no such folder.
    """
    rest, given = _taken(words)
    before = os.environ.get(VARIABLE)
    if given is not None and not Path(absolute(given)).is_dir():
        raise UsageError(f"`{FLAGS[0]}` must be an existing folder, got {given!r}")
    if given is not None:
        os.environ[VARIABLE] = given
    try:
        if (folder := own_directory()) is not None:
            os.environ[VARIABLE] = str(folder)  # a process of another folder inherits it
        yield rest
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def _taken(words: Sequence[str]) -> tuple[list[str], str | None]:
    """The other words, and the folder of the flag."""
    rest: list[str] = []
    given: list[str] = []
    waiting = iter(words)
    for word in waiting:
        flag, equals, value = word.partition("=")
        if flag not in FLAGS:
            rest.append(word)
            continue
        given.append(value if equals else next(waiting, ""))
        if not given[-1]:
            raise UsageError(f"`{flag}` needs a folder: {flag} DIR")
    if len(given) > 1:
        raise UsageError(f"`{FLAGS[0]}` was given twice, with {given[0]} and {given[1]}")
    return rest, given[0] if given else None
