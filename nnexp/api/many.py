"""Many runs as one object: a sweep that was run, and what was run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nnexp.api.frame import frame_of, row_of
from nnexp.api.result import Result
from nnexp.lookup import Lookup
from nnexp.runs.directory import RECORD
from nnexp.sweeps.ranking import Overview, Score
from nnexp.sweeps.session import REPORT, Session
from nnexp.sweeps.status import JobState

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5  # best settings and failures


@dataclass(frozen=True)
class Sweep:
    """A sweep that was run to its end.

    Attributes
    ----------
    id, name : str
        Its id, which the same jobs always have, and what it is called.
    path : Path or None
        Its folder, with the plan and the report.
    """

    id: str
    name: str
    path: Path | None
    _overview: Overview
    _states: Sequence[JobState]  # in the order of the jobs
    _lookup: Lookup

    @classmethod
    def of(cls, session: Session) -> Sweep:
        """What a session has come to."""
        folder = session.directory.path if session.directory is not None else None
        states = [session.states[key] for key in session.jobs if key in session.states]
        lookup = Lookup(session.root, session.store)
        return cls(session.sweep, session.name, folder, session.overview(), states, lookup)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many jobs were ``planned``, are ``finished``, have ``failed``, ...; ``elsewhere``: by other sweeps."""
        return self._overview.counts

    @property
    def settings(self) -> Sequence[Score]:
        """The settings that were swept, the best first; empty where no metric is a merit of them."""
        return self._overview.best

    @cached_property
    def runs(self) -> list[Result]:
        """The runs that stand for its jobs, in their order: finished ones of earlier sweeps too."""
        return [self._result(state) for state in self._states if state.run_id]

    def _result(self, state: JobState) -> Result:
        if state.directory and (Path(state.directory) / RECORD).is_file():
            return Result.in_directory(state.directory, state.run_id)
        return Result.of(self._lookup.run(state.run_id), self._lookup.store)

    @property
    def best(self) -> Result | None:
        """A run of the best setting, the first of its seeds; None where no metric is a merit of the settings."""
        ids = [run_id for setting in self.settings[:1] for _, run_id in setting.runs]
        return next((run for run in self.runs if run.run_id in ids), None)

    @property
    def report(self) -> Path | None:
        """The page that compares its runs, where one was made."""
        page = self.path / REPORT if self.path is not None else None
        return page if page is not None and page.is_file() else None

    def frame(self) -> pd.DataFrame:
        """One row a run: ids and status, params and metrics, as :func:`nnexp.load_runs` has them."""
        return frame_of([row_of(run) for run in self.runs])

    def _rows(self) -> list[tuple[str, str]]:
        rows = [("jobs", f"{self.counts['finished']} of {self.counts['planned']} finished, "
                         f"{self.counts['failed']} failed")]  # fmt: skip
        rows += [("best" if i == 0 else "", str(setting)) for i, setting in enumerate(self.settings[:SHOWN])]
        failed = [f"{job.name}: {state.reason}" for job, state in self._overview.failures[:SHOWN]]
        rows += [("failed" if i == 0 else "", text) for i, text in enumerate(failed)]
        return [*rows, ("sweep", self.id), *([("report", str(self.report))] if self.report else [])]

    def __repr__(self) -> str:
        best = f", best by {self.settings[0]}" if self.settings else ""
        return f"<Sweep {self.id}: {self.name}, {self._rows()[0][1]}{best}>"

    def _repr_html_(self) -> str:
        from nnexp.api.html import page_of

        return page_of(self.name, self._rows())


@dataclass(frozen=True)
class Rerun:
    """What came of a run or a sweep that was run again.

    Attributes
    ----------
    verdict : str or None
        ``identical``, ``equal within rounding`` or ``different``, of several runs the worst; None where nothing was
        checked.
    changed : tuple of str
        What is not as it was: config, data, code, packages, processor.
    runs : tuple of Result
        The new runs.
    refused : tuple of str
        Why runs were not made again.
    """

    verdict: str | None
    changed: tuple[str, ...]
    runs: tuple[Result, ...]
    refused: tuple[str, ...] = ()

    @property
    def result(self) -> Result:
        """The new run.

        Raises
        ------
        ValueError
            If there is none, or more than one.
        """
        if len(self.runs) != 1:
            raise ValueError(f"{len(self.runs)} runs were made: {'; '.join(self.refused) or 'see `runs`'}")
        return self.runs[0]
