"""Training data in one copy for all workers of a sweep on a machine: in memory, and in the cache of its processor.

Two copies of the exercise's 13 MB overflow a third-level cache; with one, two workers evaluate as fast as one alone.
The sweep removes the files at its end; who has mapped one keeps it.
"""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from nnexp.config import Config
from nnexp.datasets import Split
from nnexp.runs.directory import SHARED, write_atomically
from nnexp.sweeps.parent import read_plan, sweep_directory

CHANGE_THE_SPLIT = ("seed", "data", "experiment")  # where one of them is swept, each job has training data of its own


def share(split: Split, config: Config) -> Split:
    """The same split with the training samples in a file that other workers map too, where they have use for it."""
    sweep = config.tracking.sweep
    if sweep is None or not _is_same_for_all(config.tracking.directory, sweep):
        return split
    data = config.data
    name = f"{config.seed}-{data.test_size:g}-{data.validation_size:g}-{len(split.train)}.npy"
    X = split.train.X
    try:
        path = _folder(config.tracking.directory, sweep) / name
        if not path.exists():
            content = io.BytesIO()
            np.save(content, X)
            write_atomically(path, content.getvalue())
        mapped = np.load(path, mmap_mode="r")
        is_it = mapped.dtype == X.dtype and np.array_equal(mapped.view(np.uint64), X.view(np.uint64))
    except (OSError, ValueError):  # no room for it
        return split
    return replace(split, train=replace(split.train, X=mapped)) if is_it else split


def clear(root: str | Path, sweep: str) -> None:
    """Remove what the workers of a sweep shared."""
    shutil.rmtree(_folder(root, sweep), ignore_errors=True)


def _folder(root: str | Path, sweep: str) -> Path:
    return sweep_directory(root, sweep) / SHARED


@cache
def _is_same_for_all(root: str, sweep: str) -> bool:
    """Whether the jobs of the sweep train on the same samples, as far as its plan on this machine tells."""
    try:
        keys = read_plan(sweep_directory(root, sweep))["swept_keys"]
    except (OSError, ValueError, KeyError):
        return False
    return not any(key.split(".")[0] in CHANGE_THE_SPLIT for key in keys)
