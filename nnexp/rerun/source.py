"""A run as it was recorded: in its directory on this machine, or in the tracking store."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nnexp.config import task_of
from nnexp.errors import UsageError, one_line
from nnexp.lookup import FoundRun, ids_of
from nnexp.own import of_records, read_source
from nnexp.runs import lease, places, seals
from nnexp.runs.directory import RESULT, SOURCES, RunDirectory
from nnexp.runs.files import (
    MOST_CONFIG,
    MOST_TABLE,
    MOST_TEXT,
    RecordError,
    content_of,
    read_arrays,
    read_yaml,
    tell_once,
)
from nnexp.runs.history import TABLE
from nnexp.runs.records import RunResult
from nnexp.runs.tags import DATA_DIGEST, RUN_KEY, SEAL, STATUS_MESSAGE, UID
from nnexp.tasks.interface import Task
from nnexp.tracking.artifacts import StoredFiles
from nnexp.tracking.store import Store
from nnexp.tracking.store_arbiter import is_lost
from nnexp.tracking.stored_run import StoredRun


class RerunError(UsageError):
    """A run that cannot be made again, or not be checked; one line for the user, and nothing has been trained."""


MOST_SAVED, MOST_PICTURES, MOST_SOURCES = 2**32, 200, 1000  # bytes of a file; files
CONFIG, OVERRIDES, ENVIRONMENT = "config/config.yaml", "config/overrides.yaml", "environment/environment.json"


class RunSource(ABC):
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

    def with_pictures(self) -> RunDirectory:
        """Its files, with its pictures among them."""
        return self.files

    def _damaged(self, error: RecordError) -> UsageError:
        """The error of one of its files, as it is told."""
        return error

    def _json(self, name: str) -> dict[str, Any]:
        return self.files.read_json(name) if (self.files.path / name).exists() else {}

    @property
    def data_path(self) -> str | None:
        """The data file as it was found then, where the data set came from a file of this machine."""
        return None

    @cached_property
    def task(self) -> Task[Any]:
        """What it did."""
        with nullcontext() if self.is_own else of_records():
            return task_of(self.config)

    @cached_property
    def is_own(self) -> bool:
        """Whether this user has written its config himself."""
        try:
            text = content_of(self.files.path / CONFIG, MOST_CONFIG).decode()
        except (OSError, ValueError):
            return False
        return seals.is_sealed(text, self.tags.get(SEAL))

    @cached_property
    def result(self) -> RunResult | None:
        """How it ended, with the digests of its numbers."""
        return self.files.result

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What it was made with; a damaged file is told and left out."""
        try:
            return self._json(ENVIRONMENT)
        except RecordError as error:
            tell_once(f"{self._damaged(error)}; left out of the comparison")
            return {}

    @cached_property
    def sources(self) -> dict[str, str]:
        """The texts of the user's own files that decided its numbers, of those that it has."""
        folder = self.files.path / SOURCES
        found = [path for path in folder.rglob("*.py*") if path.is_file() and not path.is_symlink()][:MOST_SOURCES]
        names = [path.relative_to(folder).as_posix() for path in found]
        return {name: read_source(folder / name) for name in sorted(names)}

    @cached_property
    def config(self) -> dict[str, Any]:
        """Its composed config as nested dictionaries.

        Raises
        ------
        RerunError
            If it was never published, or cannot be read.
        """
        path = self.files.path / CONFIG
        if not path.exists():
            raise RerunError(
                f"{self}: its config is neither on this machine nor in the store; nothing to rerun it from"
            )
        try:
            return _read_config(path)
        except (OSError, ValueError) as error:
            raise RerunError(f"{self}: {CONFIG} is damaged: {' '.join(str(error).split())[:200]}") from error

    @cached_property
    def overrides(self) -> list[str]:
        """The overrides of its command line."""
        path = self.files.path / OVERRIDES
        try:
            return [str(item) for item in read_yaml(content_of(path, MOST_CONFIG))] if path.exists() else []
        except (OSError, ValueError, TypeError) as error:
            raise RerunError(f"{self}: {OVERRIDES} is damaged: {one_line(error)}") from error

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """The rows of its history."""
        return self.files.history()

    @cached_property
    def arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """The arrays of each file that a rerun compares, of those files that it has."""
        found = {}
        for name in compared_files(self.task, self.result):
            try:
                found[name] = read_arrays(self.files.path / name)
            except FileNotFoundError:
                continue
            except RecordError as error:
                raise self._damaged(error) from error
        return found


def compared_files(task: Task[Any], result: RunResult | None) -> list[str]:
    """The files whose arrays a rerun compares: those that the task names, or else all that it saved."""
    return list(task.compared or (result.values.get("saved", {}) if result else {}))


class DirectorySource(RunSource):
    """A run whose directory is on this machine."""

    def __init__(self, directory: RunDirectory, run_id: str | None = None) -> None:
        self._record, result = directory.record, directory.result
        lost = None
        if result is None:
            lost = lease.gone_reason(self._record.owner)
        status = result.status if result else "RUNNING" if lost is None else "KILLED"
        message = result.message if result else lost or ""
        super().__init__(
            run_id or ids_of(directory)[0],
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


class StoreSource(RunSource):
    """A run of the store that has no directory on this machine; its files are fetched."""

    def __init__(self, store: Store, run: StoredRun, scratch: Path) -> None:
        status, message = run.status, run.tags.get(STATUS_MESSAGE, "")
        if status == "RUNNING" and is_lost(run):
            status, message = "KILLED", "its process is gone"
        super().__init__(run.run_id, run.name, status, message, run.tags)
        self._stored, self._run, self._scratch = StoredFiles(store, run), run, scratch

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
        try:
            for name in (CONFIG, OVERRIDES, ENVIRONMENT, TABLE, RESULT):
                self._fetch(name, folder, MOST_TABLE if name == TABLE else MOST_TEXT)
            with suppress(Exception):  # they only say more of a difference
                self._fetch_sources(folder)
            result = RunDirectory(folder).result
            saved = result.values.get("saved", ()) if result else ()
            for name in {*saved, *(name for name in self._stored.names() if name.endswith(".npz"))}:
                self._fetch(name, folder, MOST_SAVED)
        except RecordError as error:
            raise self._damaged(error) from error
        except Exception as error:
            raise RerunError(
                f"{self}: its artifacts cannot be fetched: {' '.join(str(error).split())[:200]}"
            ) from error
        return RunDirectory(folder)

    def with_pictures(self) -> RunDirectory:
        """Its files, and its pictures, which are fetched too."""
        folder, stored = self.files.path, self._stored
        try:
            for place in ("", *stored.folders()):
                for name in [name for name in stored.names(place) if name.endswith(".png")][:MOST_PICTURES]:
                    if not (folder / name).exists():
                        self._fetch(name, folder, MOST_TEXT)
        except Exception as error:
            raise RerunError(f"{self}: its pictures cannot be fetched: {one_line(error)}") from error
        return self.files

    def _damaged(self, error: RecordError) -> UsageError:
        """The error of a fetched file: the run and the file's name in it, without the folder, which will be gone."""
        folder = RunDirectory(self._scratch / self.run_id).path
        return RerunError(f"{self}: {str(error).replace(f'{folder}{os.sep}', '')}")

    def _fetch(self, name: str, folder: Path, most: int) -> None:
        with suppress(FileNotFoundError):
            self._stored.fetch(name, folder, most)

    def _fetch_sources(self, folder: Path) -> None:
        places, n_left = [SOURCES], MOST_SOURCES
        while places and n_left > 0:
            place = places.pop()
            places += self._stored.folders(place)
            for name in list(self._stored.names(place))[:n_left]:
                self._fetch(name, folder, MOST_CONFIG)
                n_left -= 1


def source_of(found: FoundRun, store: Store | None, scratch: Path) -> RunSource:
    """A run that was found, read from its directory where this machine has that.

    Raises
    ------
    RerunError
        If somebody else made the run.
    """
    if found.directory is not None:
        return DirectorySource(found.directory, found.run_id)
    if store is None or found.stored is None or UID not in found.stored.tags:
        raise RerunError(f"{found} was not made by nnexp: it has no tag {UID}; nothing to rerun")
    return StoreSource(store, found.stored, scratch)


def _read_config(path: Path) -> dict[str, Any]:
    tree = read_yaml(content_of(path, MOST_CONFIG))
    if not isinstance(tree, dict):
        raise ValueError("it is no mapping")
    return {str(key): value for key, value in tree.items()}
