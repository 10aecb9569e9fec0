"""The tables of a page: settings, comparisons, runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from nnexp.comparison.metric import MISSING, Metric
from nnexp.comparison.sections import Table
from nnexp.comparison.settings import Frame, Group, show_value
from nnexp.comparison.wording import ends, listed
from nnexp.statistics.intervals import Summary
from nnexp.statistics.paired import Comparison, Design

MOST_SETTINGS, MOST_RUNS = 30, 200


def of_settings(group: Group) -> Table:
    """The best settings with their final figures."""
    metrics, medians = group.spec.columns(group), group.spec.medians()
    header = [
        "setting",
        f"{group.noun}s",
        *(metric.axis_label for metric in metrics),
        *(metric.name for metric in medians),
    ]
    rows = []
    for setting in group.ranked[:MOST_SETTINGS]:
        finals = [_interval(setting.summary(metric.key), metric) for metric in metrics]
        counted = [metric.show(float(setting.column(metric.key).median())) for metric in medians]
        rows.append([f"({setting.label})" if setting.missing else setting.label, str(setting.n), *finals, *counted])
    caption = "Final figures."
    if group.most_seeds > 1:
        names = listed([f"time of the {metric.name}" if metric.is_clock else metric.name for metric in medians])
        are = "are medians" if len(medians) > 1 else "is the median"
        caption = f"Means over the {group.noun}s with 95 % intervals; {names} {are}."
    elif any(s.summary(metric.key).has_interval for s in group.settings for metric in metrics):
        caption = (
            "Final figures of single runs; the 95 % intervals are of the samples that they were measured on alone."
        )
    if group.has_choice and any(setting.missing for setting in group.settings):
        caption += " Those in brackets lack replicates and are not ranked."
    if len(group.settings) > MOST_SETTINGS:
        caption += f" {group.top} {MOST_SETTINGS} of {len(group.settings):,}; all runs are in runs.csv."
    return Table(caption, header, rows, best=0 if len(group.settings) > 1 and group.has_choice else None,
                 name="settings")  # fmt: skip


def of_lettered(group: Group) -> Table:
    """What the settings are that are called by letters: the values of all that differs between them."""
    header = ["setting", *map(group.spec.name_of, group.keys)]
    shown = group.ranked[:MOST_SETTINGS]
    rows = [[setting.label, *(show_value(setting.values[key]) for key in group.keys)] for setting in shown]
    best = 0 if group.has_choice else None
    return Table("The settings: all that differs between them.", header, rows, best=best, name="letters")


def _interval(summary: Summary, metric: Metric) -> str:
    mean = metric.show(summary.mean, unit=False)
    if not summary.has_interval:
        return mean
    low, high = ends(summary, metric)
    return f"{mean} [{metric.show(low, unit=False)}, {metric.show(high, unit=False)}]"


def of_comparisons(comparisons: Sequence[Comparison], metric: Metric, design: Design) -> Table:
    """Pairs of settings with their tests."""
    better, ahead = ("better", "ahead on") if metric.higher_is_better is not None else ("higher", "higher on")
    header = [better, "than", ahead, "by on average", "95 % interval", "p", "p (Holm)", "could be shown"]
    rows = []
    for c in comparisons:
        if not c.n:
            continue  # no seed is common to them
        ties = f", {c.ties} equal" if c.ties else ""
        by = metric.show_difference(c.difference.mean)
        p_values = [MISSING if math.isnan(p) else f"{p:.2g}" for p in (c.p, c.p_holm)]
        could = metric.show_difference(c.detectable) if metric.can_differ_by(c.detectable) else MISSING
        cells = [f"{c.wins} of {c.n}{ties}", by, _bounds(c.difference, metric), *p_values, could]
        rows.append([c.first, c.second, *cells])
    n = max((c.n for c in comparisons), default=0)
    test = "sign-flip test"
    if design.resamples:
        test = f"corrected resampled t-test, n_test / n_train = {design.ratio:.3g}"
    holm = f"; Holm's correction for {len(rows)}" if len(rows) > 1 else ""
    caption = (
        f"Pairs of settings over their common {design.noun}s (n = {n}) by {metric.name}: {test}, two-sided{holm}; "
        "each interval is of its pair alone. What could be shown is the difference "
        f"that so many {design.noun}s show with a chance of 80 % (—: none, or no test can be made)."
    )
    return Table(caption, header, rows, frozenset({0, 1}), name="comparisons")


def _bounds(difference: Summary, metric: Metric) -> str:
    if not difference.has_interval:
        return MISSING
    low, high = (metric.show_difference(end, unit=False) for end in (difference.low, difference.high))
    return f"{low} to {high}"


def of_runs(frame: Frame, params: Sequence[str], figures: Sequence[Metric]) -> Table:
    """The runs, with what was swept and their final figures."""
    swept = [key for key in params if frame[key].astype(str).nunique() > 1]
    by_key = {metric.key: metric for metric in figures}
    columns = ["name", "status", *swept, *by_key, "seconds", "run_id"]
    shown = frame[columns].head(MOST_RUNS).itertuples(index=False)
    rows = [[_cell(value, by_key.get(key)) for key, value in zip(columns, row, strict=True)] for row in shown]
    header = [f"{key} (%)" if key in by_key and by_key[key].is_share else key for key in columns]
    some = f"the first {MOST_RUNS} of {len(frame):,} runs" if len(frame) > MOST_RUNS else f"the runs ({len(frame)})"
    caption = f"Table of {some}; every param and metric is in runs.csv and runs.parquet"
    return Table(caption, header, rows, frozenset({0, 1}))


def _cell(value: Any, metric: Metric | None) -> str:
    if value is None or value is pd.NA or value != value:
        return ""
    if metric is not None and metric.is_share:
        return metric.show(value, unit=False)
    if isinstance(value, float):
        return f"{value:.5g}"
    return value if isinstance(value, str) else show_value(value)
