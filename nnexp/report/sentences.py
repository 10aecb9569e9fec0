"""What a report says in plain sentences, each no stronger than the numbers behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nnexp import kernels
from nnexp.comparison.curves import Winner
from nnexp.comparison.grouping import COUNTED
from nnexp.comparison.metric import Metric
from nnexp.comparison.settings import Frame, Group
from nnexp.comparison.wording import count, listed
from nnexp.report.table import digest_columns
from nnexp.runs.records import SweepPlan

MOST_MESSAGES = 5
NO_DIGESTS = "but no digests to compare their numbers by"
STATUS_WORDS = {"FAILED": "failed", "KILLED": "was killed", "RUNNING": "is still running", "SCHEDULED": "is waiting"}
PLURALS = {"was killed": "were killed", "is still running": "are still running", "is waiting": "are waiting"}


def about_runs(frame: Frame, plan: SweepPlan | None) -> list[str]:
    """How many runs there are, and why some of them count for nothing."""
    finished = frame["status"] == "FINISHED"
    done = "all finished" if finished.all() else f"{finished.sum():,} of them finished"
    said = [f"{count(len(frame), 'run')}, {done}."] if len(frame) > 1 else ["One run."]
    if not frame[COUNTED].any():
        said = [f"No run has finished, so there is nothing to compare; the table lists the {count(len(frame), 'run')}."]
    for status, n in frame["status"][~finished].value_counts().items():
        word = STATUS_WORDS.get(str(status), f"has the status {status}")
        said.append(f"{count(n, 'run')} {word if n == 1 else PLURALS.get(word, word)}{_reasons(frame, str(status))}.")
    missing = len({job.key for job in plan.jobs} - set(frame["run_key"])) if plan else 0
    if missing:
        said.append(f"{count(missing, 'job')} of the plan {'has' if missing == 1 else 'have'} no run yet.")
    foreign = int((finished & frame["run_key"].isna()).sum())
    if foreign:
        said.append(f"{count(foreign, 'run')} not made by nnexp {'is' if foreign == 1 else 'are'} in the table only.")
    said += _about_repeats(frame[finished & frame["run_key"].notna()])
    codes = frame.loc[frame[COUNTED], "code_digest"].nunique()
    if codes > 1:
        said.append(f"Beware: the runs were made by {codes} versions of the code that decides the result.")
    made = frame.loc[frame[COUNTED] & (frame["arithmetic"] != ""), "arithmetic"].value_counts()
    if len(made) > 1:
        telling = _telling([str(text) for text in made.index])
        parts = listed([f"{text} ({count(n, 'run')})" for text, n in zip(telling, made, strict=True)])
        said.append(f"Beware: the runs were made with different arithmetic, which rounds differently: {parts}.")
        if kernels.KEY in frame and len({str(text).partition(",")[0] for text in made.index}) > 1:
            said.append(kernels.HINT)
    return said


def _about_repeats(finished: Frame) -> list[str]:
    """Of runs with the key of a newer one: which have its numbers to the last bit, and what may tell the others."""
    equal, others, digests = 0, [], digest_columns(finished)
    repeated = finished[finished["run_key"].duplicated(keep=False)]
    for _, runs in repeated.groupby("run_key", sort=False):
        *older, newest = runs.sort_values("started", kind="stable").to_dict("records")
        for run in older:
            pairs = [(run[column], newest[column]) for column in digests]
            known = [pair for pair in pairs if all(isinstance(digest, str) for digest in pair)]
            if known and all(older == newer for older, newer in known):
                equal += 1
            else:
                others.append(_other_numbers(run, newest) if known else NO_DIGESTS)
    said = []
    if equal:
        verb = "repeats" if equal == 1 else "repeat"
        said.append(f"{count(equal, 'run')} {verb} another to the last bit (equal digests), and each is counted once.")
    for reason, n in Counter(others).items():
        said.append(
            f"{count(n, 'run')} {'has' if n == 1 else 'have'} the key of a newer one, {reason}; the newest counts."
        )
    return said


def _other_numbers(run: Mapping[str, Any], newest: Mapping[str, Any]) -> str:
    made = [one["arithmetic"] or "a BLAS kernel that was not recorded" for one in (run, newest)]
    if made[0] == made[1]:
        return "but other numbers, for which nothing recorded is the cause"
    older, newer = _telling(made)
    return f"but other numbers: made with {older}, the newer with {newer}"


def _telling(arithmetics: Sequence[str]) -> list[str]:
    """Of BLAS kernel, NumPy and SciPy only what is not the same everywhere."""
    parts = [text.split(", ") for text in arithmetics]
    common = set.intersection(*map(set, parts))
    return [" and ".join(part for part in each if part not in common) or ", ".join(each) for each in parts]


def _reasons(frame: Frame, status: str) -> str:
    messages = frame.loc[frame["status"] == status, "message"].replace("", pd.NA).dropna().value_counts()
    if status not in ("FAILED", "KILLED") or messages.empty:
        return ""
    texts = [f"{text} ({n} times)" if n > 1 else str(text) for text, n in messages.head(MOST_MESSAGES).items()]
    more = f"; and {len(messages) - MOST_MESSAGES} other reasons" if len(messages) > MOST_MESSAGES else ""
    return ": " + "; ".join(text.rstrip(".") for text in texts) + more


def about_groups(groups: Sequence[Group], shown: int) -> list[str]:
    """That different tasks and data sets do not compare."""
    if len(groups) < 2:
        return []
    names = listed([f"{group.name} ({count(group.n_runs, 'run')})" for group in groups[:shown]])
    rest = f", and {len(groups) - shown} more, which are in the table only" if len(groups) > shown else ""
    kind = kind_of(groups)
    return [
        f"The runs are of {len(groups)} {kind}s: {names}{rest}. "
        f"Their figures do not compare, so each {kind} has its own part below."
    ]


def kind_of(groups: Sequence[Group]) -> str:
    """What tells groups from each other."""
    return "task" if len({id(group.spec) for group in groups}) > 1 else "data set"


def about_curves(winners: Sequence[Winner], metric: Metric) -> list[str]:
    """Who wins on which axis."""
    if not winners:
        return []
    budgets = [f"{winner.budget:.3g} {winner.axis.unit}" for winner in winners]
    if len({winner.setting for winner in winners}) == 1:
        same = listed(budgets).replace(" and ", " or ")
        return [f"{winners[0].setting} has the {metric.best} {metric.name} whether all get {same}."]
    parts = [
        f"after {budget} {winner.setting} ({metric.show(winner.value)})"
        for budget, winner in zip(budgets, winners, strict=True)
    ]
    return [f"Who has the {metric.best} {metric.name} depends on what is held equal: {listed(parts)}."]
