"""What a word means, for every command: a run or a sweep, on this machine or in the tracking store.

A word is a run directory or its name under ``runs/``, a sweep's folder, the id of a run or of a sweep, the id of a
sweep's parent run, or a prefix of an id. What is on this machine is asked first: that needs no store, and the
directories know the ids that stores gave them. An id that is given whole is never ambiguous.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nnexp.config import TrackingConfig
from nnexp.errors import UsageError, one_line
from nnexp.paths import sqlite_path
from nnexp.runs import backlog, places
from nnexp.runs.directory import (
    PLAN_FILE,
    PUBLISHED,
    RECORD,
    RUNS,
    SWEEPS,
    RunDirectory,
    readable,
    run_directories,
)
from nnexp.runs.files import RecordError, tell_once
from nnexp.runs.records import Kind, RunRecord, SweepPlan
from nnexp.runs.tags import DIRECTORY, KIND, RUN_KEY, SWEEP, SWEEP_KIND, UID, equals
from nnexp.tracking.artifacts import StoredFiles
from nnexp.tracking.errors import StoreError
from nnexp.tracking.store import Store, open_store
from nnexp.tracking.stored_run import StoredRun

SHORTEST = 3  # characters of a prefix of an id
ID = re.compile(rf"[0-9A-Za-z-]{{{SHORTEST},}}")
STORES_ID = re.compile("[0-9a-f]+")
WHOLE = 32  # characters of an id that a store gave
SHOWN = 5


class UnknownWordError(UsageError):
    """A word that means no run and no sweep, or more than one; one line for the user."""


@dataclass(frozen=True)
class FoundRun:
    """A run: its directory where this machine has it, and what the store knows where that was asked."""

    run_id: str
    name: str
    directory: RunDirectory | None = None
    stored: StoredRun | None = None

    def __str__(self) -> str:
        return f"run {self.run_id} ({self.name})"


@dataclass(frozen=True)
class FoundSweep:
    """A sweep: its id, its folder on this machine where it has one, and its parent run where the store has that."""

    sweep: str
    folder: Path | None = None
    parent: StoredRun | None = None

    def __str__(self) -> str:
        return f"sweep {self.sweep}"


@dataclass(frozen=True)
class _Here:
    """A run directory of this machine, read once; its run's ids, those that stores gave it first."""

    directory: RunDirectory
    record: RunRecord
    ids: Sequence[str]

    @classmethod
    def of(cls, directory: RunDirectory) -> _Here:
        return cls(directory, directory.record, ids_of(directory))

    def found(self) -> FoundRun:
        return FoundRun(self.ids[0], self.record.name or self.directory.path.name, self.directory)


class Lookup:
    """Looks in an output directory and in a store, as far as there are such."""

    def __init__(self, root: str | Path | None, store: Store | None = None) -> None:
        self.root, self.store = None if root is None else Path(root).resolve(), store
        self.unreachable: str | None = None  # why the store gave no answer, though runs of this machine were found

    @classmethod
    def of(cls, tracking: TrackingConfig) -> Lookup:
        """Where the config keeps its runs; a store that is not there yet is not made."""
        path = sqlite_path(tracking.uri)
        has_store = tracking.backend == "mlflow" and (path is None or path.exists())
        return cls(tracking.directory, open_store(tracking.uri, tracking.experiment) if has_store else None)

    def find(self, word: str) -> FoundRun | FoundSweep:
        """The run or the sweep that a word means.

        Raises
        ------
        UnknownWordError
            If there is none, or more than one.
        StoreError
            If only the store could know and it does not answer.
        """
        if (found := self._by_path(word)) is not None:
            return found
        if not ID.fullmatch(word):
            raise UnknownWordError(
                f"{word}: neither a run directory (it would hold {RECORD}) nor the folder of a sweep (it would hold "
                f"{PLAN_FILE}) nor an id, of which at least {SHORTEST} characters are needed"
            )
        here = self._beginning_with(word)
        if exact := [known for known in here.values() if word in known.ids]:
            return exact[0].found()
        stored = self._stored(word)
        sweeps = self._sweeps(word, stored)
        ids = {each for known in here.values() for each in known.ids}
        runs = {i: run for i, run in stored.items() if run.tags.get(KIND) != SWEEP_KIND and i not in ids}
        chosen = self._the_one(word, here, runs, sweeps)
        if chosen in sweeps:
            return FoundSweep(chosen, self._folder(chosen), sweeps[chosen])
        return here[chosen].found() if chosen in here else self.of_store(runs[chosen])

    def run(self, word: str) -> FoundRun:
        """The run that a word means; errors as of :meth:`find`, and of a sweep too."""
        found = self.find(word)
        if isinstance(found, FoundSweep):
            raise UnknownWordError(f"{word}: {found}; name one of its runs")
        return found

    def sweep(self, word: str) -> FoundSweep:
        """The sweep that a word means; errors as of :meth:`find`, and of a run too."""
        found = self.find(word)
        if isinstance(found, FoundRun):
            raise UnknownWordError(f"{word}: {found}; name a sweep")
        return found

    def runs_with(self, tag: str, value: str) -> list[FoundRun]:
        """The runs of both places that have a tag of this value, each once: the one of this machine."""
        here = [known for known in self._here if known.record.tags.get(tag) == value]
        here.sort(key=lambda known: places.is_at_home(known.directory))  # of copies, the one that the run was made in
        found = {known.record.uid: known.found() for known in here}
        for run in self.search(equals(tag, value)):
            is_it = run.tags.get(tag) == value and RUN_KEY in run.tags
            if is_it and UID in run.tags and run.tags[UID] not in found:
                found[run.tags[UID]] = self.of_store(run)
        return list(found.values())

    def of_store(self, run: StoredRun) -> FoundRun:
        """A run of the store, with its directory where this machine has that."""
        uid, directory = run.tags.get(UID), RunDirectory(run.tags.get(DIRECTORY, ""))
        is_here = uid is not None and DIRECTORY in run.tags and places.is_here(directory, uid)
        return FoundRun(run.run_id, run.name, directory if is_here else None, run)

    def plan_of(self, found: FoundSweep) -> SweepPlan | None:
        """The plan of a sweep, from its folder or its parent run; None where both have lost it."""
        if found.folder is not None:
            try:
                return RunDirectory(found.folder).plan
            except FileNotFoundError:
                pass
            except RecordError as error:
                tell_once(f"{error}; what the store has of the plan is taken")
        parent = self.parent_of(found)
        if parent is None or self.store is None:
            return None
        try:
            return SweepPlan.from_json(Path(PLAN_FILE), json.loads(StoredFiles(self.store, parent).read(PLAN_FILE)))
        except (ValueError, RecursionError) as error:
            tell_once(f"{PLAN_FILE} of the run {parent.run_id} ({parent.name}) is damaged: {one_line(error)}; left out")
        except FileNotFoundError:
            pass  # the runs of the sweep say which there are
        except Exception as error:  # each kind of store has errors of its own
            tell_once(f"{PLAN_FILE} of the run {parent.run_id} ({parent.name}) could not be read: {one_line(error)}")
        return None

    def parent_of(self, found: FoundSweep) -> StoredRun | None:
        """The parent run of a sweep, where the store has it."""
        if found.parent is not None:
            return found.parent
        parents = self.search(f"{equals(KIND, SWEEP_KIND)} AND {equals(SWEEP, found.sweep)}")
        return next((run for run in parents if run.tags.get(SWEEP) == found.sweep), None)

    def search(self, condition: str) -> list[StoredRun]:
        """The runs of all experiments that match an MLflow filter; none where there is no store, or it is silent.

        Raises
        ------
        StoreError
            If the store does not answer and this machine has no runs either.
        """
        if self.store is None or self.unreachable:
            return []
        try:
            return self.store.search(condition, all_experiments=True)
        except StoreError as error:
            if not self._here:
                raise
            self.unreachable = str(error)
            return []

    @cached_property
    def _here(self) -> list[_Here]:
        """The runs of the output directory, and those elsewhere that its backlog knows."""
        if self.root is None:
            return []
        found = [*run_directories(self.root), *readable(backlog.entries(self.root, damaged=True))]
        every = [_Here.of(directory) for directory in {directory.path: directory for directory in found}.values()]
        return [known for known in every if known.record.kind is Kind.RUN]

    def _by_path(self, word: str) -> FoundRun | FoundSweep | None:
        for path in self._places(SWEEPS, word):
            if os.path.isfile(path / PLAN_FILE):  # False also for what no file system takes for a name
                return FoundSweep(path.resolve().name, path.resolve())
        for path in self._places(RUNS, word):
            if os.path.isfile(path / RECORD):
                directory = RunDirectory(path)
                try:
                    return _Here.of(directory).found()
                except RecordError:  # which is told where it is read
                    return FoundRun(directory.path.name, directory.path.name, directory)
        return None

    def _places(self, folder: str, word: str) -> list[Path]:
        """Where a word may be a path or a name."""
        return [Path(word), *([self.root / folder / word] if self.root is not None else [])]

    def _beginning_with(self, word: str) -> dict[str, _Here]:
        """Runs of this machine by their id; of a directory and its copies the one that the run was made in."""
        found = {known.ids[0]: known for known in self._here if any(i.startswith(word) for i in known.ids)}
        at_home = {
            i: known for known in self._here if (i := known.ids[0]) in found and places.is_at_home(known.directory)
        }
        return found | at_home

    def _stored(self, word: str) -> dict[str, StoredRun]:
        if not STORES_ID.fullmatch(word):
            return {}
        condition = f"= '{word}'" if len(word) == WHOLE else f"LIKE '{word}%'"
        return {run.run_id: run for run in self.search(f"attributes.run_id {condition}")}

    def _sweeps(self, word: str, stored: Mapping[str, StoredRun]) -> dict[str, StoredRun | None]:
        """Sweeps by a prefix of their id, or by the id of their parent run."""
        plans = (self.root / SWEEPS).glob(f"*/{PLAN_FILE}") if self.root is not None else ()
        here = {path.parent.name for path in plans}
        here |= {sweep for known in self._here if (sweep := known.record.sweep)}
        found: dict[str, StoredRun | None] = {sweep: None for sweep in sorted(here) if sweep.startswith(word)}
        parents = [run for run in stored.values() if run.tags.get(KIND) == SWEEP_KIND]
        parents += self.search(f"{equals(KIND, SWEEP_KIND)} AND tags.`{SWEEP}` LIKE '{word}%'")
        return found | {run.tags[SWEEP]: run for run in parents if SWEEP in run.tags}

    def _the_one(
        self,
        word: str,
        here: Mapping[str, _Here],
        stored: Mapping[str, StoredRun],
        sweeps: Mapping[str, StoredRun | None],
    ) -> str:
        """The one id that the word is, or is a prefix of."""
        names = {run_id: known.record.name for run_id, known in here.items()}
        names |= {run_id: run.name for run_id, run in stored.items()} | dict.fromkeys(sweeps, "a sweep")
        chosen = [word] if word in names else list(names)
        if not chosen:
            where = [f"under {self.root}"] if self.root is not None else []
            where += [f"in {self.store.shown_uri}"] if self.store is not None and not self.unreachable else []
            trouble = f" ({self.unreachable})" if self.unreachable else ""
            raise UnknownWordError(f"{word}: there is no such run or sweep {' or '.join(where)}{trouble}")
        if len(chosen) > 1:
            shown = ", ".join(f"{name} ({names[name]})" for name in chosen[:SHOWN])
            more = f" and {len(chosen) - SHOWN} more" if len(chosen) > SHOWN else ""
            raise UnknownWordError(f"{word} is ambiguous: {len(chosen)} ids begin with it: {shown}{more}")
        return chosen[0]

    def _folder(self, sweep: str) -> Path | None:
        folder = self.root / SWEEPS / sweep if self.root is not None else None
        return folder if folder is not None and (folder / PLAN_FILE).is_file() else None


def ids_of(directory: RunDirectory) -> list[str]:
    """The ids of a directory's run: those that stores gave it, the latest first, and its own."""
    ids: list[str] = []
    try:
        states: list[Any] = list(directory.read_json(PUBLISHED).values())
        ids = [state["run_id"] for state in reversed(states) if isinstance(state, dict) and "run_id" in state]
    except (FileNotFoundError, RecordError):
        pass  # it only saves asking a store
    result = directory.result
    return list(dict.fromkeys([*ids, *([result.run_id] if result else []), directory.uid]))
