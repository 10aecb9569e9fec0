"""The tables of a page: settings, comparisons, runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from nnexp.report.page import Table
from nnexp.report.settings import Group, Metric, name_of, show_value
from nnexp.report.statistics import Comparison, Summary
from nnexp.report.table import MISSING, Frame
from nnexp.terminal import clock

MOST_SETTINGS, MOST_RUNS = 30, 200
MEDIANS = {"iterations": "n_iter", "evaluations": "optimizer/n_fev", "fit": "fit_seconds"}
FINALS = ("cost/train", "accuracy/train", "accuracy/validation", "accuracy/test")


def of_settings(group: Group) -> Table:
    """The best settings with their final figures."""
    metrics = list(dict.fromkeys([group.by, group.final, *_losses(group)]))
    header = ["setting", "seeds", *(metric.axis_label for metric in metrics), *MEDIANS]
    rows = []
    for setting in group.ranked[:MOST_SETTINGS]:
        finals = [_interval(setting.summary(metric.key), metric) for metric in metrics]
        n_iter, n_fev, seconds = (float(setting.column(key).median()) for key in MEDIANS.values())
        rows.append([setting.label, str(setting.n), *finals, _count(n_iter), _count(n_fev), _clock(seconds)])
    caption = "Final figures."
    if group.most_seeds > 1:
        caption = "Means over the seeds with 95 % intervals; iterations, evaluations and time of the fit are medians."
    if len(group.settings) > MOST_SETTINGS:
        which = "The best" if group.has_choice else "The first"
        caption += f" {which} {MOST_SETTINGS} of {len(group.settings):,}; all runs are in runs.csv."
    return Table(caption, header, rows, best=0 if len(group.settings) > 1 and group.has_choice else None)


def of_what(group: Group) -> Table:
    """What the settings are that are called by letters: the values of all that differs between them."""
    header = ["setting", *map(name_of, group.keys)]
    shown = group.ranked[:MOST_SETTINGS]
    rows = [[setting.label, *(show_value(setting.values[key]) for key in group.keys)] for setting in shown]
    best = 0 if group.has_choice else None
    return Table("The settings: all that differs between them.", header, rows, best=best)


def _losses(group: Group) -> list[Metric]:
    """The loss of the part that is reported, and the training cost, where all settings have them."""
    keys = [f"loss/{group.part}", "cost/train"]
    return [Metric(key) for key in keys if all(s.column(key).notna().any() for s in group.settings)]


def _interval(summary: Summary, metric: Metric) -> str:
    mean = metric.show(summary.mean, unit=False)
    if math.isnan(summary.low):
        return mean
    return f"{mean} [{metric.show(summary.low, unit=False)}, {metric.show(summary.high, unit=False)}]"


def _count(value: float) -> str:
    return MISSING if math.isnan(value) else f"{value:g}"


def _clock(seconds: float) -> str:
    if math.isnan(seconds):
        return MISSING
    return clock(seconds) if seconds >= 10 else f"{seconds:.2g} s"


def of_comparisons(comparisons: Sequence[Comparison], metric: Metric) -> Table:
    """Pairs of settings with their tests."""
    header = ["better", "than", "ahead on", "by on average", "95 % interval", "p", "p (Holm)"]
    rows = []
    for c in comparisons:
        if not c.n:
            continue  # no seed is common to them
        ties = f", {c.ties} equal" if c.ties else ""
        by = metric.show_difference(c.difference.mean)
        p_values = [MISSING if math.isnan(p) else f"{p:.2g}" for p in (c.p, c.p_holm)]
        rows.append([c.first, c.second, f"{c.wins} of {c.n}{ties}", by, _bounds(c.difference, metric), *p_values])
    return Table(f"Pairs of settings over their common seeds, by {metric.name}.", header, rows, frozenset({0, 1}))


def _bounds(difference: Summary, metric: Metric) -> str:
    if math.isnan(difference.low):
        return MISSING
    form = ".2f" if metric.is_share else ".3g"
    low, high = metric.scale * difference.low, metric.scale * difference.high
    return f"{low:{form}} to {high:{form}}".replace("-", "−")


def of_runs(frame: Frame, params: Sequence[str]) -> Table:
    """The runs, with what was swept and their final figures."""
    swept = [key for key in params if frame[key].astype(str).nunique() > 1]
    columns = ["name", "status", *swept, *(key for key in FINALS if key in frame), "seconds", "run_id"]
    shown = frame[columns].head(MOST_RUNS).itertuples(index=False)
    rows = [[_cell(key, value) for key, value in zip(columns, row, strict=True)] for row in shown]
    header = [f"{key} (%)" if key in FINALS and Metric(key).is_share else key for key in columns]
    some = f"the first {MOST_RUNS} of {len(frame):,} runs" if len(frame) > MOST_RUNS else f"the runs ({len(frame)})"
    caption = f"Table of {some}; every param and metric is in runs.csv and runs.parquet"
    return Table(caption, header, rows, frozenset({0, 1}))


def _cell(key: str, value: Any) -> str:
    if value is None or value is pd.NA or value != value:
        return ""
    if key in FINALS and Metric(key).is_share:
        return Metric(key).show(value, unit=False)
    if isinstance(value, float):
        return f"{value:.5g}"
    return value if isinstance(value, str) else show_value(value)
