"""What is known of a sweep's jobs: from the tracking store, and from run directories that no store has yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nnexp.runs import arithmetic, backlog, lease
from nnexp.runs.directory import RunDirectory, run_directories
from nnexp.runs.history import last_row
from nnexp.runs.records import RunRecord, RunResult
from nnexp.runs.tags import DIRECTORY, RUN_KEY, STATUS_MESSAGE, SWEEP
from nnexp.tracking import claims
from nnexp.tracking.store import Store, StoredRun

KEY_BY_KEY = 50  # up to so many keys are asked for one by one
ORDER = ("lost", "failed", "running", "finished")  # the later one stands for the job


@dataclass(frozen=True)
class Standing:
    """The run that stands for a job, and its state: finished, running, failed or lost."""

    state: str
    run_id: str
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    name: str = ""
    start: float = 0.0
    seconds: float | None = None
    sweep: str | None = None
    directory: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class Book:
    """Looks up the jobs of one sweep."""

    def __init__(self, store: Store | None, root: str, sweep: str) -> None:
        self.store, self.root, self.sweep = store, root, sweep
        self.strict_before = 0.0  # what ended before and was made with other arithmetic stands for no job

    def look(
        self, keys: Iterable[str], *, since: float = 0.0, repair: bool = True, elsewhere: bool = True
    ) -> dict[str, Standing]:
        """What stands for each key; keys of which nothing is known are left out.

        Parameters
        ----------
        since
            Runs that ended before this time do not stand for a job (for a sweep that is not to be resumed).
        repair
            Close the runs of processes that are gone.
        elsewhere
            Look also among runs that are not of this sweep.
        """
        wanted = set(keys)
        found: dict[str, Standing] = {}
        if self.store is not None:
            self._take(found, wanted, self.store.tagged(SWEEP, self.sweep), since, repair)
            if elsewhere:
                missing = [key for key in wanted if found.get(key) is None or found[key].state in ("lost", "failed")]
                self._take(found, wanted, self._elsewhere(missing), since, repair, only=("finished", "running"))
        self._take_directories(found, wanted, since, repair)
        return found

    def _elsewhere(self, keys: list[str]) -> list[StoredRun]:
        assert self.store is not None
        if len(keys) <= KEY_BY_KEY:
            return [run for key in keys for run in self.store.tagged(RUN_KEY, key)]
        return self.store.search("attributes.status = 'FINISHED'")

    def _take(self, found, wanted, runs: Iterable[StoredRun], since: float, repair: bool, only=ORDER) -> None:
        for run in runs:
            key = run.tags.get(RUN_KEY, "")
            if key not in wanted:
                continue
            if run.status == "RUNNING" and repair:
                assert self.store is not None
                run = claims.close_if_lost(self.store, run)
            if run.end is not None and (run.end < since or self._is_refused(run.tags, run.end)):
                continue
            standing = standing_of(run)
            if standing.state in only:
                keep_best(found, key, standing)

    def _take_directories(self, found: dict[str, Standing], wanted: set[str], since: float, repair: bool) -> None:
        """Runs of this machine: those that the store does not have yet, and without a store all of them."""
        directories = backlog.entries(self.root)
        if self.store is None:
            directories = {each.path: each for each in [*directories, *run_directories(self.root)]}.values()
        for directory in directories:
            try:
                record, result = directory.record, directory.result
            except (OSError, ValueError):
                continue  # removed this moment, or damaged
            key = record.run_key
            is_private = record.is_private  # made with tracking=none
            if key not in wanted or (is_private and self.store is not None):
                continue
            if result is None:
                reason = backlog.lost_reason(self.root, directory, record)
                if reason is not None and repair and not lease.is_of_this_machine(record.owner):
                    claims.close_directory(directory, reason)  # what was seen here is news to those who share the disk
                elif reason is None:
                    path, name, start = str(directory.path), record.name, record.started
                    held = Standing("running", directory.uid, name=name, start=start, directory=path)
                    keep_best(found, key, held)
            elif self._is_refused(record.tags, result.ended):
                continue
            elif result.ended >= since and (self.store is None or result.is_finished):
                keep_best(found, key, _standing_of_directory(directory, record, result))

    def _is_refused(self, tags: Mapping[str, str], ended: float) -> bool:
        return ended < self.strict_before and arithmetic.difference(tags) is not None


def _standing_of_directory(directory: RunDirectory, record: RunRecord, result: RunResult) -> Standing:
    """An ended run of this machine as what it says of its job."""
    last = last_row(directory.path) or (directory.history() or [{}])[-1]
    metrics = {**last, **result.values, **result.final_metrics}
    return Standing(
        _state(result.status),
        result.run_id,
        result.message if not result.is_finished else "",
        {key: value for key, value in metrics.items() if type(value) in (int, float)},
        record.name,
        record.started,
        result.ended - record.started,
        record.sweep,
        str(directory.path),
        record.tags,
    )


def _state(status: str) -> str:
    return {"FINISHED": "finished", "FAILED": "failed", "RUNNING": "running"}.get(status, "lost")


def keep_best(found: dict[str, Standing], key: str, standing: Standing) -> None:
    """Take what is known of a job, unless a run that is known already says more of it."""
    known = found.get(key)
    if known is None or (ORDER.index(standing.state), standing.start) > (ORDER.index(known.state), known.start):
        found[key] = standing


def standing_of(run: StoredRun) -> Standing:
    """A stored run as what it says of its job."""
    return Standing(
        _state(run.status),
        run.run_id,
        run.tags.get(STATUS_MESSAGE, ""),
        run.metrics,
        run.name,
        run.start,
        run.end - run.start if run.end else None,
        run.tags.get(SWEEP),
        run.tags.get(DIRECTORY, ""),
        run.tags,
    )
