"""What is known of runs of a sweep's jobs: by the tracking store, and by run directories that no store has yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from nnexp import recovery
from nnexp.runs import arithmetic, backlog, lease
from nnexp.runs.directory import RunDirectory, peek, run_directories
from nnexp.runs.history import last_row
from nnexp.runs.records import RunStatus
from nnexp.runs.tags import RUN_KEY, SWEEP
from nnexp.sweeps.status import JobState, of_record, of_stored, states
from nnexp.tracking.store import Store, StoredRun

SEARCHED_ONE_BY_ONE = 50  # keys; of more, all finished runs of the experiment are read


class KnownRuns:
    """Reads the states of the jobs of one sweep."""

    def __init__(self, store: Store | None, root: str, sweep: str) -> None:
        self.store, self.root, self.sweep = store, root, sweep
        self.strict_before = 0.0  # what ended before and was made with other arithmetic stands for no job

    def refresh(
        self, keys: Iterable[str], *, since: float = 0.0, repair: bool = True, elsewhere: bool = True
    ) -> dict[str, JobState]:
        """The states of jobs by their keys; keys of which nothing is known are left out.

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
        on_disk = list(self._on_disk(wanted, since, repair))
        return states([*on_disk, *self.stored(wanted, since, repair=repair, elsewhere=elsewhere)])

    def stored(
        self, wanted: Collection[str], since: float = 0.0, *, repair: bool = True, elsewhere: bool = True
    ) -> list[JobState]:
        """What the store alone knows; parameters as above."""
        if self.store is None:
            return []
        found = list(self._stored(self.store.tagged(SWEEP, self.sweep), wanted, since, repair))
        if elsewhere:
            decided = {key for key, job in states(found).items() if job.is_decided}
            others = runs_of_keys(self.store, set(wanted) - decided)
            found += [job for job in self._stored(others, wanted, since, repair) if job.is_decided]
        return found

    def _stored(
        self, runs: Iterable[StoredRun], wanted: Collection[str], since: float, repair: bool
    ) -> Iterator[JobState]:
        for run in runs:
            if run.tags.get(RUN_KEY) not in wanted:
                continue
            if run.status == RunStatus.RUNNING and repair and self.store is not None:
                run = recovery.close_lost(self.store, run)
            if run.end is None or (run.end >= since and not self._is_of_other_arithmetic(run.tags, run.end)):
                yield of_stored(run)

    def _on_disk(self, wanted: Collection[str], since: float, repair: bool) -> Iterator[JobState]:
        """Runs of this machine: those that the store does not have yet, and without a store all of them."""
        directories = backlog.entries(self.root)
        if self.store is None:
            directories = {each.path: each for each in [*directories, *run_directories(self.root)]}.values()
        for directory in directories:
            found = peek(directory)
            if found is None or found[0].run_key not in wanted:
                continue
            record, result = found
            if self.store is not None and record.is_private:
                continue
            if result is None:
                reason = backlog.lost_reason(self.root, directory, record)
                if reason is None:
                    yield of_record(record, None, str(directory.path))
                elif repair and not lease.is_of_this_machine(record.owner):
                    recovery.close(directory, reason)  # what was seen here is news to those who share the disk
            elif result.ended < since or self._is_of_other_arithmetic(record.tags, result.ended):
                continue
            elif self.store is None or result.is_finished:  # the store says of the others what became of them
                yield of_record(record, result, str(directory.path), _last_values(directory))

    def _is_of_other_arithmetic(self, tags: Mapping[str, str], ended: float) -> bool:
        return ended < self.strict_before and arithmetic.difference(tags) is not None


def runs_of_keys(store: Store, keys: Collection[str]) -> list[StoredRun]:
    """The runs that have one of the keys, of whatever sweep; of many keys the finished runs, and others among them."""
    if len(keys) <= SEARCHED_ONE_BY_ONE:
        return [run for key in sorted(keys) for run in store.tagged(RUN_KEY, key)]
    return store.search(f"attributes.status = '{RunStatus.FINISHED}'")


def _last_values(directory: RunDirectory) -> dict[str, float]:
    return last_row(directory.path) or (directory.history() or [{}])[-1]
