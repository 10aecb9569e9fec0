"""The parent run: a sweep as one object of the store, with its plan, its live counts and its best settings."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnexp import tasks
from nnexp.runs import lease
from nnexp.runs.arbitration import ClaimState
from nnexp.runs.directory import PLAN_FILE
from nnexp.runs.files import to_json
from nnexp.runs.records import RunRecord, RunStatus, SweepPlan
from nnexp.runs.tags import BEST, CLAIM, HEARTBEAT, HEARTBEAT_EVERY, JOBS, KIND, OWNER, PARENT, SWEEP, UID
from nnexp.sweeps.ranking import Overview, Score, heading
from nnexp.tracking import store_arbiter, views
from nnexp.tracking.notes import NOTE, sweep_note
from nnexp.tracking.store import Store
from nnexp.tracking.store_arbiter import is_lost
from nnexp.tracking.stored_run import StoredRun
from nnexp.tracking.uploads import remove_half_uploads

COLOR = "mlflow.runColor"
MOST_COLORED = 60  # runs; more lines cannot be told apart
REPORT_FILE = "report.html"
SHOWN = 5  # best settings


@dataclass(frozen=True)
class Told:
    """What the parent run says of its jobs.

    `counts` of the jobs by their states, the best settings with what they are ranked by, what failed and why, and what
    the report says of the best setting, and remarks on the runs as a whole.
    """

    counts: Mapping[str, int]
    best: Sequence[Score]
    heading: str
    failures: Sequence[str]
    choice: Sequence[str] = ()

    @classmethod
    def of(cls, known: Overview, choice: Sequence[str] = ()) -> Told:
        """What is known, as it is told."""
        best = known.listed[:SHOWN]
        failures = [f"{job.name}: {state.reason}" for job, state in known.failures]
        return cls(known.counts, best, heading(best) if best else "", failures, (*choice, *known.remarks))


class Parent:
    """The parent run of a sweep in a store. Everything it says can be said again."""

    def __init__(self, store: Store, plan: SweepPlan, record: RunRecord) -> None:
        self.store, self.plan, self.record = store, plan, record
        self.task = tasks.recorded(record.task)
        self.run_id: str | None = None
        self.was_broken_off = False  # the sweep was begun before, and did not come to its end
        self._links: dict[str, str] = {}
        self._said: dict[str, str] = {}  # what is shown of the sweep,
        self._told = self._beaten = float("-inf")  # and when that was said last, and that it is alive

    def ensure(self) -> str:
        """Find the parent run of the sweep or make it; open it again where it had ended."""
        if self.run_id is None:
            self.run_id = store_arbiter.obtain(self.store, self.record.uid, self._create)
        return self.run_id

    def _create(self, claim: ClaimState) -> str:
        tags = {
            **self.record.tags,
            UID: self.record.uid,
            CLAIM: claim.value,
            OWNER: lease.owner(),  # who makes it, for those who wait for it
            **self._signs(),
        }
        return self.store.create(self.record.name, self.record.started, tags)

    def _signs(self) -> dict[str, str]:
        return {HEARTBEAT: f"{time.time():.1f}", HEARTBEAT_EVERY: str(self.record.heartbeat)}

    def begin(self) -> None:
        """Say that the sweep runs, in this process, and show its plan."""
        run_id = self.ensure()
        self._take_over(self.store.get(run_id))
        self.store.client.update_run(run_id, status=RunStatus.RUNNING.value)
        self.hold()
        self.introduce()

    def hold(self) -> None:
        """Say that the process that has the sweep's directory is at work."""
        self.store.tag(self.ensure(), {OWNER: self.record.owner, **self._signs()})

    def introduce(self) -> None:
        """Keep the plan, have every run of the sweep under the parent, and give the sweep its view."""
        self.store.client.log_text(self.ensure(), to_json(self.plan.to_json()), PLAN_FILE)
        self.adopt()
        self.show()

    def adopt(self) -> None:
        """Put every run of the sweep under this parent; one of an earlier start may have been deleted since."""
        run_id = self.ensure()
        for run in self.store.tagged(SWEEP, self.plan.sweep):
            if KIND not in run.tags and run.tags.get(PARENT) != run_id:
                self.store.tag(run.run_id, {PARENT: run_id})

    def _take_over(self, run: StoredRun | None) -> None:
        """See how the sweep ended when it ran before."""
        if run is None or run.tags.get(OWNER) == lease.owner():
            return
        is_at_work = run.status == RunStatus.RUNNING and not is_lost(run)
        self.was_broken_off = run.status == RunStatus.KILLED or (run.status == RunStatus.RUNNING and not is_at_work)
        if not is_at_work:
            remove_half_uploads(run.artifact_uri)

    def show(self, run_ids: Collection[str] = (), ranked_by: str | None = None) -> None:
        """Give the sweep its view in the UI."""
        run_id = self.ensure()
        shown, ranked_by = self.task.presentation, ranked_by or self.task.objective
        views.keep_sweep(self.store, self.plan, run_id, shown, run_ids, ranked_by)
        sweep, modes = self.plan.sweep, {"table": "TABLE", "curves": "CHART", "per class": "ARTIFACT"}
        self._links = {text: views.local_address(self.store, sweep, run_id, mode=modes[text]) for text in modes}
        if views.over_seeds(self.plan):
            means = views.local_address(self.store, sweep + views.SEEDS, run_id, mode="CHART")
            self._links["means over seeds"] = means
        self._links["report"] = f"{self._run_link}{run_id}/artifacts/{REPORT_FILE}"

    def color(self, run_ids: Sequence[str]) -> None:
        """Give the runs of the sweep colours of their own in the UI's charts, but for those that have one."""
        runs = {run.run_id: run for run in self.store.tagged(SWEEP, self.plan.sweep)}
        for run_id, color in zip(run_ids[:MOST_COLORED], views.colors(len(run_ids[:MOST_COLORED])), strict=True):
            if run_id in runs and COLOR not in runs[run_id].tags:
                self.store.tag(run_id, {COLOR: color})

    @property
    def _run_link(self) -> str:
        return f"#/experiments/{self.store.experiment_id}/runs/"

    @property
    def address(self) -> str:
        """What to open in a browser to compare the runs of the sweep."""
        return views.address(self.store, self.plan.sweep, self.ensure())

    def attach(self, page: Path) -> None:
        """Keep a report's page where the UI shows it."""
        self.store.client.log_artifact(self.ensure(), str(page))

    def beat(self) -> None:
        """Say that the sweep is alive, unless that was said a moment ago."""
        if self._is_due(self._beaten):
            self.store.beat(self.ensure())
            self._beaten = time.monotonic()

    def _is_due(self, last: float) -> bool:
        """Whether it was long ago, on the scale of heartbeats, that something was said."""
        return time.monotonic() - last > self.record.heartbeat / 2

    def say(self, told: Told) -> None:
        """Bring counts, best settings, what the report says of them, and the note up to date."""
        tags = {JOBS + name: str(n) for name, n in told.counts.items()}
        links = (self._links, self._run_link)
        tags[NOTE] = sweep_note(self.plan, told.counts, told.best, told.heading, told.failures, *links, told.choice)
        if told.best:
            tags[BEST] = str(told.best[0])
        if tags != self._said or self._is_due(self._told):
            self.store.tag(self.ensure(), tags)
            self._said, self._told = tags, time.monotonic()

    def end(self, status: str, message: str, ended: float | None = None) -> str:
        """Close the sweep, and return its id; a run that ended meanwhile may name the parent of an earlier start."""
        self.adopt()
        self.store.terminate(self.ensure(), status, ended, message)
        return self.ensure()
