"""Which settings of a sweep are the best: means over their seeds, in the order in which the sweep's report has them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from nnexp.sweeps.plan import Job
from nnexp.terminal import percent

SEED, L2 = "seed", "model.l2"
TEST, VALIDATION = "accuracy/test", "accuracy/validation"
KINDS, PARTS = ("accuracy", "f1", "loss", "cost"), {"train": "training"}


@dataclass(frozen=True)
class Score:
    """A setting, which is all that was swept but the seed, and the mean of a metric over its finished seeds.

    `runs` are pairs of a seed and a run's id; the seed is empty where none was swept.
    """

    metric: str
    value: float
    name: str
    runs: tuple[tuple[str, str], ...]

    @property
    def n_seeds(self) -> int:
        """Number of seeds that have finished."""
        return len(self.runs)

    @property
    def shown(self) -> str:
        """The mean as text."""
        return show_metric(self.metric, self.value)

    def __str__(self) -> str:
        mean = f" (mean of {self.n_seeds} seeds)" if self.n_seeds > 1 else ""
        return f"{metric_name(self.metric)} {self.shown}{mean}: {self.name}"


def rank(done: Iterable[tuple[Job, str, Mapping[str, float]]]) -> list[Score]:
    """The settings among finished jobs, best first; of several data sets the best setting of each.

    Empty where nothing is held out and lambda differs: the training loss is lowest without a penalty, whatever the
    data, and so is no merit.

    Parameters
    ----------
    done
        Jobs with the id of the run that stands for each and its final metrics.
    """
    found = list(done)
    metric = chosen_by(
        [metrics for _, _, metrics in found], has_several_l2=_has_several_l2([job for job, _, _ in found])
    )
    if metric is None:
        return []
    settings: dict[tuple[str, tuple[str, ...]], list[tuple[Job, str, Mapping[str, float]]]] = {}
    for entry in found:
        if metric in entry[2]:
            settings.setdefault((_data_of(entry[0]), _without_seed(entry[0])), []).append(entry)
    most = max(map(len, settings.values()), default=0)
    sign, tie = -1 if metric.startswith("accuracy") else 1, f"loss/{metric.partition('/')[2]}"

    def order(entries: Collection[tuple[Job, str, Mapping[str, float]]]) -> tuple[bool, float, float, int]:
        losses = [metrics.get(tie, math.inf) for _, _, metrics in entries]
        value = sign * fmean(metrics[metric] for _, _, metrics in entries)
        return 2 * len(entries) < most, value, fmean(losses), min(job.number for job, _, _ in entries)

    ranked = sorted(settings.items(), key=lambda item: order(item[1]))
    if len({data for data, _ in settings}) > 1:  # figures on different data do not compare
        ranked = list({data: ((data, name), entries) for (data, name), entries in reversed(ranked)}.values())[::-1]
    return [
        Score(
            metric,
            fmean(metrics[metric] for _, _, metrics in entries),
            " ".join(name) or "the config as it is",
            tuple((_seed_of(job), run_id) for job, run_id, _ in entries),
        )
        for (_, name), entries in ranked
    ]


def chosen_by(metrics: Collection[Mapping[str, float]], *, has_several_l2: bool) -> str | None:
    """The metric by which settings are ranked: validation where all have it, else the test part, else training."""
    tested = [each for each in metrics if TEST in each]
    if tested:
        return VALIDATION if all(VALIDATION in each for each in tested) else TEST
    if metrics and all(VALIDATION in each for each in metrics):
        return VALIDATION
    return None if has_several_l2 or not metrics else "cost/train"


def metric_name(key: str) -> str:
    """A final metric in words: validation accuracy; another one by its key."""
    kind, _, part = key.partition("/")
    return f"{PARTS.get(part, part)} {kind}" if kind in KINDS else key


def show_metric(key: str, value: float) -> str:
    """A final metric as text: a share in percent, nats with five digits."""
    return percent(value) if key.startswith(("accuracy", "f1")) else f"{value:.5g}"


def heading(scores: Collection[Score]) -> str:
    """What a list of settings is ordered by."""
    first = next(iter(scores))
    counts = {score.n_seeds for score in scores}
    over = "" if counts == {1} else f", mean over {max(counts)} seeds" if len(counts) == 1 else ", mean over seeds"
    return f"by {metric_name(first.metric)}{over}"


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


def _data_of(job: Job) -> str:
    """What tells the data sets of a sweep apart."""
    if job.config is not None:
        return f"{job.config.of_task.data.name} {sorted(job.config.of_task.data.source.items())}"
    return " ".join(item for item in job.swept if _key_of(item) in ("data", "experiment", "data.path", "data.name"))


def _has_several_l2(jobs: Collection[Job]) -> bool:
    if all(job.config is not None for job in jobs):
        return len({job.config.of_task.model.l2 for job in jobs if job.config}) > 1
    return any(_key_of(item) == L2 for job in jobs for item in job.swept)
