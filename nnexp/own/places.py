"""Whose a file is: the user's own, or installed."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
PURE = ("purelib", "platlib")
State = tuple[int, ...]  # of a file or folder: size, when it was changed, when its entry was; () where there is none


@cache
def installed_folders() -> frozenset[str]:
    """The folders into which packages are installed."""
    found = {sysconfig.get_path(name) for name in PURE}
    if hasattr(site, "getsitepackages"):
        found |= {*site.getsitepackages()}
    if site.ENABLE_USER_SITE:
        found.add(site.getusersitepackages())
    found |= {entry for entry in sys.path if os.path.basename(entry) in ("site-packages", "dist-packages")}
    return frozenset(os.path.realpath(each) for each in found)


@cache
def _not_own() -> tuple[str, ...]:
    library = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    return tuple(f"{folder}{os.sep}" for folder in (*installed_folders(), *library, os.fspath(PACKAGE)))


@cache
def is_own_file(path: str) -> bool:
    """Whether a file is the user's own: outside the standard library, the installed packages and this one.

    An editable installation is where its files are, so it is the user's own.
    """
    return not path.startswith("<") and not os.path.realpath(path).startswith(_not_own())


def state_of(path: str | Path) -> State:
    """By what a file that was changed is known without reading it."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns
