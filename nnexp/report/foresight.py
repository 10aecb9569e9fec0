"""What a sweep that has not run could show: the difference between two settings that its replicates are enough for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from nnexp.comparison.grouping import by_setting, groups, pairs_of, swept_keys, with_replicates
from nnexp.comparison.settings import REPLICATE, SEED, UNIT, Frame, Group, plain
from nnexp.comparison.spec import ComparisonSpec
from nnexp.comparison.wording import count
from nnexp.report import table
from nnexp.runs.tags import TASK as TASK_TAG
from nnexp.statistics.intervals import finite, spread
from nnexp.statistics.paired import Design
from nnexp.statistics.sign_flips import replicates_needed
from nnexp.tasks import NETWORK
from nnexp.tasks.interface import Task
from nnexp.tracking.store import Store

LEAST_REPLICATES = 3  # that two settings of earlier runs have in common, to judge a spread by
MOST_DATA_SETS = 4


def foresee(task: Task[Any], planned: Sequence[Mapping[str, Any]], store: Store | None) -> list[str]:
    """What the runs of a plan can show of differences between settings, in sentences; empty where nothing is repeated.

    Parameters
    ----------
    task
        Of all runs.
    planned : sequence of mappings
        The params of each.
    store : Store or None
        Where earlier runs may tell how much the differences between settings vary.
    """
    spec = task.comparison
    frame = pd.DataFrame([{key: str(value) for key, value in params.items()} for params in planned])
    parts = (
        [(str(name), part) for name, part in frame.groupby(spec.data_key)] if spec.data_key in frame else [("", frame)]
    )
    said = [_of_data(task, spec, part, store) for _, part in parts[:MOST_DATA_SETS]]
    if len(parts) > 1:
        said = [f"{name}: {text}" if text else "" for (name, _), text in zip(parts, said, strict=False)]
    return [text for text in dict.fromkeys(said) if text]


def _of_data(task: Task[Any], spec: ComparisonSpec, runs: Frame, store: Store | None) -> str:
    choice = spec.planned_choice(runs)
    keys = swept_keys(runs, list(runs), spec)
    if choice is None or not keys:
        return ""
    runs = with_replicates(runs, spec)
    design, runs[UNIT] = spec.design(runs, choice)
    numbers = [part[UNIT].nunique() for _, part in by_setting(runs, keys)]
    n, n_pairs, noun = min(numbers), len(pairs_of([str(i) for i in range(len(numbers))])), design.noun
    if len(numbers) < 2 or n < 2:
        return ""
    test = f"{'corrected resampled t-test' if design.resamples else 'sign-flip test'}, {count(n_pairs, 'comparison')}"
    least = design.detectable(1.0, n, n_pairs)
    if math.isinf(least):
        enough = replicates_needed(n_pairs)
        return f"{count(n, noun)} can show no difference between settings ({test}); {enough} are needed."
    sd, n_runs = _earlier_spread(task, spec, runs, keys, design, store) if store is not None else (math.nan, 0)
    shown = f"would be shown with a chance of 80 % ({test})"
    if not sd > 0:
        return (
            f"With {count(n, noun)}, a difference of {least:.2g} standard deviations {shown}; no earlier runs of this "
            f"config tell how much differences vary from one {noun} to the next."
        )
    judged = f"judging by {count(n_runs, 'earlier run')} of this config"
    if not choice.final.can_differ_by(least * sd):
        return f"{count(n, noun)} can show no difference in {choice.final.name} between settings ({test}), {judged}."
    difference = choice.final.show_difference(least * sd)
    return f"With {count(n, noun)}, a difference of {difference} in {choice.final.name} {shown}, {judged}."


def _earlier_spread(
    task: Task[Any], spec: ComparisonSpec, runs: Frame, keys: Sequence[str], design: Design, store: Store
) -> tuple[float, int]:
    """Standard deviation of the differences between settings in earlier runs, and how many runs tell it.

    Those count that agree with the plan in everything but what it sweeps and what makes a replicate.
    """
    constant = [key for key in runs if key != SEED and key[0] != "_" and runs[key].nunique() == 1]
    fixed = {key: plain(runs[key].iloc[0]) for key in constant if key not in keys}
    names = {name for replicate in runs[REPLICATE] for name, _ in replicate}
    found = [
        run
        for run in store.search("attributes.status = 'FINISHED'")
        if run.tags.get(TASK_TAG, NETWORK) == task.name
        and all(plain(run.params.get(key)) == value for key, value in fixed.items())
    ]
    if not found:
        return math.nan, 0
    frame = table.tidy(found)
    parts = groups(frame, table.param_keys(frame, found), table.metric_keys(frame, found), lambda name: spec)
    same = [group for group in parts if _names(group) == names and group.design.resamples == design.resamples
            and group.design.within == design.within]  # fmt: skip
    pairs = [pair for group in same for pair in _variances(group)]
    if not pairs:
        return math.nan, 0
    variances, weights = zip(*pairs, strict=True)
    return math.sqrt(np.average(variances, weights=weights)), sum(group.n_runs for group in same)


def _names(group: Group) -> set[str]:
    """What the replicates of runs are made of."""
    return {name for setting in group.settings for replicate in setting.runs[REPLICATE] for name, _ in replicate}


def _variances(group: Group) -> list[tuple[float, int]]:
    """Variances of the differences between pairs of settings, and their degrees of freedom."""
    found = []
    for a, b in combinations([setting.by_unit(group.final.key) for setting in group.settings], 2):
        d = finite([a[unit] - b[unit] for unit in a if unit in b])
        if d.size >= LEAST_REPLICATES:
            found.append((spread(d) ** 2, d.size - 1))
    return found
