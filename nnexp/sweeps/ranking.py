"""How a sweep stands: counts, failures, and which settings are the best.

Those are ranked by means over their seeds, in the order in which the sweep's report has them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from nnexp import kernels
from nnexp.runs.tags import KERNEL
from nnexp.statistics.completeness import completeness
from nnexp.sweeps.jobs import Job
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

    @property
    def n_seeds(self) -> int:
        """Number of seeds that have finished."""
        return len(self.runs)

    def __str__(self) -> str:
        mean = f" (mean of {self.n_seeds} {self.noun}s)" if self.n_seeds > 1 else ""
        return f"{self.ranked_by} {self.shown}{mean}: {self.name}"


def rank(task: Task[Any], done: Iterable[Done], failed: Iterable[Job] = ()) -> list[Score]:
    """The settings among finished jobs, best first; of several data sets the best setting of each.

    As in a report they are ranked over the seeds that they share, and those that lack some, or failed on some, come
    last. Empty where the task knows no metric that is a merit of its settings, or none can be ranked.
    """
    found = list(done)
    metric, *ties = task.ranking([run.metrics for _, run in found], [run.params for _, run in found]) or [""]
    if not task.ranks(metric):
        return []
    settings: dict[Setting, dict[tuple[str, ...], Done]] = {}
    for job, run in found:
        if math.isfinite(run.metrics.get(metric, math.nan)):
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
        sign = -1 if task.metrics[key].higher_is_better else 1
        return sign * fmean(run.metrics.get(key, sign * math.inf) for _, run in entries)

    def order(item: tuple[Setting, Collection[Done]]) -> tuple[bool, list[float], int]:
        setting, entries = item
        means = [mean(key, entries) for key in (metric, *ties)]
        return setting in missing, means, min(job.number for job, _ in entries)

    ranked = sorted(((setting, runs) for setting, runs in kept.items() if runs), key=order)
    if len({data for data, _ in settings}) > 1:  # figures on different data do not compare
        ranked = list({data: ((data, name), entries) for (data, name), entries in reversed(ranked)}.values())[::-1]
    presentation, keys = task.presentation, {_key_of(item) for job, _ in found for item in _parts(task, job)[1]}
    noun = SEED if keys <= {SEED} else "run"
    return [
        Score(
            metric,
            presentation.metric_name(metric),
            presentation.show(metric, fmean(run.metrics[metric] for _, run in entries)),
            " ".join(setting[1]) or "the config as it is",
            tuple((_seed_of(task, job), run.run_id) for job, run in entries),
            tuple(sorted(" ".join(replicate) for replicate in missing.get(setting, ()))),
            noun,
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
    return f"by {first.ranked_by}{over}"


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


def overview(
    task: Task[Any], jobs: Mapping[str, Job], states: Mapping[str, JobState], sweep: str, to_come: int = 0
) -> Overview:
    """How a sweep stands; `to_come` are jobs that a search has yet to propose."""
    known = [(job, states[key]) for key, job in jobs.items() if key in states]
    done = sorted((each for each in known if each[1].state is State.FINISHED), key=lambda each: each[0].number)
    failures = [each for each in known if each[1].state is State.FAILED]
    return Overview(
        count(list(states.values()), len(jobs) + to_come, sweep),
        rank(task, done, [job for job, _ in failures]),
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
