"""Which runs a word means: a run directory or its name, the id of a run or of a sweep, or the beginning of an id.

Run directories of this machine are looked at first: they need no store, and they know the ids that it gave them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nnexp.config import TrackingConfig
from nnexp.rerun.errors import RerunError
from nnexp.rerun.source import Recorded, RecordedHere, from_store, published_id
from nnexp.runs import places
from nnexp.runs.directory import PLAN_FILE, RECORD, RUNS, RunDirectory, run_directories
from nnexp.runs.files import RecordError, tell_once
from nnexp.runs.records import SweepPlan
from nnexp.runs.tags import KIND, RERUN_OF, RUN_KEY, SWEEP, SWEEP_KIND, UID, equals
from nnexp.sweeps.directory import read_plan, sweep_directory
from nnexp.tracking.store import Store, StoredRun, StoreError, open_store, sqlite_path

IDS = re.compile(r"[0-9A-Za-z-]{3,}")
FULL = re.compile(r"[0-9a-f]{32}")
SHOWN = 5
BETTER = ("FINISHED", "FAILED", "KILLED", "RUNNING")  # which run of a job is rerun, the first the rather


@dataclass(frozen=True)
class SweepFound:
    """A sweep: its jobs, each with the run that did it, None where none did."""

    sweep: str
    run_id: str
    jobs: Sequence[tuple[str, Recorded | None]]


class Finder:
    """Looks in the output directory and in the store of a config."""

    def __init__(self, tracking: TrackingConfig, scratch: Path) -> None:
        self.tracking, self.scratch = tracking, scratch
        self.unreachable: str | None = None

    def find(self, word: str) -> Recorded | SweepFound:
        """The run or the sweep that a word means.

        Raises
        ------
        RerunError
            Where there is none, or more than one, or nnexp did not make it.
        StoreError
            Where only the store could know and it does not answer.
        """
        path = Path(word)
        for directory in (path, Path(self.tracking.directory) / RUNS / word):
            if (directory / RECORD).is_file() and not (directory / PLAN_FILE).is_file():
                return RecordedHere(RunDirectory(directory))
        if (path / PLAN_FILE).is_file():
            return self._sweep(path.resolve().name, None)
        if "/" in word or not IDS.fullmatch(word):
            raise RerunError(f"{word}: neither a run directory (it would hold {RECORD}) nor the id of a run or a sweep")
        here = self._here(word)
        if len(here) == 1 and word in (known := next(iter(here.values()))).ids:
            return known.recorded()
        stored = self._stored(word)
        sweeps = self._sweeps(word, stored)
        return self._the_one(
            word, here, {i: run for i, run in stored.items() if run.tags.get(KIND) != SWEEP_KIND}, sweeps
        )

    def _the_one(
        self, word: str, here: dict[str, _Here], stored: dict[str, StoredRun], sweeps: dict[str, StoredRun | None]
    ) -> Recorded | SweepFound:
        names = {run_id: known.directory.record.name for run_id, known in here.items()}
        names |= {run_id: run.name for run_id, run in stored.items()}
        names |= {sweep: "a sweep" for sweep in sweeps}
        chosen = [word] if word in names else list(names)
        if not chosen:
            where = [f"under {self.tracking.directory}"]
            where += [f"in {self._store.shown_uri}"] if self._store and not self.unreachable else []
            trouble = f" ({self.unreachable})" if self.unreachable else ""
            raise RerunError(f"{word}: there is no such run or sweep {' or '.join(where)}{trouble}")
        if len(chosen) > 1:
            shown = ", ".join(f"{name} ({names[name]})" for name in chosen[:SHOWN])
            more = f" and {len(chosen) - SHOWN} more" if len(chosen) > SHOWN else ""
            raise RerunError(f"{word} is the beginning of {len(chosen)} ids: {shown}{more}")
        one = chosen[0]
        if one in sweeps:
            return self._sweep(one, sweeps[one])
        if one in here:
            return here[one].recorded()
        assert self._store is not None
        return from_store(self._store, stored[one], self.scratch)

    # Run directories of this machine.

    @cached_property
    def _directories(self) -> list[_Here]:
        return [_Here(directory) for directory in run_directories(self.tracking.directory)]

    def _here(self, word: str) -> dict[str, _Here]:
        """Runs by their id; of a directory and its copies the one that the run was made in."""
        found = {known.ids[0]: known for known in self._directories if any(i.startswith(word) for i in known.ids)}
        return found | {i: known for known in self._directories if (i := known.ids[0]) in found and known.is_at_home}

    # The store.

    @cached_property
    def _store(self) -> Store | None:
        if self.tracking.backend != "mlflow":
            return None
        path = sqlite_path(self.tracking.uri)
        if path is not None and not path.exists():
            return None
        return open_store(self.tracking.uri, self.tracking.experiment)

    def _search(self, condition: str) -> list[StoredRun]:
        if self._store is None or self.unreachable:
            return []
        try:
            return self._store.search(condition, all_experiments=True)
        except StoreError as error:
            if not self._directories:
                raise
            self.unreachable = str(error)
            return []

    def _stored(self, word: str) -> dict[str, StoredRun]:
        if not re.fullmatch("[0-9a-f]+", word):
            return {}
        exact = "=" if FULL.fullmatch(word) else "LIKE"
        wanted = word if exact == "=" else word + "%"
        return {run.run_id: run for run in self._search(f"attributes.run_id {exact} '{wanted}'")}

    # Sweeps.

    def _sweeps(self, word: str, stored: Mapping[str, StoredRun]) -> dict[str, StoredRun | None]:
        """Sweeps by the beginning of their id, or by the id of their parent run."""
        folder = sweep_directory(self.tracking.directory, "x").parent
        found: dict[str, StoredRun | None] = {path.parent.name: None for path in folder.glob(f"{word}*/{PLAN_FILE}")}
        parents = [run for run in stored.values() if run.tags.get(KIND) == SWEEP_KIND]
        if re.fullmatch("[0-9a-f]{3,16}", word):
            parents += self._search(f"{equals(KIND, SWEEP_KIND)} AND tags.`{SWEEP}` LIKE '{word}%'")
        return found | {run.tags[SWEEP]: run for run in parents if SWEEP in run.tags}

    def _sweep(self, sweep: str, parent: StoredRun | None) -> SweepFound:
        if parent is None:
            parents = self._search(f"{equals(KIND, SWEEP_KIND)} AND {equals(SWEEP, sweep)}")
            parent = next((run for run in parents if run.tags.get(SWEEP) == sweep), None)
        plan = self._plan(sweep, parent)
        runs = self._runs(SWEEP, sweep)
        names = {job.key: job.name for job in (plan.jobs if plan else ())} or {run.key: run.name for run in runs}
        best = _best(runs)
        for key in filter(None, names):
            if key not in best or best[key].status != "FINISHED":  # it may have been finished outside the sweep
                more = self._runs(RUN_KEY, key)
                best |= _best([*runs, *more], only=key)
        if not names:
            raise RerunError(f"sweep {sweep}: its plan is neither on this machine nor in the store")
        jobs = [(name, best.get(key)) for key, name in names.items() if key]
        return SweepFound(sweep, parent.run_id if parent else sweep, jobs)

    def _plan(self, sweep: str, parent: StoredRun | None) -> SweepPlan | None:
        folder = sweep_directory(self.tracking.directory, sweep)
        try:
            return read_plan(folder)
        except FileNotFoundError:
            pass
        except RecordError as error:
            tell_once(f"{error}; what the store has of the plan is taken")
        if parent is None or self._store is None:
            return None
        try:
            return read_plan(Path(self._store.client.download_artifacts(parent.run_id, PLAN_FILE)).parent)
        except Exception:
            return None  # its runs say which there are

    def _runs(self, tag: str, value: str) -> list[Recorded]:
        """The runs of both places that have a tag of this value, each once."""
        found: dict[str, Recorded] = {}
        for known in self._directories:
            if known.directory.record.tags.get(tag) == value:
                found[known.ids[-1]] = known.recorded()
        for run in self._search(equals(tag, value)):
            is_it = run.tags.get(tag) == value and RUN_KEY in run.tags
            if is_it and UID in run.tags and run.tags[UID] not in found:
                assert self._store is not None
                found[run.tags[UID]] = from_store(self._store, run, self.scratch)
        return list(found.values())


@dataclass(frozen=True)
class _Here:
    """A run directory of this machine."""

    directory: RunDirectory

    @cached_property
    def ids(self) -> list[str]:
        """The id that a store gave the run, if any, and its own."""
        return [i for i in (published_id(self.directory), self.directory.uid) if i]

    @property
    def is_at_home(self) -> bool:
        return places.is_at_home(self.directory)

    def recorded(self) -> Recorded:
        return RecordedHere(self.directory)


def _rank(run: Recorded) -> tuple[int, bool, float]:
    rank = BETTER.index(run.status) if run.status in BETTER else len(BETTER)
    return rank, RERUN_OF in run.tags, run.started


def _best(runs: Iterable[Recorded], only: str | None = None) -> dict[str, Recorded]:
    """For each key the run to repeat: a finished one, no rerun, the oldest."""
    best: dict[str, Recorded] = {}
    for run in sorted(runs, key=_rank):
        if run.key and only in (None, run.key):
            best.setdefault(run.key, run)
    return best
