"""The run directory: the first home of every result.

::

    run.json                 who the run is: uid, name, digests, params, tags, who holds it
    result.json              how it ended; absent while it runs
    history.csv              what was logged, value by value; grows while it runs
    published.json           where it has been published, and how far
    error.txt                the traceback of a run that failed
    weights.npz  classification_report.txt  *.png  config/  figures/  reports/  environment/  images/

`history.csv` grows while the run trains. Every other file is written whole or not at all. What is neither it nor one of
the JSON files at the top is an artifact under the same path in the tracking store.
"""

from __future__ import annotations

import itertools
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnexp.runs import files, history
from nnexp.runs.files import RecordError, VanishedError, to_json
from nnexp.runs.history import HISTORY, SYSTEM
from nnexp.runs.records import RunRecord, RunResult, SweepPlan
from nnexp.runs.temporary import beside, replacing

RECORD, RESULT, PUBLISHED = "run.json", "result.json", "published.json"
SOURCES = "environment/sources"  # the user's own, that the run was made with
RUNS, SWEEPS = "runs", "sweeps"  # the folders of an output directory
PLAN_FILE, SHARED = "plan.json", "shared"  # in the folder of a sweep: its plan, and what its workers share
_RESULTS = threading.Lock()
NOT_ARTIFACTS = (RECORD, PUBLISHED, HISTORY, SYSTEM)  # at the root; `reports/history.csv` is an artifact


def run_name() -> str:
    """A new run directory's name: the date and time, and what keeps two runs of one second apart."""
    return time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(4)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def _write_new(path: Path, content: str) -> bool:
    """Write a file that is there whole or not at all, unless there is one; say whether it was written."""
    temporary = beside(path)
    try:
        temporary.write_text(content)
        os.link(temporary, path)  # of two processes at once, one finds the other's
        return True
    except FileExistsError:
        return False
    except OSError:  # a file system without links, or the empty folder was taken for what a crash has left
        if path.exists():
            return False
        write_atomically(path, content)
        return True
    finally:
        temporary.unlink(missing_ok=True)


class RunDirectory:
    """One run's directory. Holds no state of its own: what it knows is on the disk."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()

    @classmethod
    def create(cls, path: str | Path, record: RunRecord) -> RunDirectory:
        """Make the directory of a new run.

        Raises
        ------
        FileExistsError
            Where the directory already holds a run: its results are not overwritten.
        """
        directory = cls(path)
        directory.path.mkdir(parents=True, exist_ok=True)
        if (directory.path / RESULT).exists() or not _write_new(directory.path / RECORD, to_json(record.to_json())):
            raise FileExistsError(f"{directory.path} already holds a run; give another hydra.run.dir")
        return directory

    @classmethod
    def create_beside(cls, path: str | Path, record_in: Callable[[Path], RunRecord]) -> RunDirectory:
        """Make the directory of a new run, under the next free name (NAME-2, ...) where there is a run already.

        So it is where a sweep is done again whose directories are numbers, or named after what is swept.
        """
        path = Path(path)
        for number in itertools.count(1):
            place = path if number == 1 else path.with_name(f"{path.name}-{number}")
            try:
                return cls.create(place, record_in(place))
            except FileExistsError:
                continue
        raise RuntimeError("there is always a next number")

    @property
    def uid(self) -> str:
        """The run's own id, made before any store knows it."""
        return self.record.uid

    @property
    def record(self) -> RunRecord:
        """What `run.json` says.

        Raises
        ------
        VanishedError
            If there is none.
        RecordError
            If it is damaged.
        """
        path = self.path / RECORD
        try:
            return RunRecord.from_json(path, files.read_object(path))
        except FileNotFoundError as error:
            raise VanishedError(f"{self.path} holds no run (any more)") from error

    @property
    def result(self) -> RunResult | None:
        """How the run ended, or None while it has not.

        Raises
        ------
        RecordError
            If `result.json` is damaged.
        """
        path = self.path / RESULT
        try:
            return RunResult.from_json(path, files.read_object(path))
        except FileNotFoundError:
            return None

    @property
    def has_ended(self) -> bool:
        """Whether there is a result."""
        return (self.path / RESULT).exists()

    def write_result(self, result: RunResult) -> None:
        """Say how the run ended."""
        self.write_json(RESULT, result.to_json())

    def amend_result(
        self, *, tags: Mapping[str, str] | None = None, final_metrics: Mapping[str, float] | None = None, **changes: Any
    ) -> RunResult:
        """Change fields of the result, add tags and final metrics, and return all of it.

        Threads of one process draw, publish and amend a run at the same time; none undoes what another has written.

        Raises
        ------
        VanishedError
            If the run has no result.
        """
        with _RESULTS:
            result = self.result
            if result is None:
                raise VanishedError(f"{self.path} holds no result (any more)")
            result = result.amended(tags=tags, final_metrics=final_metrics, **changes)
            self.write_result(result)
            return result

    @property
    def plan(self) -> SweepPlan:
        """The plan of a sweep.

        Raises
        ------
        FileNotFoundError
            If there is none.
        RecordError
            If it is damaged.
        """
        path = self.path / PLAN_FILE
        return SweepPlan.from_json(path, files.read_object(path))

    def file(self, name: str) -> Path:
        """The path of a file of the run, its folder made.

        Raises
        ------
        VanishedError
            If the run directory is gone: a part of it would be taken for a run.
        RecordError
            If the path leads out of the directory, by its name or by a link.
        """
        if not self.path.is_dir():
            raise VanishedError(f"{self.path} is not there (any more)")
        path = self.path / name
        if not path.parent.resolve().is_relative_to(self.path):
            raise RecordError(f"{path} is outside of the run directory; nothing is written there")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the directory; the error names it where it is damaged."""
        return files.read_object(self.path / name)

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file whole or not at all."""
        write_atomically(self.file(name), to_json(value))

    def write_text(self, name: str, text: str) -> None:
        """Write a text file whole or not at all."""
        write_atomically(self.file(name), text)

    def write_arrays(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Write an `.npz` file whole or not at all."""
        with replacing(self.file(name)) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    def artifacts(self) -> list[Path]:
        """Every file that belongs into the store, sorted; what a link leads to does not."""
        return sorted(
            path
            for path in self.path.rglob("*")
            if path.is_file()
            and not path.is_symlink()
            and path.parent.resolve().is_relative_to(self.path)
            and not path.name.startswith(".")
            and path.relative_to(self.path).as_posix() not in NOT_ARTIFACTS
        )

    def history(self) -> list[history.Row]:
        """The rows of the history; what was cut off by a crash is left out, and so is what is damaged."""
        try:
            result = self.result
            is_described = result is not None and result.described
        except RecordError:
            is_described = True
        return history.read_rows(self.path, is_described=is_described, has_ended=self.has_ended)

    def write_history_table(self) -> None:
        """Make `reports/history.csv` of what was logged."""
        if self.path.is_dir():
            history.write_table(
                self.path, lambda path, text: self.write_text(path.relative_to(self.path).as_posix(), text)
            )


def run_directories(root: str | Path) -> list[RunDirectory]:
    """The run directories of an output directory, oldest first, without those whose records are damaged."""
    found = sorted((Path(root).resolve() / RUNS).glob(f"*/{RECORD}"))
    return list(readable(RunDirectory(path.parent) for path in found))


def peek(directory: RunDirectory) -> tuple[RunRecord, RunResult | None] | None:
    """Record and result of a directory; None where it is removed at this moment, or damaged."""
    try:
        return directory.record, directory.result
    except RecordError:
        return None


def readable(directories: Iterable[RunDirectory]) -> Iterator[RunDirectory]:
    """Those whose record and result can be read; of the others the damaged file is told, once."""
    for directory in directories:
        try:
            _ = directory.record, directory.result
        except VanishedError:
            continue
        except RecordError as error:
            files.tell_once(f"{error}; the run is left out")
            continue
        yield directory
