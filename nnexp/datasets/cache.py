"""Data sets kept as .npz files, so that a load costs milliseconds.

A file is written beside its place and moved there whole. One that is damaged all the same is noticed, for it carries
the digest of its content, and is built anew. Of many processes that start at once one builds, the others wait.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nnexp.datasets.dataset import Dataset

FORMAT = 1
PATIENCE = 300.0  # seconds to wait for another process that builds the same data set

_last_read: dict[tuple[object, ...], Dataset] = {}  # the jobs of a sweep share it; by the state of its file

logger = logging.getLogger(__name__)


def cached(folder: str | None, stem: str, build: Callable[[], Dataset], digest: str | None = None) -> Dataset:
    """Read the data set kept as ``folder/stem.npz``, or else build it and keep it for the next time.

    Parameters
    ----------
    folder : str or None
        None: build and keep nothing. A folder that cannot be written costs a warning, not the data set.
    stem : str
        Name of the file without its suffix.
    build : callable
        Makes the data set.
    digest : str, optional
        What the data set's digest is known to be; a file with another one is built anew.
    """
    if folder is None:
        return build()
    path = Path(folder).expanduser() / f"{stem}.npz"
    if (found := _read(path, digest, warn=False)) is not None:
        return found
    from filelock import FileLock, Timeout  # here and not above: most loads need no lock

    lock = FileLock(path.with_suffix(".lock"), timeout=PATIENCE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, Timeout) as error:
        logger.warning("%s could not be cached: %s", path, error)
        return build()
    try:
        if (found := _read(path, digest)) is not None:  # another process was first
            return found
        dataset = build()
        _write(path, dataset)
        return dataset
    finally:
        lock.release()


def _read(path: Path, digest: str | None, *, warn: bool = True) -> Dataset | None:
    try:
        state = os.stat(path)
        key = (str(path.absolute()), state.st_ino, state.st_size, state.st_mtime_ns, digest)
        if key in _last_read:
            return _last_read[key]
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            kept_digest = about.pop("digest")
            if about.pop("format") != FORMAT or digest not in (None, kept_digest):
                return None
            shape = about.pop("image_shape")
            classes = tuple(about.pop("classes"))
            dataset = Dataset(
                X=arrays["X"], y=arrays["y"], classes=classes, image_shape=shape and tuple(shape), **about
            )
        if dataset.digest != kept_digest:
            raise ValueError("its content does not have its digest")
        _last_read.clear()
        _last_read[key] = dataset
        return dataset
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever a reader may raise on broken bytes
        if warn:
            logger.warning("%s is damaged and is rebuilt: %s", path, error)
        return None


def _write(path: Path, dataset: Dataset) -> None:
    about = {
        "format": FORMAT,
        "digest": dataset.digest,
        "name": dataset.name,
        "classes": dataset.classes,
        "image_shape": dataset.image_shape,
        "image_order": dataset.image_order,
    }
    part = path.with_suffix(".part")
    try:
        with open(part, "wb") as file:
            np.savez(file, X=dataset.X, y=dataset.y, about=np.array(json.dumps(about)))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        logger.warning("%s could not be cached: %s", path, error)
        part.unlink(missing_ok=True)
