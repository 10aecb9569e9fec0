"""What a report says in plain sentences, each no stronger than the numbers behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nnexp.comparison.curves import Winner
from nnexp.comparison.grouping import COUNTED
from nnexp.comparison.metric import Metric
from nnexp.comparison.settings import Frame, Group
from nnexp.comparison.statistics import LEVEL, Comparison, seeds_needed
from nnexp.comparison.wording import count, listed, show_p, with_interval
from nnexp.report.table import digest_columns
from nnexp.runs.records import SweepPlan

MOST_MESSAGES, MOST_PAIRS = 5, 4
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
    return said


def _about_repeats(finished: Frame) -> list[str]:
    """Of runs with the key of a newer one: which have its numbers to the last bit, and what may tell the others."""
    equal, others, digests = 0, [], digest_columns(finished)
    for _, runs in finished.groupby("run_key", sort=False):
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


def about_choice(group: Group) -> list[str]:
    """Which setting is best, by what, and how much that can be believed."""
    metric, best = group.final, group.best
    final = with_interval(best.summary(metric.key), metric)
    if len(group.settings) == 1:
        held_out = group.spec.about_parts(group)
        if best.n == 1:
            return [f"One run, with a {metric.name} of {final}; there is nothing to compare it with.", *held_out]
        return [f"One setting with {count(best.n, 'seed')}: {metric.name} {final}.", *held_out]
    keys = listed([group.spec.name_of(key) for key in group.keys])
    even = all(setting.n == group.most_seeds for setting in group.settings)
    seeds = f"{'' if even else 'up to '}{count(group.most_seeds, 'seed')} each"
    said = [f"{len(group.settings):,} settings of {keys}, {seeds}."]
    if not group.has_choice:
        return said + group.spec.about_no_choice(group)
    if group.has_selection_bias:
        said.append(f"The best by {group.by.name} is {best.full_name}: {final}.")
        said += group.spec.about_selection_bias(group)
    else:
        chosen = group.by.show(best.column(group.by.key).mean())
        said.append(
            f"Chosen by {group.by.name} ({chosen}): {best.full_name}. "
            f"On the {group.choice.part} part, not looked at for the choice: {final}."
        )
    unmeasured = sum(not setting.has(metric.key) for setting in group.settings)
    if unmeasured:
        what = f"a {group.choice.part} part" if group.choice.part else metric.name
        said.append(f"{count(unmeasured, 'setting')} without {what} {'comes' if unmeasured == 1 else 'come'} last.")
    if group.n_superseded:
        said.append(f"{count(group.n_superseded, 'run')} left out: a newer one has the same params and seed.")
    return said + group.spec.about_parts(group)


def about_comparisons(group: Group, comparisons: Sequence[Comparison]) -> list[str]:
    """What can be said of differences between settings at this number of seeds."""
    if len(group.settings) < 2 or not group.has_choice:
        return []
    if group.most_seeds < 2:
        return ["Each setting was run with one seed, which cannot tell skill from luck; seed=0,1,2,3,4 adds a spread."]
    tested = [c for c in comparisons if c.n >= 2]
    of_best = [c for c in comparisons if group.best.label in (c.first, c.second)]
    said = _about_best(group.best.label, of_best, group.final)
    if len(comparisons) > len(of_best):
        said.append("How the others compare among themselves is in the table.")
    if tested:
        said += _about_power(tested)
    if group.has_selection_bias and len(tested) < len(group.settings) * (len(group.settings) - 1) // 2:
        said.append(
            "The best was picked by these same figures, so the p-values against it are smaller than they should be."
        )
    return said


def _about_power(tested: Sequence[Comparison]) -> list[str]:
    least, most = min(c.least for c in tested), max(c.n for c in tested)
    said = [f"Here p is given after Holm's correction for {len(tested)} comparisons."] if len(tested) > 1 else []
    if least > LEVEL:
        enough = seeds_needed(len(tested))
        said.append(
            f"With {count(most, 'seed')} no p below {least:.2g} is possible; {enough} seeds can reach {LEVEL:g}."
        )
    return said


def _about_best(best: str, comparisons: Sequence[Comparison], metric: Metric) -> list[str]:
    """How the best setting stands to each other one, those of which the same is to be said in one sentence."""
    kinds: dict[str, list[str]] = {}
    for c in comparisons:
        kind = _kind(c, best)
        kinds.setdefault(kind, []).append(_other(c, best, kind, metric))
    said = []
    for kind, text in KINDS.items():
        if others := kinds.get(kind):
            more = [f"{len(others) - MOST_PAIRS} more (see the table)"] if len(others) > MOST_PAIRS else []
            said.append(text.format(best=best, others=listed([*others[:MOST_PAIRS], *more])))
    return said


KINDS = {
    "beats": "{best} beats {others}.",
    "ahead": "{best} is ahead of {others}: at this number of seeds a hint, not proof.",
    "equal": "{best} does not differ at this number of seeds from {others}.",
    "behind": "{best} was chosen, and yet it is beaten by {others}.",
    "unknown": "{best} shares too few seeds for a comparison with {others}.",
}


def _kind(c: Comparison, best: str) -> str:
    if c.n < 2:
        return "unknown"
    if c.differs:
        return "beats" if c.first == best else "behind"
    return "ahead" if c.wins == c.n and c.first == best else "equal"


def _other(c: Comparison, best: str, kind: str, metric: Metric) -> str:
    other, wins = (c.second, c.wins) if c.first == best else (c.first, c.n - c.wins - c.ties)
    if kind == "unknown":
        return f"{other} ({count(c.n, 'seed')})"
    if kind == "equal":
        return f"{other} (ahead on {wins} of {c.n}, {show_p(c.p_holm)})"
    by = metric.show_difference(c.difference.mean)
    return f"{other} on {max(wins, c.wins)} of {c.n} seeds (by {by} on average, {show_p(c.p_holm)})"


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
