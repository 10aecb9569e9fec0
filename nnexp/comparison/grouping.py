"""From a tidy table of runs to groups of settings that can be compared, and which of them are compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pandas as pd

from nnexp.comparison.metric import MISSING, Metric
from nnexp.comparison.settings import REPLICATE, SEED, UNIT, Frame, Group, Setting, plain, sort_key
from nnexp.comparison.spec import ComparisonSpec, Reader
from nnexp.statistics.completeness import completeness
from nnexp.statistics.paired import Comparison, compare

COUNTED, TASK = "counted", "task"  # columns of the table: whether a run counts, and the task that it is of
LONGEST_LABEL = 34  # letters; longer names would be cut in figures and be alike there


FAILED = ("FAILED", "KILLED")  # runs without a result though they were begun


def groups(
    frame: Frame,
    params: Sequence[str],
    logged: Sequence[str],
    spec_of: Callable[[str], ComparisonSpec],
    margin: float | None = None,
) -> list[Group]:
    """The counted runs of a tidy table by task and data set, that with the most runs first.

    Parameters
    ----------
    frame : DataFrame
        One row a run, with the columns `COUNTED`, `TASK`, ``data_digest`` and ``started``.
    params, logged : sequence of str
        Its columns that are params and final metrics.
    spec_of : callable
        Gives the specification of a task.
    margin : float, optional
        Up to which a difference of the figure that is reported is of no account.
    """
    counted = frame[frame[COUNTED]]
    if counted.empty:
        return []
    parts: list[tuple[ComparisonSpec, Frame, Frame, str]] = []
    stopped = frame[frame["status"].isin(FAILED)]
    tasks = list(dict.fromkeys(counted[TASK]))
    for task in tasks:
        spec, runs = spec_of(task), counted[counted[TASK] == task]
        name = runs[spec.data_key] if spec.data_key in runs else MISSING
        data = runs["data_digest"].fillna(name).fillna(MISSING)
        of_data = [part for _, part in runs.groupby(data, sort=False)]
        names = _names(of_data, spec)
        if len(tasks) > 1:
            names = [f"{task}, {name}" if len(of_data) > 1 else task for name in names]
        failed = [_of_the_data(stopped[stopped[TASK] == task], part, spec) for part in of_data]
        parts += [(spec, *part) for part in zip(of_data, failed, names, strict=True)]
    parts.sort(key=lambda part: len(part[1]), reverse=True)
    return [
        make_group(runs, params, logged, spec, name, failed=failed, margin=margin) for spec, runs, failed, name in parts
    ]


def _of_the_data(runs: Frame, part: Frame, spec: ComparisonSpec) -> Frame:
    """Those of some runs that are of the data of others."""
    digest = part["data_digest"].iloc[0]
    same = runs["data_digest"] == digest
    if spec.data_key in runs:  # one that failed early may not know the digest
        same |= runs["data_digest"].isna() & (runs[spec.data_key] == part[spec.data_key].iloc[0])
    return runs[same]


def _names(parts: Sequence[Frame], spec: ComparisonSpec) -> list[str]:
    """A name for each data set, with the first digits of its digest where names are equal."""
    names = [str(part[spec.data_key].iloc[0]) if spec.data_key in part else "data" for part in parts]
    digests = [str(part["data_digest"].iloc[0])[:6] for part in parts]
    return [f"{n} ({d})" if names.count(n) > 1 else n for n, d in zip(names, digests, strict=True)]


def make_group(
    runs: Frame,
    params: Sequence[str],
    logged: Sequence[str],
    spec: ComparisonSpec,
    name: str = "",
    *,
    failed: Frame | None = None,
    margin: float | None = None,
) -> Group:
    """The settings among runs on one data set; `failed` are runs on it without a result."""
    own = tuple(key for key in logged if runs[key].notna().any())
    choice = spec.choose(runs, params, own)
    both = pd.concat([runs.sort_values("started", kind="stable"), *_with_params(failed, runs, params)])
    keys = swept_keys(both, params, spec)
    both = with_replicates(both, spec)
    runs, stopped = both.iloc[: len(runs)].copy(), both.iloc[len(runs) :]
    design, units = spec.design(runs, choice)
    runs[UNIT] = units
    settings, superseded = [], 0
    for values, of_setting in by_setting(runs, keys):
        newest = _newest(of_setting)
        superseded += len(of_setting) - len(newest)
        words = spec.label_of(dict(zip(keys, values, strict=True))) if keys else "the one setting"
        settings.append(Setting(words, words, dict(zip(keys, values, strict=True)), newest, design))
    settings.sort(key=lambda setting: [sort_key(value) for value in setting.values.values()])
    tried = {values: set(rows[REPLICATE]) for values, rows in by_setting(stopped, keys)} if len(stopped) else {}
    finished = {tuple(setting.values.values()) for setting in settings}
    without = tuple(spec.label_of(dict(zip(keys, values, strict=True))) for values in tried if values not in finished)
    group = Group(name, keys, tuple(settings), choice, spec, own, superseded, without=without, margin=margin)
    return _lettered(_over_common_replicates(group, tried))


def _with_params(failed: Frame | None, runs: Frame, params: Sequence[str]) -> list[Frame]:
    """Those of the failed runs of which it is known what they were: one that was killed early has no params."""
    if failed is None:
        return []
    always = [key for key in params if runs[key].notna().all()]
    return [failed[failed[always].notna().all(axis=1)]]


def with_replicates(runs: Frame, spec: ComparisonSpec) -> Frame:
    """The runs with the column `REPLICATE`."""
    runs = runs.copy()
    if SEED not in runs:
        runs[SEED] = 0
    runs[REPLICATE] = pd.Series(spec.replicates_of(runs), index=runs.index, dtype=object)
    return runs


def by_setting(runs: Frame, keys: Sequence[str]) -> list[tuple[tuple[Any, ...], Frame]]:
    """The runs of each choice of the values of some keys."""
    if not keys:
        return [((), runs)]
    columns = [[plain(value) for value in runs[key]] if key in runs else [MISSING] * len(runs) for key in keys]
    places: dict[tuple[Any, ...], list[int]] = {}
    for place, values in enumerate(zip(*columns, strict=True)):
        places.setdefault(values, []).append(place)
    return [(values, runs.iloc[found]) for values, found in places.items()]


def _newest(runs: Frame) -> Frame:
    """One run a replicate, the newest."""
    places = {replicate: place for place, replicate in enumerate(runs[REPLICATE])}
    kept = [places[replicate] for replicate in sorted(places, key=_in_order)]
    return runs if kept == list(range(len(runs))) else runs.iloc[kept]


def _in_order(replicate: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(sort_key(value) for _, value in replicate)


def _over_common_replicates(group: Group, tried: Mapping[tuple[Any, ...], set[Hashable]]) -> Group:
    """The group with its settings ranked over the replicates that they share, and the others marked."""
    if not group.has_choice:
        return group
    finite = {
        place: {replicate for replicate, value in setting.by_replicate(group.by.key).items() if math.isfinite(value)}
        for place, setting in enumerate(group.settings)
    }
    measured = {place: replicates for place, replicates in finite.items() if replicates}
    failed = {  # a figure that is not finite is a failure too
        place: tried.get(tuple(setting.values.values()), set()) | set(setting.runs[REPLICATE])
        for place in measured
        for setting in [group.settings[place]]
    }
    found = completeness(measured, failed)
    settings, extra = [], 0
    for place, setting in enumerate(group.settings):
        if place not in measured or place in found.missing:
            settings.append(replace(setting, missing=found.missing.get(place, found.common)))
            continue
        kept = setting.runs[setting.runs[REPLICATE].isin(found.common)]
        extra += len(setting.runs) - len(kept)
        settings.append(replace(setting, runs=kept))
    if not found.common or len(found.missing) == len(measured):
        why_not = NOTHING_IN_COMMON if not found.common else ALL_LACK_SOME
        return replace(group, choice=replace(group.choice, is_fair=False, why_not=why_not))
    return replace(group, settings=tuple(settings), n_extra=extra)


NOTHING_IN_COMMON = "The settings have no {noun} in common, so none of them is called the best."
ALL_LACK_SOME = "Each setting lacks a {noun} that others have, so none of them is called the best."


def with_sample_sizes(group: Group, read: Reader) -> Group:
    """The group, its settings of a single run with the number of samples that its shares are of."""
    settings = [
        replace(setting, n_samples=group.spec.n_samples(group, str(setting.runs["run_id"].iloc[0]), read))
        if len(setting.runs) == 1
        else setting
        for setting in group.settings
    ]
    return replace(group, settings=tuple(settings))


def _lettered(group: Group) -> Group:
    """The group with its settings called A, B, C, best first, where their names in words are long or not unique."""
    labels = [setting.label for setting in group.settings]
    if len(set(labels)) == len(labels) and max(map(len, labels)) <= LONGEST_LABEL:
        return group
    settings = [replace(setting, label=letter(place)) for place, setting in enumerate(group.ranked)]
    return replace(group, settings=tuple(settings))


def letter(place: int) -> str:
    """A to Z, then AA, AB, ..."""
    first, last = divmod(place, 26)
    return (letter(first - 1) if first else "") + chr(ord("A") + last)


def swept_keys(runs: Frame, params: Sequence[str], spec: ComparisonSpec) -> tuple[str, ...]:
    """The params that differ among runs, but for what makes a replicate, and for those that others decide."""
    values = {key: runs[key].map(plain) for key in params if key not in spec.replicate_keys and key in runs}
    return tuple(spec.independent({key: column for key, column in values.items() if column.nunique() > 1}))


ALL_PAIRS_UP_TO = 4  # settings; of more, the best is compared with the next best
MOST_COMPARED = 12


def pairs_of(labels: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs that are compared of settings, the best first."""
    if len(labels) <= ALL_PAIRS_UP_TO:
        return list(combinations(labels, 2))
    return [(labels[0], other) for other in labels[1:MOST_COMPARED]]


def compare_settings(group: Group, metric: Metric) -> list[Comparison]:
    """All pairs of few settings, or the best of many against the next best, by a metric."""
    measured = [setting for setting in group.complete if setting.has(metric.key)]
    if len(measured) < 2 or group.most_seeds < 2:
        return []
    ranked = measured[:MOST_COMPARED]
    pairs = pairs_of([setting.label for setting in ranked])
    return compare(
        {setting.label: setting.by_unit(metric.key) for setting in ranked},
        pairs,
        group.design,
        higher_is_better=metric.higher_is_better is not False,
        margin=group.margin if metric == group.final else None,
    )
