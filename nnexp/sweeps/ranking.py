"""How a sweep stands: counts, failures, and which settings are the best.

Those are ranked by means over their seeds, in the order in which the sweep's report has them.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from nnexp import kernels
from nnexp.runs.tags import KERNEL
from nnexp.statistics.completeness import completeness
from nnexp.sweeps.jobs import Job, SearchGoal
from nnexp.sweeps.status import JobState, State, count
from nnexp.tasks.interface import Task

SEED = "seed"
MOST_MISSING = 4
Done = tuple[Job, JobState]
Setting = tuple[str, tuple[str, ...]]  # the data, and what was swept but for what makes a replicate


@dataclass(frozen=True)
class Score:
    """A setting, which is all that was swept but the seed, and the mean of a metric over its finished seeds.

    `ranked_by` and `shown` are the metric and the mean as text. `runs` are pairs of a seed and a run's id; the seed is
    empty where none was swept. `missing` are the seeds that keep it from being ranked.
    """

    metric: str
    ranked_by: str
    shown: str
    name: str
    runs: tuple[tuple[str, str], ...]
    missing: tuple[str, ...] = ()
    noun: str = "seed"  # "run" where more than seeds were swept that makes no other setting
    is_front: bool = False  # of a search with several objectives: no other setting is better in all of them

    @property
    def n_seeds(self) -> int:
        """Number of seeds that have finished."""
        return len(self.runs)

    def __str__(self) -> str:
        mean = f" (mean of {self.n_seeds} {self.noun}s)" if self.n_seeds > 1 else ""
        return f"{self.ranked_by} {self.shown}{mean}: {self.name}"


def rank(
    task: Task[Any], done: Iterable[Done], failed: Iterable[Job] = (), goal: SearchGoal | None = None
) -> list[Score]:
    """The settings among finished jobs, best first; of several data sets the best setting of each.

    Those of a search are ranked by its objective; of several objectives by the first, and the Pareto front comes first.

    As in a report they are ranked over the seeds that they share, and those that lack some, or failed on some, come
    last. Empty where the task knows no metric that is a merit of its settings, or none can be ranked.
    """
    found = list(done)
    metric, *ties = task.ranking([run.metrics for _, run in found], [run.params for _, run in found]) or [""]
    if goal is not None:
        metric, *ties = dict.fromkeys([*goal.objectives, *filter(task.ranks, ties)])
    elif not task.ranks(metric):
        return []
    is_better = {key: task.metrics[key].higher_is_better for key in (metric, *ties) if task.ranks(key)}
    is_better |= goal.higher_is_better if goal is not None else {}
    objectives = goal.objectives if goal is not None else (metric,)
    settings: dict[Setting, dict[tuple[str, ...], Done]] = {}
    for job, run in found:
        if all(math.isfinite(run.metrics.get(key, math.nan)) for key in objectives):
            name, replicate = _parts(task, job)
            settings.setdefault((task.data_label(run.params), name), {})[replicate] = (job, run)
    tried: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for job in failed:
        name, replicate = _parts(task, job)
        tried.setdefault(name, set()).add(replicate)
    kept: dict[Setting, list[Done]] = {}
    missing: dict[Setting, frozenset[tuple[str, ...]]] = {}
    for data in dict.fromkeys(data for data, _ in settings):
        of_data = {setting: runs for setting, runs in settings.items() if setting[0] == data}
        common = completeness(of_data, {setting: tried.get(setting[1], set()) for setting in of_data})
        missing |= common.missing
        for setting, runs in of_data.items():
            shown = [run for replicate, run in runs.items() if replicate in common.common]
            kept[setting] = list(runs.values()) if setting in common.missing else shown
    if all(setting in missing or not runs for setting, runs in kept.items()):
        return []

    def mean(key: str, entries: Collection[Done]) -> float:
        """The mean, the lowest the best."""
        sign = -1 if is_better[key] else 1
        return sign * fmean(run.metrics.get(key, sign * math.inf) for _, run in entries)

    means = {
        setting: [mean(key, runs) for key in objectives]
        for setting, runs in kept.items()
        if runs and setting not in missing
    }
    front = {
        setting
        for setting, own in means.items()
        if len(objectives) > 1
        and not any(other != own and all(map(operator.le, other, own)) for other in means.values())
    }

    def order(item: tuple[Setting, Collection[Done]]) -> tuple[bool, bool, list[float], int]:
        setting, entries = item
        own = [mean(key, entries) for key in (metric, *ties)]
        return setting in missing, setting not in front, own, min(job.number for job, _ in entries)

    ranked = sorted(((setting, runs) for setting, runs in kept.items() if runs), key=order)
    if len({data for data, _ in settings}) > 1:  # figures on different data do not compare
        ranked = list({data: ((data, name), entries) for (data, name), entries in reversed(ranked)}.values())[::-1]
    presentation, keys = task.presentation, {_key_of(item) for job, _ in found for item in _parts(task, job)[1]}
    noun = SEED if keys <= {SEED} else "run"
    return [
        Score(
            metric,
            " and ".join(presentation.metric_name(key) if task.ranks(key) else key for key in objectives),
            ", ".join(presentation.show(key, fmean(run.metrics[key] for _, run in entries)) for key in objectives),
            " ".join(setting[1]) or "the config as it is",
            tuple((_seed_of(task, job), run.run_id) for job, run in entries),
            tuple(sorted(" ".join(replicate) for replicate in missing.get(setting, ()))),
            noun,
            setting in front,
        )
        for setting, entries in ranked
    ]


def heading(scores: Collection[Score]) -> str:
    """What a list of settings is ordered by."""
    first = next(iter(scores))
    counts = {score.n_seeds for score in scores}
    over = (
        ""
        if counts == {1}
        else f", mean over {max(counts)} {first.noun}s"
        if len(counts) == 1
        else f", mean over {first.noun}s"
    )
    return f"{'Pareto front of' if first.is_front else 'by'} {first.ranked_by}{over}"


def lines(scores: Collection[Score]) -> list[str]:
    """One line a setting, with its seeds where not all have as many, and what it lacks."""
    uneven = len({score.n_seeds for score in scores}) > 1
    return [f"{s.shown}  {s.name}{_seeds(s) if uneven or s.missing else ''}" for s in scores]


def _seeds(score: Score) -> str:
    seeds = f"{score.n_seeds} {score.noun}{'s' * (score.n_seeds != 1)}"
    if not score.missing:
        return f" ({seeds})"
    lacking = ", ".join(score.missing) if len(score.missing) <= MOST_MISSING else f"{len(score.missing)} results"
    return f" ({seeds}; not ranked: without {lacking})"


def _parts(task: Task[Any], job: Job) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was swept of a job: what makes a setting, and what makes a replicate of it."""
    keys = task.replicate_keys
    setting = tuple(item for item in job.swept if _key_of(item) not in keys)
    return setting, tuple(item for item in job.swept if _key_of(item) in keys)


def _seed_of(task: Task[Any], job: Job) -> str:
    """The seed, or where other replicates were swept too, all that makes this one."""
    _, replicate = _parts(task, job)
    is_seed = len(replicate) == 1 and _key_of(replicate[0]) == SEED
    return replicate[0].partition("=")[2] if is_seed else " ".join(replicate)


def _key_of(swept: str) -> str:
    return swept.partition("=")[0].lstrip("+")


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
    remarks
        What is to be known of the runs as a whole, in sentences.
    """

    counts: Mapping[str, int]
    best: list[Score]
    failures: list[tuple[Job, JobState]]
    remarks: tuple[str, ...] = ()

    @property
    def listed(self) -> list[Score]:
        """Those of the settings that are told: of several objectives the front, which the first of them orders."""
        return [score for score in self.best if score.is_front] or self.best

    @property
    def best_so_far(self) -> str:
        """The best setting on one line; empty where there is none, or no single one."""
        return str(self.best[0]) if self.best and not self.best[0].is_front else ""


def overview(
    task: Task[Any],
    jobs: Mapping[str, Job],
    states: Mapping[str, JobState],
    sweep: str,
    to_come: int = 0,
    goal: SearchGoal | None = None,
) -> Overview:
    """How a sweep stands; `to_come` are jobs that a search has yet to propose."""
    known = [(job, states[key]) for key, job in jobs.items() if key in states]
    done = sorted((each for each in known if each[1].state is State.FINISHED), key=lambda each: each[0].number)
    failures = [each for each in known if each[1].state is State.FAILED]
    return Overview(
        count(list(states.values()), len(jobs) + to_come, sweep),
        rank(task, done, [job for job, _ in failures], goal),
        failures,
        about_kernels([run for _, run in done]),
    )


def about_kernels(finished: Collection[JobState]) -> tuple[str, ...]:
    """That runs come from several BLAS kernels, where the config could have had one for all."""
    made = Counter(run.tags[KERNEL] for run in finished if KERNEL in run.tags and kernels.KEY in run.params)
    if len(made) < 2:
        return ()
    parts = [f"{kernel} ({n} run{'s' * (n > 1)})" for kernel, n in made.most_common()]
    which = f"{', '.join(parts[:-1])} and {parts[-1]}"
    return (f"The runs come from BLAS kernels that round differently: {which}. {kernels.HINT}",)
