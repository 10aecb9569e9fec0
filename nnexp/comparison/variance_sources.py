"""How much of the variance of a figure comes from the split and how much from the seed, where both were varied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from nnexp.comparison.citing import cite
from nnexp.comparison.metric import MISSING, Metric
from nnexp.comparison.sections import Section, Table
from nnexp.comparison.settings import SEED, Group, Setting
from nnexp.statistics.variance import Component, Components, crossed

LEAST = 2  # of splits, and of seeds
MOST_ROWS = 30
MUCH_TOO_SHORT = 1.1  # times; less is of no account beside the error of the estimate itself


@dataclass(frozen=True)
class Source:
    """A setting with the components of its variance: rows are splits, columns seeds."""

    setting: Setting
    parts: Components

    @property
    def too_short(self) -> float:
        """How many times too short an interval over the seeds of one split is for a claim about other splits."""
        shown, true = self.parts.standard_errors(self.parts.n_columns)
        return true / shown if shown > 0 else np.inf

    @property
    def at_most(self) -> float:
        """The same, where the variance of the split is at the upper end of its 95 % interval."""
        shown, _ = self.parts.standard_errors(self.parts.n_columns)
        return float(np.hypot(shown, self.parts.row.high**0.5)) / shown if shown > 0 else np.inf


def add_to(section: Section, group: Group) -> None:
    """Add what there is to say of a group whose runs have splits and seeds of their own."""
    name, metric = group.spec.split_name, group.final
    tables = [(setting, table) for setting in group.ranked if (table := _table_of(setting, name, metric)) is not None]
    found = [Source(setting, crossed(table)) for setting, table in tables if np.isfinite(table).all()]
    if found:
        section.sentences.append(_sentence(found[0], name, metric, n_others=len(found) - 1))
        section.tables.append(_table(found, name, metric))
        section.methods.append((
            f"What {name}s and seeds contribute to the variance of {metric.name} ", cite("bouthillier2021"),
            " was estimated by the components of a two-way random-effects layout, from the mean squares of its "
            "analysis of variance, with modified large-sample intervals ", cite("ting1990"), ".",
        ))  # fmt: skip
    elif tables:
        section.sentences.append(
            f"Not every {name} was run with every seed, so what each contributes to the variance cannot be told apart; "
            "a grid of both can."
        )


def _table_of(setting: Setting, name: str, metric: Metric) -> np.ndarray | None:
    """The figures by split and seed, NaN where there is no run; None where one of them does not vary, or more does."""
    cells: dict[tuple[Any, Any], float] = {}
    others: set[Any] = set()
    for replicate, value in setting.by_replicate(metric.key).items():
        parts: dict[str, Any] = dict(cast("Any", replicate))
        if name not in parts or SEED not in parts:
            return None
        cells[parts.pop(name), parts.pop(SEED)] = value
        others.add(tuple(parts.items()))
    splits, seeds = (list(dict.fromkeys(cell[i] for cell in cells)) for i in (0, 1))
    if min(len(splits), len(seeds)) < LEAST or len(others) > 1:
        return None
    return np.array([[cells.get((split, seed), np.nan) for seed in seeds] for split in splits])


def _sentence(found: Source, name: str, metric: Metric, n_others: int) -> str:
    parts, n = found.parts, found.parts.n_columns
    if not parts.total:
        return f"{metric.name[:1].upper()}{metric.name[1:]} is the same on every {name} and with every seed."

    def said(what: str, part: Component) -> str:
        if not part.variance:
            return f"{what} none that can be seen"
        return f"{what} {100 * parts.share(part):.0f} % (a standard deviation of {metric.show_difference(part.sd)})"

    start = (
        f"Of the variance of {metric.name} of {found.setting.label}, over {parts.n_rows} {name}s with {n} seeds each, "
        f"{said(f'the {name} has', parts.row)}, {said('the seed', parts.column)}, and {said('the rest', parts.rest)}"
    )
    shown, true = (metric.show_difference(error) for error in parts.standard_errors(n))
    if found.too_short < MUCH_TOO_SHORT and found.at_most < MUCH_TOO_SHORT:
        start += f"; so an interval over seeds on one {name} is nearly as long as it should be"
    elif found.too_short < MUCH_TOO_SHORT:
        most = metric.show_difference(parts.row.high**0.5)
        start += (
            f". Whether an interval over seeds on one {name} is as long as it should be cannot be told from so few "
            f"{name}s: their standard deviation may be as large as {most}, the end of its 95 % interval"
        )
    else:
        start += (
            f". An interval over {n} seeds on one {name} would show a standard error of {shown}, where it is {true} "
            f"for other {name}s: {found.too_short:.1f} times too short"
        )
    others = f", with those of {'the other setting' if n_others == 1 else f'the {n_others} other settings'}"
    return (
        f"{start}. These are estimates from {parts.n_rows} {name}s; their intervals are in the table"
        f"{others if n_others else ''}."
    )


def _table(found: Sequence[Source], name: str, metric: Metric) -> Table:
    header = ["setting", f"{name}s x seeds", name, "seed", "rest", f"share of the {name}", "too short by"]
    rows = []
    for source in found[:MOST_ROWS]:
        parts = source.parts
        share = f"{100 * parts.share(parts.row):.0f} %" if parts.total else MISSING
        factor = f"{source.too_short:.1f} times" if parts.total and np.isfinite(source.too_short) else MISSING
        sds = [_with_interval(part, metric) for part in (parts.row, parts.column, parts.rest)]
        rows.append([source.setting.label, f"{parts.n_rows} x {parts.n_columns}", *sds, share, factor])
    caption = (
        f"Where the variance of {metric.name} comes from: standard deviations with 95 % intervals, of a two-way layout "
        f"of random {name}s and seeds; the rest is their interaction. How much too short an interval over the seeds of "
        f"one {name} is (Bouthillier et al. 2021) stands last."
    )
    if any(part.is_negative for source in found for part in (source.parts.row, source.parts.column)):
        caption += " * The estimate of this variance is below zero, and counts as zero."
    return Table(caption, header, rows, name="variance")


def _with_interval(part: Component, metric: Metric) -> str:
    low, high = (metric.show_difference(end**0.5, unit=False) for end in (part.low, part.high))
    return f"{metric.show_difference(part.sd)} [{low}, {high}]{'*' if part.is_negative else ''}"
