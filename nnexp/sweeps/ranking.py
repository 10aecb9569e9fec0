"""How a sweep stands: counts, failures, and which settings are the best.

Those are ranked by means over their seeds, in the order in which the sweep's report has them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from nnexp.sweeps.plan import Job
from nnexp.sweeps.status import JobState, State, count
from nnexp.tasks.interface import Task

SEED = "seed"
Done = tuple[Job, JobState]


@dataclass(frozen=True)
class Score:
    """A setting, which is all that was swept but the seed, and the mean of a metric over its finished seeds.

    `ranked_by` and `shown` are the metric and the mean as text. `runs` are pairs of a seed and a run's id; the seed is
    empty where none was swept.
    """

    metric: str
    ranked_by: str
    shown: str
    name: str
    runs: tuple[tuple[str, str], ...]

    @property
    def n_seeds(self) -> int:
        """Number of seeds that have finished."""
        return len(self.runs)

    def __str__(self) -> str:
        mean = f" (mean of {self.n_seeds} seeds)" if self.n_seeds > 1 else ""
        return f"{self.ranked_by} {self.shown}{mean}: {self.name}"


def rank(task: Task[Any], done: Iterable[Done]) -> list[Score]:
    """The settings among finished jobs, best first; of several data sets the best setting of each.

    Empty where the task knows no metric that is a merit of its settings.
    """
    found = list(done)
    metric, *ties = task.ranking([run.metrics for _, run in found], [run.params for _, run in found]) or [""]
    if not task.ranks(metric):
        return []
    settings: dict[tuple[str, tuple[str, ...]], list[Done]] = {}
    for job, run in found:
        if metric in run.metrics:
            settings.setdefault((task.data_label(run.params), _without_seed(job)), []).append((job, run))
    most = max(map(len, settings.values()), default=0)

    def mean(key: str, entries: Collection[Done]) -> float:
        """The mean, the lowest the best."""
        sign = -1 if task.metrics[key].higher_is_better else 1
        return sign * fmean(run.metrics.get(key, sign * math.inf) for _, run in entries)

    def order(entries: Collection[Done]) -> tuple[bool, list[float], int]:
        means = [mean(key, entries) for key in (metric, *ties)]
        return 2 * len(entries) < most, means, min(job.number for job, _ in entries)

    ranked = sorted(settings.items(), key=lambda item: order(item[1]))
    if len({data for data, _ in settings}) > 1:  # figures on different data do not compare
        ranked = list({data: ((data, name), entries) for (data, name), entries in reversed(ranked)}.values())[::-1]
    shown = task.presentation
    return [
        Score(
            metric,
            shown.metric_name(metric),
            shown.show(metric, fmean(run.metrics[metric] for _, run in entries)),
            " ".join(name) or "the config as it is",
            tuple((_seed_of(job), run.run_id) for job, run in entries),
        )
        for (_, name), entries in ranked
    ]


def heading(scores: Collection[Score]) -> str:
    """What a list of settings is ordered by."""
    first = next(iter(scores))
    counts = {score.n_seeds for score in scores}
    over = "" if counts == {1} else f", mean over {max(counts)} seeds" if len(counts) == 1 else ", mean over seeds"
    return f"by {first.ranked_by}{over}"


def lines(scores: Collection[Score]) -> list[str]:
    """One line a setting, with its seeds where not all have as many."""
    uneven = len({score.n_seeds for score in scores}) > 1
    seeds = [f" ({s.n_seeds} seed{'s' * (s.n_seeds != 1)})" if uneven else "" for s in scores]
    return [f"{s.shown}  {s.name}{n}" for s, n in zip(scores, seeds, strict=True)]


def _key_of(swept: str) -> str:
    return swept.partition("=")[0].lstrip("+")


def _without_seed(job: Job) -> tuple[str, ...]:
    return tuple(item for item in job.swept if _key_of(item) != SEED)


def _seed_of(job: Job) -> str:
    return next((item.partition("=")[2] for item in job.swept if _key_of(item) == SEED), "")


@dataclass(frozen=True)
class Overview:
    """How a sweep stands.

    Attributes
    ----------
    counts
        As of :func:`nnexp.sweeps.status.count`.
    best
        All settings, the best first.
    failures
        The jobs that failed, with what stands for them.
    """

    counts: Mapping[str, int]
    best: list[Score]
    failures: list[tuple[Job, JobState]]


def overview(
    task: Task[Any], jobs: Mapping[str, Job], states: Mapping[str, JobState], sweep: str, to_come: int = 0
) -> Overview:
    """How a sweep stands; `to_come` are jobs that a search has yet to propose."""
    known = [(job, states[key]) for key, job in jobs.items() if key in states]
    done = sorted((each for each in known if each[1].state is State.FINISHED), key=lambda each: each[0].number)
    return Overview(
        count(list(states.values()), len(jobs) + to_come, sweep),
        rank(task, done),
        [each for each in known if each[1].state is State.FAILED],
    )
