"""One start of a sweep: plan, skip what stands, launch the rest, repair, and go on until every job is decided."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nnexp import tasks
from nnexp.companion import companion_of
from nnexp.compose import in_grammar
from nnexp.config import TrackingConfig
from nnexp.errors import ExitStatus, one_line
from nnexp.recovery import recover, remove_leftovers
from nnexp.runs import arithmetic, backlog, disk_arbiter
from nnexp.runs.arbitration import Verdict
from nnexp.runs.directory import peek
from nnexp.summary import how_to_open
from nnexp.sweeps import deferred, progress, ranking, sharing
from nnexp.sweeps.known_runs import KnownRuns
from nnexp.sweeps.parent import Parent, plan_record, sweep_directory, write_plan
from nnexp.sweeps.plan import Job, Plan
from nnexp.sweeps.ranking import Score
from nnexp.sweeps.status import JobState, State, count, outcome, states
from nnexp.tasks.interface import Task
from nnexp.terminal import StatusLine, say
from nnexp.tracking.store import Store

ATTEMPTS = 2  # times a job may take its process down before it is left
POLL = 1.0
SHOWN = 5

Launch = Callable[[list[list[str]]], Sequence[Any] | None]  # gives the outcome of each job, where it is known


@dataclass(frozen=True)
class Controls:
    """How a sweep is run."""

    resume: bool | str
    dry_run: bool
    fail_fast: bool
    tracking: TrackingConfig
    command: str
    concurrency: int  # jobs that the launcher runs at a time


class Session:
    """Runs the jobs of one sweep until each is finished or has failed."""

    def __init__(
        self,
        sweep: str,
        name: str,
        swept_keys: Sequence[str],
        controls: Controls,
        store: Store | None,
        launch: Launch,
        task: Task[Any] | None = None,
    ) -> None:
        self.task = task or tasks.find(tasks.NETWORK)
        self.sweep, self.name, self.swept_keys = sweep, name, swept_keys
        self.controls, self.store, self.launch = controls, store, launch
        self.known_runs = KnownRuns(store, controls.tracking.directory, sweep)
        self.since = 0.0 if controls.resume else time.time()
        if controls.resume == arithmetic.STRICT:
            self.known_runs.strict_before = time.time()
        self.jobs: dict[str, Job] = {}
        self.standings: dict[str, JobState] = {}
        self.parent: Parent | None = None
        self.to_come = 0  # jobs that a search has yet to propose
        self.line = StatusLine()
        self._began = time.time()
        self._crashes: dict[str, int] = {}
        self._address: str | None = None
        self._choice: tuple[str, ...] = ()  # what the report says of the best setting
        self._launched = False
        self._left: set[str] = set()  # keys of jobs that were left to another process
        self._returned: dict[str, JobState] = {}  # what jobs said when they returned, by key
        self._ended: set[str] = set()  # directories of the runs that this sweep launched and that came back
        self.returns = 0  # launches that have come back; what was looked at before one of them is out of date

    @classmethod
    def of(cls, plan: Plan, controls: Controls, store: Store | None, launch: Launch, task: Task[Any]) -> Session:
        """The session of a grid."""
        return cls(plan.sweep, plan.name, plan.swept_keys, controls, store, launch, task)

    # The plan, before anything runs.

    def look(self, jobs: Sequence[Job], *, elsewhere: bool = True) -> dict[str, JobState]:
        """What stands for the jobs now. A store that cannot be reached is told once and done without."""
        keys = [job.key for job in jobs]
        try:
            return self.known_runs.refresh(
                keys, since=self.since, repair=not self.controls.dry_run, elsewhere=elsewhere
            )
        except Exception as error:
            self._without_store(error)
            return self.known_runs.refresh(keys, since=self.since)

    def learn(self, found: dict[str, JobState], *, complete: bool = False) -> None:
        """Take what a look has found into what is known.

        Parameters
        ----------
        complete
            Whether the look has seen all there is, so that what it did not find does not run any more.
        """
        known = self.standings
        if complete or self.store is None:  # without a store, what this machine does not know of has ended
            known = {key: standing for key, standing in known.items() if standing.state != "running"}
        merged = known | {key: self._checked(standing) for key, standing in found.items()}
        for key, standing in list(self._returned.items()):  # copies: the watching thread comes here too
            merged[key] = states([merged.get(key, standing), standing])[key]
        for key in list(self._left):
            if not _is_decided(merged.get(key)) and disk_arbiter.is_locked(self.controls.tracking.directory, key):
                merged[key] = JobState(key, State.RUNNING)
        self.standings = merged

    def _checked(self, standing: JobState) -> JobState:
        """A run that came back from the launcher is not running, whatever its process could still write of it."""
        if standing.state == "running" and standing.directory in self._ended:
            return replace(standing, state=State.LOST, reason="its end could not be kept")
        return standing

    def repair(self) -> None:
        """Recover what crashes left in the store and in the output directory, of whatever run or sweep."""
        if self.store is not None:
            self._repair_store(self.store)
        remove_leftovers(self.controls.tracking.directory)

    def _repair_store(self, store: Store) -> None:
        try:
            recovered = recover(store, self.controls.tracking.directory, say)
        except Exception as error:
            self._without_store(error)
        else:
            if recovered:
                say(f"closed or published what a crash had left: {', '.join(recovered[:SHOWN])}"
                    + (f" and {len(recovered) - SHOWN} more" if len(recovered) > SHOWN else ""))  # fmt: skip

    def _without_store(self, error: Exception) -> None:
        if self.store is None:
            raise error
        say(f"{one_line(error)}. The sweep goes on with its run directories; `nnexp sync` publishes them later.")
        self.store = self.known_runs.store = self.parent = None

    def dry_run(self, jobs: Sequence[Job]) -> int:
        """Print what would run and what would be skipped and why."""
        standings = self.look(jobs)
        for job in jobs:
            print(f"{_verdict(job, standings.get(job.key)):<60}  {job.name}")
        wrong = sum(job.error is not None for job in jobs)
        runs = sum(job.error is None and _must_run(standings.get(job.key)) for job in jobs)
        print(f"{runs} of {len(jobs)} jobs would run.")
        if wrong:
            say(f"{wrong} of {len(jobs)} jobs cannot run, so the sweep would not start.")
        return ExitStatus.BAD_USAGE if wrong else ExitStatus.DONE

    # The work.

    def run(self, jobs: Sequence[Job]) -> int:
        """Run a grid to its end; return the exit status."""
        self.repair()
        standings = self.look(jobs)
        self._tell_skipped(jobs, standings)
        self.open(jobs)
        try:
            self.work(jobs, standings)
        except KeyboardInterrupt:
            return self.interrupted()
        return self.close()

    def open(self, jobs: Sequence[Job]) -> None:
        """Keep the plan and say in the store that the sweep runs."""
        record = plan_record(
            self.sweep, self.name, self.swept_keys, self.controls.command, jobs, self.controls.tracking, self.task
        )
        write_plan(self.controls.tracking.directory, record)
        if self.store is not None:
            try:
                self.parent = Parent(self.store, record, self.controls.tracking.heartbeat, self.task)
                self.parent.begin()
            except Exception as error:
                self._without_store(error)

    def work(self, jobs: Sequence[Job], standings: dict[str, JobState] | None = None) -> None:
        """Launch what is missing, wait for what others hold, until every job is decided."""
        self.jobs |= {job.key: job for job in jobs}
        self.learn(standings if standings is not None else self.look(jobs))
        self._tell_other_arithmetic(jobs)
        tried: set[str] = set()
        with progress.Watch(self):
            while True:
                missing = [job for job in jobs if self._is_missing(job, tried)]
                if self.controls.fail_fast:
                    missing = missing[: self.controls.concurrency]
                if missing:
                    tried |= {job.key for job in missing}
                    left = self._launch(missing)
                    tried -= left
                    if len(left) == len(missing):
                        time.sleep(POLL)
                elif any(self._state(job) == "running" for job in jobs):
                    time.sleep(POLL)
                else:
                    return
                found = {} if self._left else self.look(jobs, elsewhere=False)
                complete = not all(_is_decided(found.get(job.key)) for job in jobs)
                self.learn(self.look(jobs) if complete else found, complete=complete)
                if self.controls.fail_fast and self.failures():
                    return

    def _state(self, job: Job) -> str | None:
        standing = self.standings.get(job.key)
        return None if standing is None else standing.state

    def _is_missing(self, job: Job, tried: set[str]) -> bool:
        state = self._state(job)
        if job.key not in tried:
            return state not in ("finished", "running")
        if state not in (None, "lost"):
            return False
        # It was launched, and neither finished nor failed: its process died under it, or somebody else's did.
        self._crashes[job.key] = self._crashes.get(job.key, 0) + 1
        if self._crashes[job.key] < ATTEMPTS:
            return True
        self.standings[job.key] = JobState(job.key, State.FAILED, reason="its process died each time it was tried")
        return False

    def _launch(self, jobs: Sequence[Job]) -> set[str]:
        """Have jobs done; return the keys of those that were left to another process."""
        overrides = [
            [*job.overrides, f"tracking.sweep='{self.sweep}'", f"tracking.run_name={in_grammar(run_name(job))}"]
            for job in jobs
        ]
        self._launched = True
        deferred.begin()
        outcomes: Sequence[Any] = ()
        try:
            outcomes = self.launch(overrides) or ()
        except Exception as error:
            say(f"The launcher stopped: {one_line(error)}. What is missing is started again.")
        finally:
            sharing.clear(self.controls.tracking.directory, self.sweep)
        deferred.wait_for(self.controls.tracking.directory, self.sweep)
        return self._take_outcomes(jobs, outcomes)

    def _take_outcomes(self, jobs: Sequence[Job], outcomes: Sequence[Any]) -> set[str]:
        """Take what jobs said when they returned; return the keys of those that were left to another process."""
        left = set()
        self.returns += 1
        for job, returned in zip(jobs, outcomes, strict=False):
            if returned is None:
                continue
            if returned.status == "SKIPPED":
                left.add(job.key)
                if returned.claim.verdict is Verdict.FINISHED:
                    self._returned[job.key] = JobState(job.key, State.FINISHED, returned.run_id, name=job.name)
                continue
            self._ended.add(returned.path)
            if returned.status == "FAILED":
                self._returned[job.key] = JobState(
                    job.key, State.FAILED, returned.run_id or "", returned.message, name=job.name
                )
        self._left |= left
        return left

    def failures(self) -> list[tuple[Job, JobState]]:
        """The jobs that failed, with what stands for them."""
        return [(job, s) for key, job in self.jobs.items() if (s := self.standings.get(key)) and s.state == "failed"]

    # What is told.

    def _tell_skipped(self, jobs: Sequence[Job], standings: dict[str, JobState]) -> None:
        for job in jobs:
            standing = standings.get(job.key)
            if standing is not None and standing.state == "finished":
                say(f"skipped: {job.name}: run {standing.run_id} is finished and has the same key")
        runs = sum(_must_run(standings.get(job.key)) for job in jobs)
        say(f"{self.name}: {len(jobs)} jobs, {runs} to run, {len(jobs) - runs} already done or under way")

    def _tell_other_arithmetic(self, jobs: Sequence[Job]) -> None:
        """Say which finished runs, though their key is the job's, need not have the numbers of one made here."""
        finished = [s for job in jobs if (s := self.standings.get(job.key)) and s.state == "finished"]
        reasons = Counter(filter(None, (arithmetic.difference(s.tags) for s in finished)))
        for reason, n in reasons.items():
            runs = "1 finished run was" if n == 1 else f"{n} finished runs were"
            say(f"{runs} made with {reason}; numbers made here may differ (resume=strict does them again)")

    @property
    def n_planned(self) -> int:
        """All jobs of the sweep, those that a search has yet to propose too."""
        return len(self.jobs) + self.to_come

    def counts(self) -> dict[str, int]:
        """How many jobs are in which state."""
        return count(self.standings.values(), self.n_planned, self.sweep)

    def best(self, shown: int = SHOWN) -> list[Score]:
        """The best settings, by the mean over their finished seeds."""
        done = [(self.jobs[key], s) for key, s in self.standings.items() if s.state == "finished" and key in self.jobs]
        done.sort(key=lambda pair: pair[0].number)
        return ranking.rank(self.task, done)[:shown]

    def progress(self) -> list[str]:
        """The state of the sweep, in parts for one line."""
        counts = self.counts()
        open_jobs = self.n_planned - counts["finished"] - counts["failed"]
        rows = progress.last_rows(self.controls.tracking.directory, self.sweep)
        running = [
            (run_name(job), self.task.presentation.progress(rows.get(key) or s.metrics))
            for key, job in self.jobs.items()
            if (s := self.standings.get(key)) and s.state == "running"
        ]
        left = progress.time_left(list(self.standings.values()), open_jobs, self._began, time.time())
        return progress.describe(counts, running, left, next(iter(map(str, self.best(1))), ""))

    def report(self) -> None:
        """Counts, best runs and failures to the parent run."""
        if self.parent is not None:
            failed = [f"{job.name}: {standing.reason}" for job, standing in self.failures()]
            self.parent.say(self.counts(), self.best(), failed, self._choice)

    def close(self) -> int:
        """Tell how the sweep ended; return the exit status."""
        self.repair()  # what seemed to be alive on other machines when it began may have been silent ever since
        failures = self.failures()
        counts = self.counts()
        status, message = outcome(counts)
        kept = self._kept_back()
        report = self._compare() if self._lacks_report and counts["finished"] else None
        self._end(status, message)
        best = self.best()
        print(f"{message}; {ranking.heading(best)}:" if best else message)
        for text in ranking.lines(best):
            print(f"  {text}")
        for sentence in self._choice:
            print(sentence)
        if self._address:
            print(f"compare: {how_to_open(self._address, self.controls.tracking)}")
        if report is not None:
            print(f"report: {os.path.relpath(report.path)}")
        if failures:
            print("failed:")
            for job, standing in failures:
                print(f"  {job.name}: {standing.reason}" + (f" (run {standing.run_id})" if standing.run_id else ""))
        sys.stdout.flush()
        if kept:
            say(f"{kept} runs are not published; they are whole in their directories, and `nnexp sync` publishes them.")
        if failures:
            return ExitStatus.DIFFERENT
        return ExitStatus.NOT_PUBLISHED if kept else ExitStatus.DONE

    @property
    def _lacks_report(self) -> bool:
        """Whether there are runs that the sweep's report does not have, or it was killed before it had one."""
        return self._launched or (self.parent is not None and self.parent.was_broken_off)

    def _compare(self) -> Any:
        """The report of the sweep, in its folder and at the parent run; None where there is no store to read."""
        if self.store is None or self.parent is None:
            return None
        from nnexp.report import Selection, make_report

        try:
            folder = sweep_directory(self.controls.tracking.directory, self.sweep) / "report"
            made = make_report(self.store, Selection("sweep", self.sweep), folder)
            self.parent.attach(made.path)
            self._choice = made.choice
            return made
        except Exception as error:
            say(f"The report could not be made: {one_line(error)}")
            return None

    def _kept_back(self) -> int:
        """How many ended runs of this sweep the store does not have whole, once there was time for the rest."""
        if self.controls.tracking.backend != "mlflow":
            return 0
        deadline = time.monotonic() + (self.controls.tracking.patience if self.store is not None else 0)
        while True:
            entries = backlog.entries(self.controls.tracking.directory)
            known = [found for directory in entries if (found := peek(directory))]
            kept = sum(r is not None and record.sweep == self.sweep for record, r in known)
            if not kept or time.monotonic() > deadline:
                return kept
            companion_of(self.controls.tracking).start()  # where it has died in the meantime
            time.sleep(0.2)

    def interrupted(self) -> int:
        """After Ctrl-C: wait for the runs to be closed, close those that nobody closes."""
        say("Interrupted; closing the runs. The same command finishes the sweep.")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            self.learn(self.look(list(self.jobs.values()), elsewhere=False))
            if not any(standing.state == "running" for standing in self.standings.values()):
                break
            time.sleep(0.5)
        self._end("KILLED", "interrupted")
        return ExitStatus.INTERRUPTED

    def _end(self, status: str, message: str) -> None:
        try:
            if self.parent is not None:
                self._show(self.parent)
                self.report()
                self.parent.end(status, message)
        except Exception as error:
            say(f"The parent run could not be closed: {one_line(error)}")

    def _show(self, parent: Parent) -> None:
        """The sweep's view, now that it is known which runs stand for its jobs and what they can be ranked by."""
        standing = [s for s in self.standings.values() if s.run_id]
        of_others = any(s.state == "finished" and s.sweep != self.sweep for s in standing)
        parent.show(
            [s.run_id for s in standing] if of_others else (), next((best.metric for best in self.best(1)), None)
        )
        parent.color([s.run_id for key in self.jobs if (s := self.standings.get(key)) and s.run_id])
        self._address = parent.address


def _is_decided(standing: JobState | None) -> bool:
    return standing is not None and standing.is_decided


def _must_run(standing: JobState | None) -> bool:
    return not _is_decided(standing)


def _verdict(job: Job, standing: JobState | None) -> str:
    if job.error:
        return f"cannot run ({job.error})"
    if standing is None:
        return "would run"
    other = arithmetic.difference(standing.tags) if standing.state == "finished" else None
    reason = {
        "finished": f"skip: finished as run {standing.run_id}{f', made with {other}' if other else ''}",
        "running": f"skip: another process is at it, run {standing.run_id}",
        "failed": f"would run: failed before ({standing.reason})",
        "lost": f"would run: lost before ({standing.reason})",
    }
    return reason[standing.state]


def run_name(job: Job) -> str:
    """A short name of a job's run: what was swept, without the groups of the keys."""
    short = [item.lstrip("+").split("=", 1) for item in job.swept]
    return " ".join(f"{key.split('.')[-1]}={value}" for key, value in short).replace("'", "") or "one config"
