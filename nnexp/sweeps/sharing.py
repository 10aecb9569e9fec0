"""Arrays in one copy for all workers of a sweep on a machine: in memory, and in the cache of its processor.

The sweep removes the files at its end; who has mapped one keeps it.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from nnexp.config import Config
from nnexp.runs.directory import SHARED, RunDirectory, write_atomically
from nnexp.runs.identity import array_digest
from nnexp.sweeps.directory import sweep_directory
from nnexp.tasks.disk_run import Share

PRESET = "experiment"  # may change anything


def share_in(config: Config) -> Share | None:
    """What shares arrays among the workers of a sweep; None for a run of no sweep."""
    sweep = config.tracking.sweep
    if sweep is None:
        return None
    root = config.tracking.directory

    def share(name: str, array: np.ndarray, depends_on: Sequence[str]) -> np.ndarray:
        return _shared(root, sweep, name, array) if _is_same_for_all(root, sweep, tuple(depends_on)) else array

    return share


def _shared(root: str, sweep: str, name: str, array: np.ndarray) -> np.ndarray:
    """The array as a file that other workers map too; the array itself where there is no room for one."""
    try:
        digest = array_digest(array)
        path = _folder(root, sweep) / f"{name}-{digest}.npy"
        if not path.exists():
            content = io.BytesIO()
            np.save(content, array)
            write_atomically(path, content.getvalue())
        mapped = np.load(path, mmap_mode="r")
        return mapped if array_digest(mapped) == digest else array
    except (OSError, ValueError):
        return array


def clear(root: str | Path, sweep: str) -> None:
    """Remove what the workers of a sweep shared."""
    shutil.rmtree(_folder(root, sweep), ignore_errors=True)


def _folder(root: str | Path, sweep: str) -> Path:
    return sweep_directory(root, sweep) / SHARED


@cache
def _is_same_for_all(root: str, sweep: str, depends_on: tuple[str, ...]) -> bool:
    """Whether the jobs of the sweep agree in all that an array depends on, as far as its plan here tells."""
    try:
        keys = RunDirectory(sweep_directory(root, sweep)).plan.swept_keys
    except (OSError, ValueError):
        return False
    return not any(key.split(".")[0] in (*depends_on, PRESET) for key in keys)
