"""A run as it was recorded: in its directory on this machine, or in the tracking store."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from nnexp.errors import one_line
from nnexp.rerun.errors import RerunError
from nnexp.runs import lease, places
from nnexp.runs.directory import PUBLISHED, RESULT, RunDirectory
from nnexp.runs.files import RecordError, read_arrays, tell_once
from nnexp.runs.history import TABLE
from nnexp.runs.tags import DATA_DIGEST, DIRECTORY, RUN_KEY, STATUS_MESSAGE, UID
from nnexp.tracking.store import Store, StoredRun
from nnexp.tracking.store_arbiter import is_lost

CONFIG, OVERRIDES, ENVIRONMENT = "config/config.yaml", "config/overrides.yaml", "environment/environment.json"
WEIGHTS = "weights.npz"


class Recorded(ABC):
    """What a run says of itself. Its files are read at the first use; a file that it does not have reads as empty."""

    def __init__(self, run_id: str, name: str, status: str, message: str, tags: Mapping[str, str]) -> None:
        self.run_id, self.name, self.status, self.message, self.tags = run_id, name, status, message, tags

    def __str__(self) -> str:
        return f"run {self.run_id} ({self.name})"

    @property
    def key(self) -> str | None:
        """The key of the job that the run did."""
        return self.tags.get(RUN_KEY)

    @property
    def data_digest(self) -> str | None:
        """Digest of the data set that it was trained on."""
        return self.tags.get(DATA_DIGEST)

    @property
    @abstractmethod
    def params(self) -> Mapping[str, Any]:
        """The leaves of its config that decide the result; as texts where they come from the store."""

    @property
    @abstractmethod
    def started(self) -> float:
        """Seconds since the epoch."""

    @property
    @abstractmethod
    def files(self) -> RunDirectory:
        """Its files, under the names that they have in a run directory."""

    def _json(self, name: str) -> dict[str, Any]:
        return self.files.read_json(name) if (self.files.path / name).exists() else {}

    @cached_property
    def result(self) -> dict[str, Any]:
        """How it ended, with the digests of its numbers."""
        return self._json(RESULT)

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What it was made with; a damaged file is told and left out."""
        try:
            return self._json(ENVIRONMENT)
        except RecordError as error:
            tell_once(f"{error}; left out of the comparison")
            return {}

    @cached_property
    def config(self) -> dict[str, Any]:
        """Its composed config as nested dictionaries.

        Raises
        ------
        RerunError
            Where it was never published, or cannot be read.
        """
        path = self.files.path / CONFIG
        if not path.exists():
            raise RerunError(
                f"{self}: its config is neither on this machine nor in the store; nothing to rerun it from"
            )
        try:
            tree = OmegaConf.to_container(OmegaConf.load(path))
        except (OSError, ValueError, YAMLError, OmegaConfBaseException) as error:
            raise RerunError(f"{self}: {CONFIG} is damaged: {' '.join(str(error).split())[:200]}") from error
        if not isinstance(tree, dict):
            raise RerunError(f"{self}: {CONFIG} is damaged: it is no mapping")
        return {str(key): value for key, value in tree.items()}

    @cached_property
    def overrides(self) -> list[str]:
        """The overrides of its command line."""
        path = self.files.path / OVERRIDES
        try:
            return [str(item) for item in OmegaConf.load(path)] if path.exists() else []
        except (OSError, ValueError, TypeError, YAMLError, OmegaConfBaseException) as error:
            raise RerunError(f"{self}: {OVERRIDES} is damaged: {one_line(error)}") from error

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """The rows of its history."""
        return self.files.history()

    @cached_property
    def thetas(self) -> dict[str, np.ndarray]:
        """`theta0` and `theta`; empty where it has no weights."""
        try:
            stored = read_arrays(self.files.path / WEIGHTS)
        except FileNotFoundError:
            return {}
        return {key: stored[key] for key in ("theta0", "theta") if key in stored}


class RecordedHere(Recorded):
    """A run whose directory is on this machine."""

    def __init__(self, directory: RunDirectory, run_id: str | None = None) -> None:
        self._record, result = directory.record, directory.result
        lost = None
        if result is None:
            lost = lease.gone_reason(self._record.owner)
        status = result.status if result else "RUNNING" if lost is None else "KILLED"
        message = result.message if result else lost or ""
        super().__init__(
            run_id or published_id(directory) or (result.run_id if result else None) or self._record.uid,
            self._record.name or directory.path.name,
            status,
            message,
            self._record.tags,
        )
        self._directory = directory

    @property
    def params(self) -> Mapping[str, Any]:
        """The leaves of its config that decide the result."""
        return self._record.params

    @property
    def started(self) -> float:
        """Seconds since the epoch."""
        return self._record.started

    @property
    def data_path(self) -> str | None:
        """The data file as it was found then, where the data set came from a file."""
        return places.data_file(self._directory)

    @cached_property
    def files(self) -> RunDirectory:
        """The run directory."""
        return self._directory


class RecordedInStore(Recorded):
    """A run of the store that has no directory on this machine; its files are fetched."""

    def __init__(self, store: Store, run: StoredRun, scratch: Path) -> None:
        status, message = run.status, run.tags.get(STATUS_MESSAGE, "")
        if status == "RUNNING" and is_lost(run):
            status, message = "KILLED", "its process is gone"
        super().__init__(run.run_id, run.name, status, message, run.tags)
        self._store, self._run, self._scratch = store, run, scratch

    @property
    def params(self) -> Mapping[str, Any]:
        """The leaves of its config that decide the result, as texts."""
        return self._run.params

    @property
    def started(self) -> float:
        """Seconds since the epoch."""
        return self._run.start

    @cached_property
    def files(self) -> RunDirectory:
        """What is needed of its artifacts, fetched."""
        folder = self._scratch / self.run_id
        folder.mkdir(parents=True, exist_ok=True)
        client = self._store.client
        try:
            there = {item.path for item in client.list_artifacts(self.run_id)}
            for name in (CONFIG, OVERRIDES, ENVIRONMENT, TABLE, RESULT, WEIGHTS):
                if name.split("/")[0] in there:
                    self._fetch(client, name, folder)
        except Exception as error:
            raise RerunError(
                f"{self}: its artifacts cannot be fetched: {' '.join(str(error).split())[:200]}"
            ) from error
        return RunDirectory(folder)

    def _fetch(self, client: Any, name: str, folder: Path) -> None:
        parent = name.rpartition("/")[0]
        if not parent or name in {item.path for item in client.list_artifacts(self.run_id, parent)}:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(client.download_artifacts(self.run_id, name, str(target.parent)), target)


def from_store(store: Store, run: StoredRun, scratch: Path) -> Recorded:
    """A run of the store, read from its directory where this machine has that.

    Raises
    ------
    RerunError
        Where somebody else made the run.
    """
    uid = run.tags.get(UID)
    if uid is None:
        raise RerunError(f"run {run.run_id} ({run.name}) was not made by nnexp: it has no tag {UID}; nothing to rerun")
    directory = RunDirectory(run.tags.get(DIRECTORY, ""))
    if DIRECTORY in run.tags and places.is_here(directory, uid):
        return RecordedHere(directory, run.run_id)
    return RecordedInStore(store, run, scratch)


def published_id(directory: RunDirectory) -> str | None:
    """The id that a store gave the run of a directory; the latest where several did."""
    try:
        states = directory.read_json(PUBLISHED).values()
    except (FileNotFoundError, RecordError):  # it only saves looking the id up
        return None
    ids = [state["run_id"] for state in states if isinstance(state, dict) and state.get("run_id")]
    return ids[-1] if ids else None
