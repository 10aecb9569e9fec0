"""The best run of those that a report compares."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nnexp.comparison.grouping import groups
from nnexp.comparison.settings import SEED, Group
from nnexp.comparison.wording import listed
from nnexp.errors import UsageError
from nnexp.report import claims, table
from nnexp.report.make import specs_of
from nnexp.report.selection import Found
from nnexp.report.sentences import kind_of
from nnexp.tracking.stored_run import StoredRun


@dataclass(frozen=True)
class Best:
    """The best run of the best setting, and in words by what it is that."""

    run: StoredRun
    about: str


def best_run(found: Found) -> Best:
    """The best run of the setting that the report calls the best; the lowest seed of equals.

    Raises
    ------
    UsageError
        If none has finished, or none can be called the best; in one line.
    """
    frame = table.tidy(found.runs)
    keys = table.param_keys(frame, found.runs), table.metric_keys(frame, found.runs)
    parts = groups(frame, *keys, specs_of(found.plan))
    if not parts:
        raise UsageError(f"--register: no run has finished of {found.title}")
    if len(parts) > 1:
        names = listed([group.name for group in parts])
        raise UsageError(
            f"--register: the runs are of {len(parts)} {kind_of(parts)}s ({names}), each of which has its own best; "
            "choose the runs of one by --filter"
        )
    (group,) = parts
    if len(group.settings) > 1 and not group.has_choice:
        raise UsageError(f"--register: {' '.join(claims.about_no_choice(group))}")
    run_id, value = _best_of(group)
    run = next(run for run in found.runs if run.run_id == run_id)
    measured = "" if math.isnan(value) else f", {group.by.name} {group.by.show(value)}"
    return Best(run, f"{run.name}{measured}")


def _best_of(group: Group) -> tuple[str, float]:
    best, sign = group.best, -1 if group.by.higher_is_better else 1
    values, ties = best.column(group.by.key), best.column(group.choice.tie)
    rows = zip(best.runs["run_id"], best.runs[SEED], values, ties, strict=True)

    def rank(row: tuple[str, int, float, float]) -> list[float]:
        _, seed, value, tie = row
        return [math.inf if math.isnan(each) else each for each in (sign * value, tie)] + [seed]

    run_id, _, value, _ = min(rows, key=rank)
    return run_id, value
