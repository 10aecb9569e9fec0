"""The folder of the command on the import path, in every process that works for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nnexp.own.places import installed_folders

VARIABLE = "NNEXP_FOLDER"  # by which the processes that this one starts know the folder

_inserted = ""


def command_folder() -> str:
    """The folder in which the command was given, also in the processes that work for it."""
    return os.environ.get(VARIABLE) or os.getcwd()


def use_folder(folder: str | Path | None = None) -> None:
    """Put the folder of the command on the import path.

    After the standard library, whose modules a file beside the user's data must not replace, and before what is
    installed.

    Parameters
    ----------
    folder
        Default: the one that the process which started this one was given, else the current one.
    """
    global _inserted
    path = os.path.abspath(folder or command_folder())
    if folder is not None:  # what a notebook calls by itself is given in its folder of that time, and not of the first
        os.environ[VARIABLE] = path
    if path in sys.path or (os.getcwd() == path and "" in sys.path):
        return
    if _inserted in sys.path:  # of an earlier call in this process, whose modules may have the names of those here
        sys.path.remove(_inserted)
    installed = installed_folders()
    places = [i for i, entry in enumerate(sys.path) if os.path.realpath(entry) in installed]
    sys.path.insert(places[0] if places else len(sys.path), path)
    _inserted = path
