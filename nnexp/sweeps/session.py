"""One start of a sweep: skip what is done, launch the rest, refresh what is known, until every job is decided."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnexp import tasks
from nnexp.companion import destination_of
from nnexp.compose import in_grammar
from nnexp.config import BEST, TrackingConfig
from nnexp.errors import ExitStatus, one_line
from nnexp.runs import backlog, provenance
from nnexp.runs.directory import PLAN_FILE, PUBLISHED, RunDirectory, peek
from nnexp.runs.records import RunStatus
from nnexp.summary import how_to_open
from nnexp.sweeps import deferred, desk, directory, messages, sharing
from nnexp.sweeps.desk import Call, ParentRun
from nnexp.sweeps.job_states import JobStates
from nnexp.sweeps.jobs import Job, Plan, SearchGoal
from nnexp.sweeps.link import StoreLink, kept_back
from nnexp.sweeps.parent import Told
from nnexp.sweeps.ranking import Overview, overview
from nnexp.sweeps.status import JobState, State, outcome
from nnexp.tasks.interface import Task
from nnexp.terminal import progress_line, say, tell
from nnexp.timeline import span
from nnexp.tracking.server import publishes
from nnexp.tracking.store import Store

REPORT = "report/report.html"  # in the folder of a sweep
MOST_DRAWN = 100  # jobs of a sweep that are all drawn, unless `figures.of` says otherwise
MOST_DRAWN_BEST = 10  # runs of the best setting
POLL_SECONDS = 1.0
LATE_SECONDS = 30.0  # after its end by which a run is in the store; one that is later is seen at the end
INTERRUPTED_SECONDS = 10.0  # in which runs that are interrupted have to be closed

Launch = Callable[[list[list[str]]], Sequence[Any] | None]  # gives the outcome of each job, where it is known

# The report of a sweep in a store, into a folder, with the margin up to which differences are of no account: its page,
# and what it says of the best setting.
MakeReport = Callable[[Store, str, Path, float | None], tuple[Path, tuple[str, ...]]]
# What runs of a task with these params can show, in sentences; a store may have earlier ones.
Foresee = Callable[[Task[Any], Sequence[Mapping[str, Any]], Store | None], Sequence[str]]


@dataclass(frozen=True)
class Controls:
    """How a sweep is run."""

    resume: bool | str
    dry_run: bool
    fail_fast: bool
    tracking: TrackingConfig
    command: str
    concurrency: int  # jobs that the launcher runs at a time
    make_report: MakeReport | None = None
    prepare_report: Callable[[Any], None] | None = None  # imports what it needs
    prints_end: bool = True  # on standard output
    margin: float | None = None  # of its report
    figures_of: str | None = None  # of which runs figures are drawn


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
        call: Call | None = None,
    ) -> None:
        self.sweep, self.name, self.swept_keys = sweep, name, swept_keys
        self.controls, self.launch = controls, launch
        self.root = controls.tracking.directory
        self.task = task or tasks.find(tasks.NETWORK)
        since = 0.0 if controls.resume else time.time()
        strict_before = time.time() if controls.resume == provenance.STRICT else 0.0
        made_for = destination_of(controls.tracking)
        self.link = StoreLink(store, call, self.root, sweep, made_for, since=since, strict_before=strict_before)
        self.jobs: dict[str, Job] = {}
        self.job_states = JobStates(self.root)
        self.directory: RunDirectory | None = None
        self.to_come = 0  # jobs that a search has yet to propose
        self.goal: SearchGoal | None = None  # of a search
        self.line = progress_line()
        self._began = time.time()
        self._has_launched = False
        self._whole_as: str | None = None  # the parent run, where the store had the sweep whole before this start
        self._address: str | None = None  # of the runs in the UI
        self._choice: tuple[str, ...] = ()  # what the report says of the best setting
        self._lost_report = False  # which the store did not let be made

    @property
    def store(self) -> Store | None:
        """The store, where there is one and it can be reached."""
        return self.link.store

    @property
    def plan_file(self) -> Path:
        """Where its plan is, once it has begun."""
        return directory.sweep_directory(self.root, self.sweep) / PLAN_FILE

    @property
    def states(self) -> dict[str, JobState]:
        """What is known of the jobs, by their keys."""
        return self.job_states.known

    @classmethod
    def of(
        cls, plan: Plan, controls: Controls, store: Store | None, launch: Launch, task: Task[Any], call: Call | None
    ) -> Session:
        """The session of a grid."""
        return cls(plan.sweep, plan.name, plan.swept_keys, controls, store, launch, task, call)

    # The ways through a sweep.

    def dry_run(self, jobs: Sequence[Job]) -> int:
        """Print what would run and what would be skipped and why."""
        known = self.refresh(jobs)
        for job in jobs:
            tell(f"{messages.verdict(job, known.get(job.key)):<60}  {job.name}")
        wrong = sum(job.error is not None for job in jobs)
        runs = sum(job.error is None and messages.is_to_run(known.get(job.key)) for job in jobs)
        print(f"{runs} of {len(jobs)} jobs would run.")
        if wrong:
            say(f"{wrong} of {len(jobs)} jobs cannot run, so the sweep would not start.")
        return ExitStatus.BAD_USAGE if wrong else ExitStatus.DONE

    def run(self, jobs: Sequence[Job]) -> int:
        """Run a grid to its end; return the exit status."""
        is_new = self.link.lacks([job.key for job in jobs])  # then no job waits for the store: it is asked meanwhile
        known: dict[str, JobState] = {}
        if not is_new:
            self.link.recover()
            known = self.refresh(jobs)
        messages.tell_skipped(self.name, jobs, known)
        folder = self.begin(jobs)
        try:
            if is_new:
                self.link.open_later(folder, self.task.name, self._prepare_report)
            else:
                self.link.open(folder, self.task.name)
            self.work(jobs, known)
            self.link.wait()
        except KeyboardInterrupt:
            return self.interrupted()
        return self.close()

    def begin(self, jobs: Sequence[Job]) -> RunDirectory:
        """Make the sweep's directory, with its plan."""
        tracking = self.controls.tracking
        plan = directory.plan_of(
            self.sweep, self.name, self.swept_keys, self.controls.command, jobs, tracking, self.task, self.goal
        )
        self._whole_as = directory.whole_as(self.root, plan)
        self.directory = directory.begin(plan, self.task, self.root, tracking.heartbeat)
        return self.directory

    def work(self, jobs: Sequence[Job], known: dict[str, JobState] | None = None) -> None:
        """Launch what is missing and wait for what others hold, until every job is decided."""
        self.jobs |= {job.key: job for job in jobs}
        self.learn(known if known is not None else self.refresh(jobs))
        messages.tell_other_arithmetic([state for job in jobs if (state := self.states.get(job.key))])
        try:
            with messages.Repeatedly(self._watch):
                self._until_decided(jobs)
        finally:
            self.line.close()

    def _until_decided(self, jobs: Sequence[Job]) -> None:
        launched: set[str] = set()  # keys of jobs that came back, or took their process down
        while True:
            missing = [job for job in jobs if self.job_states.is_missing(job, launched)]
            if self.controls.fail_fast:
                missing = missing[: self.controls.concurrency]
            if missing:
                left = self._launch(missing)
                launched |= {job.key for job in missing} - left
                if len(left) == len(missing):
                    time.sleep(POLL_SECONDS)
            elif any(self.job_states.of(job) is State.RUNNING for job in jobs):
                time.sleep(POLL_SECONDS)
            else:
                return
            self._learn_of(jobs)
            if self.controls.fail_fast and self.overview().failures:
                return

    def close(self) -> int:
        """Tell how the sweep ended; return the exit status."""
        self.link.recover()  # what seemed to be alive on other machines when it began may have been silent ever since
        known = self.overview()
        self._draw_best(known)
        kept, elsewhere = self._kept_back(), self._kept_elsewhere()
        is_in_store = known.counts["finished"] > len(elsewhere)
        report = self._compare() if is_in_store and self._lacks_report() else None
        status, message = outcome(known.counts)
        is_closed = self._end(status, message, is_whole=not kept)
        if self.controls.prints_end:
            self._print_end(known, message, report)
        if kept:
            runs, their = ("1 run is", "its directory") if kept == 1 else (f"{kept} runs are", "their directories")
            later = publishes(self.link.problem, "what is missing")
            say(f"{runs} not published, but complete in {their}; {later}.")
        elif not is_closed:
            say(f"The parent run is not closed; {publishes(self.link.problem, 'what is missing')}.")
        if self._lost_report:
            say("The same command makes the report once the store can be used.")
        messages.tell_unpublished(elsewhere)
        if known.failures:
            return ExitStatus.DIFFERENT
        is_whole = is_closed and not (kept or elsewhere or self._lost_report)
        return ExitStatus.DONE if is_whole else ExitStatus.NOT_PUBLISHED

    def _print_end(self, known: Overview, message: str, report: Path | None) -> None:
        links, choice = {}, self._choice
        if report is None and len(known.best) > 1 and self.goal is None:
            choice = tuple(filter(None, [self.task.about_selection(known.best[0].metric, len(known.best))]))
        if self._address is not None:
            links["compare"] = how_to_open(self._address, self.controls.tracking)
        if report is not None:
            links["report"] = os.path.relpath(report)
        messages.print_end(known, message, choice, links)
        sys.stdout.flush()

    def interrupted(self) -> int:
        """After Ctrl-C: wait for the runs to be closed, close those that nobody closes."""
        say("Interrupted; closing the runs. The same command completes the sweep.")
        closing = threading.Thread(target=self._close_interrupted, name="nnexp-closing", daemon=True)
        closing.start()
        closing.join(2 * INTERRUPTED_SECONDS)
        if closing.is_alive():  # in a call that the store does not answer
            self._finish_directory(RunStatus.KILLED, "interrupted", None, is_whole=False)
        if self.controls.tracking.backend == "mlflow" and (n := self._n_kept_back()):
            later = publishes(self.link.problem, "what is missing")
            say(f"Not published yet: {n} {'run' if n == 1 else 'runs'}; {later}.")
        return ExitStatus.INTERRUPTED

    def _close_interrupted(self) -> None:
        deadline = time.monotonic() + INTERRUPTED_SECONDS
        self.link.wait(INTERRUPTED_SECONDS)
        while time.monotonic() < deadline:
            self.learn(self.refresh(list(self.jobs.values()), elsewhere=False))
            is_open = any(state.state is State.RUNNING for state in self.states.values())
            if not is_open and (self.link.problem is not None or not self._n_kept_back()):
                break
            time.sleep(0.5)
        self._end(RunStatus.KILLED, "interrupted", is_whole=not self._n_kept_back())

    # What is known of the jobs.

    def refresh(self, jobs: Sequence[Job], *, elsewhere: bool = True) -> dict[str, JobState]:
        """The states of the jobs now."""
        return self.link.refresh([job.key for job in jobs], repair=not self.controls.dry_run, elsewhere=elsewhere)

    def _newest_end(self) -> float:
        """When the last of the runs ended that are known to have, in seconds since the epoch."""
        return max((state.start + state.seconds for state in self.states.values() if state.seconds), default=0.0)

    def learn(self, found: dict[str, JobState], *, complete: bool = False) -> None:
        """Take what was read into what is known."""
        # Without a store, what this machine does not know of has ended.
        self.job_states.learn(found, complete=complete or not self.link.is_there)

    def _watch(self, is_over: Callable[[], bool]) -> None:
        """Bring what is known, the parent run and the progress line up to date while the launcher works."""
        returns = self.job_states.returns
        found = self.link.read(list(self.jobs), repair=False, elsewhere=False, after=self._newest_end() - LATE_SECONDS)
        if is_over() or self.job_states.returns != returns:
            return  # the session reads anew by itself: a run that has come back would be taken for one that runs
        self.learn(found)
        self.report()
        self.beat()
        counts = self.overview().counts
        if counts["planned"] - counts["finished"] - counts["failed"] <= 2 * self.controls.concurrency:
            self._prepare_report()
        if self.line.is_due() and not is_over():
            self.line.show(self.progress(), self.share())

    def _prepare_report(self) -> None:
        """Have what the report needs imported while jobs are trained; asked for again, it does nothing."""
        if self.controls.prepare_report is not None and self.link.is_there:
            with suppress(Exception):  # which is told where the report is made
                self.link.call(self.controls.prepare_report)

    def _learn_of(self, jobs: Sequence[Job]) -> None:
        """Find out what came of a launch or a wait; the runs of other sweeps are asked for where own ones are open."""
        found = {} if self.job_states.left else self.refresh(jobs, elsewhere=False)
        if all(job.key in found and found[job.key].is_decided for job in jobs):
            self.learn(found)
        else:
            self.learn(self.refresh(jobs), complete=True)

    def overview(self) -> Overview:
        """Counts, best settings and failures as they are known."""
        return overview(self.task, self.jobs, self.states, self.sweep, self.to_come, self.goal)

    @property
    def draws_best(self) -> bool:
        """Whether figures are drawn of the runs of the best setting only, when the sweep ends."""
        of, planned = self.controls.figures_of, len(self.jobs) + self.to_come
        return of == BEST or (of is None and planned > MOST_DRAWN)

    def _draw_best(self, known: Overview) -> None:
        """Draw the figures of the runs of the best setting, where the runs were made without."""
        if self.draws_best and known.best:
            best = {run_id for _, run_id in known.best[0].runs[:MOST_DRAWN_BEST]}
            paths = [state.directory for state in self.states.values() if state.run_id in best and state.directory]
            try:
                self.link.call(desk.draw_figures, self.root, paths, self.controls.tracking.uri)
            except Exception as error:
                say(f"The figures of the best setting could not be drawn: {one_line(error)}")

    # One launch.

    def _launch(self, jobs: Sequence[Job]) -> set[str]:
        """Have jobs done; return the keys of those that were left to another process."""
        overrides = [
            [
                *job.overrides,
                f"tracking.sweep='{self.sweep}'",
                f"tracking.run_name={in_grammar(job.run_name)}",
                *([f"tracking.planned={in_grammar(job.planned)}"] if job.planned else []),
                *([f"figures.of={BEST}"] if self.draws_best else []),
            ]
            for job in jobs
        ]
        self._has_launched = True
        deferred.begin()
        outcomes: Sequence[Any] = ()
        try:
            with span("waiting"):  # for workers; jobs that are done in this process have spans of their own
                outcomes = self.launch(overrides) or ()
        except Exception as error:
            say(f"The launcher stopped: {one_line(error)}. The remaining jobs are started anew.")
        finally:
            sharing.clear(self.root, self.sweep)
        with span("waiting"):
            deferred.wait_for(self.root, self.sweep)
        return self.job_states.take(jobs, outcomes)

    # What is told.

    def progress(self) -> list[str]:
        """The state of the sweep, in parts for one line."""
        known = self.overview()
        open_jobs = known.counts["planned"] - known.counts["finished"] - known.counts["failed"]
        rows, how_far = messages.last_rows(self.root, self.sweep), self.task.presentation.progress
        running = [
            (job.run_name, how_far(rows.get(key) or state.metrics))
            for key, job in self.jobs.items()
            if (state := self.states.get(key)) and state.state is State.RUNNING
        ]
        left = messages.time_left(list(self.states.values()), open_jobs, self._began, time.time())
        return messages.describe(known.counts, running, left, known.best_so_far)

    def share(self) -> float:
        """The share of the jobs that are decided."""
        counts = self.overview().counts
        return (counts["finished"] + counts["failed"]) / max(counts["planned"], 1)

    def report(self) -> None:
        """Counts, best settings and failures to the parent run."""
        if self.link.parent is not None:
            self.link.parent.say(Told.of(self.overview(), self._choice))

    def beat(self) -> None:
        """Say that the sweep is alive, on the disk and in the store."""
        if self.directory is not None:
            backlog.beat(self.directory)
        if self.link.parent is not None:
            self.link.parent.beat()

    def _lacks_report(self) -> bool:
        """Whether there is no report of the runs as the store has them now; one that was cut off may be half there."""
        if self._has_launched or self.link.was_broken_off or self.directory is None:
            return True
        news = (Path(state.directory) / PUBLISHED for state in self.states.values() if state.directory)
        newest = max(self._newest_end(), max(map(_changed, news), default=0.0))
        return _changed(self.directory.path / REPORT) < newest

    @span("waiting")
    def _compare(self) -> Path | None:
        """The report of the sweep, in its folder and at the parent run; None where there is no store to read."""
        make = self.controls.make_report
        if make is None or self.link.parent is None or self.directory is None:
            return None
        try:
            folder = (self.directory.path / REPORT).parent
            path, self._choice = self.link.make_report(make, folder, self.controls.margin)
            return path
        except Exception as error:
            say(f"The report could not be made: {one_line(error)}")
            self._lost_report = self.link.is_to_blame(error)
            if self._lost_report:
                with suppress(OSError):  # one that the parent run did not get is made anew
                    os.utime(self.directory.path / REPORT, (0, 0))
            return None

    def _kept_back(self) -> int:
        """How many ended runs of this sweep the store does not have whole, once there was time for the rest."""
        if self.controls.tracking.backend != "mlflow":
            return 0
        return kept_back(self.link, self._n_kept_back, self.controls.tracking.patience)

    def _kept_elsewhere(self) -> list[tuple[str, str]]:
        """The runs that other machines could not publish, by host and reason; they get time as long as they go on."""
        if self.controls.tracking.backend != "mlflow":
            return []
        patience = self.controls.tracking.patience if self.link.is_there else 0
        last, n_last = time.monotonic(), len(self.job_states.unpublished)
        while n_last and time.monotonic() <= last + patience:
            time.sleep(POLL_SECONDS)
            self.learn(self.refresh(list(self.jobs.values()), elsewhere=False))
            if len(self.job_states.unpublished) < n_last:
                last, n_last = time.monotonic(), len(self.job_states.unpublished)
        return list(self.job_states.unpublished.values())

    def _n_kept_back(self) -> int:
        known = [found for each in backlog.entries(self.root) if (found := peek(each))]
        return sum(result is not None and record.sweep == self.sweep for record, result in known)

    # The end.

    @span("store")
    def _end(self, status: RunStatus, message: str, *, is_whole: bool) -> bool:
        """Close the parent run and the directory; what could not be published stays in the backlog for `nnexp sync`.

        Returns
        -------
        bool
            Whether the parent run is closed, where the sweep is to have one.
        """
        run_id = None
        try:
            if (parent := self.link.parent) is not None:
                self._show(parent)
                self.report()
                run_id = parent.end(status, message)
            elif not self._has_launched:
                run_id = self._whole_as  # and nothing has been added
        except Exception as error:
            self.link.problem = one_line(error)
            say(f"The parent run could not be closed: {self.link.problem}")
        self._finish_directory(status, message, run_id, is_whole=is_whole)
        return run_id is not None or self.controls.tracking.backend != "mlflow"

    def _finish_directory(self, status: RunStatus, message: str, run_id: str | None, *, is_whole: bool) -> None:
        try:
            if self.directory is not None and directory.is_own(self.directory):
                is_whole = is_whole and run_id is not None
                run_id = run_id or self.directory.uid
                directory.finish(self.directory, run_id, status, message, time.time(), is_whole=is_whole)
        except (OSError, ValueError) as error:
            say(f"The end of the sweep could not be recorded: {one_line(error)}")

    def _show(self, parent: ParentRun) -> None:
        """The sweep's view, now that it is known which runs stand for its jobs and what they can be ranked by."""
        known = [state for state in self.states.values() if state.run_id]
        of_others = any(state.state is State.FINISHED and state.sweep != self.sweep for state in known)
        best = self.overview().best
        colored = [state.run_id for key in self.jobs if (state := self.states.get(key)) and state.run_id]
        shown = [state.run_id for state in known] if of_others else ()
        self._address = parent.show(shown, best[0].metric if best else None, colored)


def _changed(path: Path) -> float:
    """When a file was written, in seconds since the epoch; 0 where it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
