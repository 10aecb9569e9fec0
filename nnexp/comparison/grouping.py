"""From a tidy table of runs to groups of settings that can be compared, and which of them are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import pandas as pd

from nnexp.comparison.metric import MISSING, Metric
from nnexp.comparison.settings import SEED, Frame, Group, Setting, plain, sort_key
from nnexp.comparison.spec import ComparisonSpec
from nnexp.comparison.statistics import Comparison, compare

COUNTED, TASK = "counted", "task"  # columns of the table: whether a run counts, and the task that it is of
LONGEST_LABEL = 34  # letters; longer names would be cut in figures and be alike there


def groups(
    frame: Frame, params: Sequence[str], logged: Sequence[str], spec_of: Callable[[str], ComparisonSpec]
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
    """
    counted = frame[frame[COUNTED]]
    if counted.empty:
        return []
    parts: list[tuple[ComparisonSpec, Frame, str]] = []
    tasks = list(dict.fromkeys(counted[TASK]))
    for task in tasks:
        spec, runs = spec_of(task), counted[counted[TASK] == task]
        name = runs[spec.data_key] if spec.data_key in runs else MISSING
        data = runs["data_digest"].fillna(name).fillna(MISSING)
        of_data = [part for _, part in runs.groupby(data, sort=False)]
        names = _names(of_data, spec)
        if len(tasks) > 1:
            names = [f"{task}, {name}" if len(of_data) > 1 else task for name in names]
        parts += [(spec, part, name) for part, name in zip(of_data, names, strict=True)]
    parts.sort(key=lambda part: len(part[1]), reverse=True)
    return [make_group(runs, params, logged, spec, name) for spec, runs, name in parts]


def _names(parts: Sequence[Frame], spec: ComparisonSpec) -> list[str]:
    """A name for each data set, with the first digits of its digest where names are equal."""
    names = [str(part[spec.data_key].iloc[0]) if spec.data_key in part else "data" for part in parts]
    digests = [str(part["data_digest"].iloc[0])[:6] for part in parts]
    return [f"{n} ({d})" if names.count(n) > 1 else n for n, d in zip(names, digests, strict=True)]


def make_group(
    runs: Frame, params: Sequence[str], logged: Sequence[str], spec: ComparisonSpec, name: str = ""
) -> Group:
    """The settings among runs on one data set."""
    runs = runs.sort_values("started", kind="stable")
    if SEED not in runs:
        runs = runs.assign(**{SEED: 0})
    own = tuple(key for key in logged if runs[key].notna().any())
    keys = swept_keys(runs, params, spec)
    choice = spec.choose(runs, params, own)
    if not keys:
        newest, label = _newest(runs), "the one setting"
        setting = Setting(label, label, {}, newest)
        return Group(name, (), (setting,), choice, spec, own, len(runs) - len(newest))
    values = pd.DataFrame({key: runs[key].map(plain) for key in keys}, index=runs.index)
    settings, superseded = [], 0
    for _, rows in values.groupby(list(keys), sort=False, dropna=False):
        of_setting = runs.loc[rows.index]
        newest = _newest(of_setting)
        superseded += len(of_setting) - len(newest)
        chosen = {key: plain(rows[key].iloc[0]) for key in keys}
        words = spec.label_of(chosen)
        settings.append(Setting(words, words, chosen, newest))
    settings.sort(key=lambda setting: [sort_key(value) for value in setting.values.values()])
    return _lettered(Group(name, keys, tuple(settings), choice, spec, own, superseded))


def _newest(runs: Frame) -> Frame:
    """One run a seed, the newest."""
    return runs.drop_duplicates(SEED, keep="last").sort_values(SEED)


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
    """The params that differ among runs, without the seed, and without those that others decide."""
    values = {key: runs[key].map(plain) for key in params if key != SEED and key in runs}
    return tuple(spec.independent({key: column for key, column in values.items() if column.nunique() > 1}))


ALL_PAIRS_UP_TO = 4  # settings; of more, the best is compared with the next best
MOST_COMPARED = 12


def compare_settings(group: Group, metric: Metric) -> list[Comparison]:
    """All pairs of few settings, or the best of many against the next best, by a metric."""
    measured = [setting for setting in group.ranked if setting.has(metric.key)]
    if len(measured) < 2 or group.most_seeds < 2:
        return []
    ranked = measured[:MOST_COMPARED]
    labels = [setting.label for setting in ranked]
    pairs = [(labels[0], other) for other in labels[1:]]
    if len(measured) <= ALL_PAIRS_UP_TO:
        pairs = list(combinations(labels, 2))
    values = {setting.label: setting.by_seed(metric.key) for setting in ranked}
    return compare(values, pairs, higher_is_better=metric.higher_is_better is not False)
