"""What a report claims of settings: which is the best, whom it beats, and what these replicates could not show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnexp.comparison.metric import Metric
from nnexp.comparison.settings import Group, Setting
from nnexp.comparison.wording import bounds, count, listed, replicates, show_p, with_interval
from nnexp.statistics.intervals import LEVEL
from nnexp.statistics.paired import Comparison
from nnexp.statistics.sign_flips import replicates_needed

MOST_PAIRS = 4


def about_choice(group: Group) -> list[str]:
    """Which setting is best, by what, and how much that can be believed."""
    metric, best = group.final, group.best
    if len(group.settings) == 1:
        held_out = group.spec.about_parts(group)
        if best.n == 1:
            return [f"One run, with a {metric.name} of {figure(best, metric)}; there is nothing to compare it with.",
                    *_about_failed(group), *held_out]  # fmt: skip
        final = figure(best, metric)
        return [
            f"One setting with {count(best.n, group.noun)}: {metric.name} {final}.",
            *_about_failed(group),
            *_about_mixed(group),
            *held_out,
        ]
    keys = listed([group.spec.name_of(key) for key in group.keys])
    even = all(setting.n == group.most_seeds for setting in group.settings)
    seeds = f"{'' if even else 'up to '}{count(group.most_seeds, group.noun)} each"
    if group.design.within:
        seeds += f", over each of which the {group.design.within}s are averaged"
    said = [f"{len(group.settings):,} settings of {keys}, {seeds}."]
    if not group.has_choice:
        return said + about_no_choice(group) + _about_failed(group) + _about_mixed(group)
    said += about_best(group)
    unmeasured = [setting for setting in group.settings if not (setting.has(metric.key) and setting.has(group.by.key))]
    if unmeasured:
        what = f"a {group.choice.part} part" if group.choice.part else metric.name
        said.append(
            f"{count(len(unmeasured), 'setting')} without {what} {'comes' if len(unmeasured) == 1 else 'come'} last."
        )
    said += _about_missing(
        group, [setting for setting in group.settings if setting.missing and setting not in unmeasured]
    )
    said += _about_failed(group)
    if group.n_superseded:
        said.append(f"{count(group.n_superseded, 'run')} left out: a newer one has the same params and seed.")
    if group.n_extra:
        said.append(f"{count(group.n_extra, 'run')} left out, to rank all over the same {group.noun}s.")
    return said + _about_mixed(group) + group.spec.about_parts(group)


def about_no_choice(group: Group) -> list[str]:
    """Why none of the settings can be called the best."""
    why_not = group.choice.why_not.format(noun=group.noun)
    return [why_not] if why_not else group.spec.about_no_choice(group)


def about_best(group: Group) -> list[str]:
    """Which setting is the best, and what flatters it; empty where none can be called so."""
    if not group.has_choice or len(group.settings) == 1:
        return []
    best, final = group.best, figure(group.best, group.final)
    if group.by == group.final:
        alone = "" if len(group.complete) > 1 else ", the only setting that is ranked"
        bias = group.spec.about_selection_bias(group) if group.has_selection_bias else []
        return [f"The best by {group.by.name} is {best.full_name}: {final}{alone}.", *bias]
    chosen = group.by.show(best.column(group.by.key).mean())
    said = [
        f"Chosen by {group.by.name} ({chosen}): {best.full_name}. "
        f"On the {group.choice.part} part, not looked at for the choice: {final}."
    ]
    return said + _about_nested(group)


def figure(setting: Setting, metric: Metric) -> str:
    """A figure of a setting with its interval, and of what that is."""
    summary = setting.summary(metric.key)
    if summary.method == "Wilson":
        total = setting.n_samples[metric.key]
        return (
            f"{metric.show(summary.mean)} (95 % interval {bounds(summary, metric)}, from its {total:,} samples alone)"
        )
    return with_interval(summary, metric, setting.design.noun)


def _about_nested(group: Group) -> list[str]:
    """What the choice itself is good for: made anew on each replicate, by the part that it is made on."""
    settings = [setting for setting in group.complete if setting.has(group.final.key)]
    if len(settings) < 2 or group.best.n < 2:
        return []
    sign, tie = 1 if group.by.higher_is_better else -1, group.choice.tie
    merits = [(s.by_unit(group.by.key), s.by_unit(tie), s.by_unit(group.final.key)) for s in settings]
    reached: list[float] = []
    for unit in merits[0][0]:
        # Equal ones are told apart by what breaks ties, then by their order, and never by the figure that is reported.
        ranks = [(-sign * by[unit], ties.get(unit, math.inf), place) for place, (by, ties, _) in enumerate(merits)
                 if math.isfinite(by.get(unit, math.nan))]  # fmt: skip
        if ranks:
            reached.append(merits[min(ranks)[2]][2].get(unit, math.nan))
    summary = group.design.summary(reached)
    return [
        f"Chosen anew on each {group.noun} (nested selection), the settings reach "
        f"{with_interval(summary, group.final, group.noun)}: so good is the whole procedure, choice included."
    ]


def _about_missing(group: Group, settings: Sequence[Setting]) -> list[str]:
    """Which settings are not ranked, and what they lack."""
    if not settings:
        return []
    each = [f"{setting.label} ({_replicates(setting)})" for setting in settings[:MOST_PAIRS]]
    more = [f"{len(settings) - MOST_PAIRS} more"] if len(settings) > MOST_PAIRS else []
    return [f"Not ranked, for want of results that others have: {listed([*each, *more])}."]


def _replicates(setting: Setting) -> str:
    missing: Any = setting.missing
    return replicates(missing) if len(missing) <= MOST_PAIRS else count(len(missing), "run")


def _about_failed(group: Group) -> list[str]:
    """Which settings have no result at all."""
    if not group.without:
        return []
    more = [f"{len(group.without) - MOST_PAIRS} more"] if len(group.without) > MOST_PAIRS else []
    theirs = "every run of it" if len(group.without) == 1 else "all of their runs"
    return [f"Not ranked, since {theirs} failed: {listed([*group.without[:MOST_PAIRS], *more])}."]


def _about_mixed(group: Group) -> list[str]:
    """That the runs of one setting were made by different code or arithmetic, which a spread over seeds must not be."""
    said: list[str] = []
    for column, what in (
        ("arithmetic", "BLAS kernels or versions of NumPy and SciPy"),
        ("code_digest", "versions of the code"),
    ):
        mixed = [setting.label for setting in group.settings if _mixes(setting, column)]
        if mixed:
            shown = listed(
                [*mixed[:MOST_PAIRS], *([f"{len(mixed) - MOST_PAIRS} more"] if len(mixed) > MOST_PAIRS else [])]
            )
            said.append(f"Beware: runs of one setting were made with different {what}: {shown}.")
    return said


def _mixes(setting: Setting, column: str) -> bool:
    return column in setting.runs and len({each for each in setting.runs[column] if isinstance(each, str) and each}) > 1


def about_comparisons(group: Group, comparisons: Sequence[Comparison]) -> list[str]:
    """What can be said of differences between settings at this number of replicates."""
    if len(group.settings) < 2 or not group.has_choice:
        return []
    if group.most_seeds < 2:
        return ["Each setting was run with one seed, which cannot tell skill from luck; seed=0,1,2,3,4 adds a spread."]
    tested = [c for c in comparisons if c.n >= 2]
    of_best = [c for c in comparisons if group.best.label in (c.first, c.second)]
    said = _about_best(group, of_best)
    if len(comparisons) > len(of_best):
        said.append("How the others compare among themselves is in the table.")
    if tested:
        said += _about_power(group, tested, of_best)
    if group.has_selection_bias and len(tested) < len(group.settings) * (len(group.settings) - 1) // 2:
        said.append(
            "The best was picked by these same figures, so the p-values against it are smaller than they should be."
        )
    return said


def _about_power(group: Group, tested: Sequence[Comparison], of_best: Sequence[Comparison]) -> list[str]:
    """What correction was made, what p is possible at all, and how many more replicates would show what was seen."""
    least, most, noun = min(c.least for c in tested), max(c.n for c in tested), group.noun
    said = [f"Corrected p-values are Holm's, for {len(tested)} comparisons."] if len(tested) > 1 else []
    if least > LEVEL:
        enough, ties = replicates_needed(len(tested)), min(c.ties for c in tested)
        but = f", {ties} of them equal," if ties else ""
        which = f"{enough} {noun}s{' that are not equal' if ties else ''}"
        said.append(f"With {count(most, noun)}{but} no p below {least:.2g} is possible; {which} can reach {LEVEL:g}.")
    undecided = [c for c in of_best if c.n >= 2 and not c.differs and not c.is_equivalent and c.sd]
    if rivals := [c for c in undecided if c.first == group.best.label and c.wins > c.losses]:
        said.append(_about_need(rivals[0], group))
    return said


def _about_need(c: Comparison, group: Group) -> str:
    noun, by = group.noun, group.final.show_difference(c.difference.mean)
    true = f"If {c.first} is better than {c.second} by the {by} seen"
    if c.needed is None:
        why = (
            "for their held-out parts are of the same samples; only more data can"
            if group.design.resamples
            else "so small it is"
        )
        return f"{true}, no number of {noun}s is likely to show it, {why}."
    more = max(1, c.needed - c.n)
    if group.design.per_seed > 1:
        seeds = count(-(-more // group.design.per_seed), "seed")
        return (
            f"{true}, {seeds} more, each with its {group.design.per_seed} folds, would show it with a chance of 80 %."
        )
    return f"{true}, {count(more, noun)} more would show it with a chance of 80 %."


def _about_best(group: Group, comparisons: Sequence[Comparison]) -> list[str]:
    """How the best setting stands to each other one, those of which the same is to be said in one sentence."""
    best, scope, kinds = group.best.label, group.design.scope, dict[str, list[str]]()
    for c in comparisons:
        kind = _kind(c, best)
        kinds.setdefault(kind, []).append(_other(c, best, kind, group))
    said: list[str] = []
    for kind, text in KINDS.items():
        if others := kinds.get(kind):
            more = [f"{len(others) - MOST_PAIRS} more (see the table)"] if len(others) > MOST_PAIRS else []
            margin = group.final.show_difference(group.margin or 0.0)
            words = {
                "best": best,
                "others": listed([*others[:MOST_PAIRS], *more]),
                "noun": group.noun,
                "margin": margin,
            }
            said.append(text.format(**words, scope=scope, there=scope[0].lower() + scope[1:]))
    return said


KINDS = {
    "equivalent": "{scope}, {best} and {others} differ by less than the margin of {margin}.",
    "beats": "{scope}, {best} beats {others}.",
    "ahead": "{best} is ahead of {others}: at this number of {noun}s a hint, not proof.",
    "equal": "No difference is shown between {best} and {others}.",
    "same": "{best} and {others} are equal on each {noun}.",
    "behind": "{best} was chosen, and yet {there} it is beaten by {others}.",
    "unknown": "{best} shares too few {noun}s for a comparison with {others}.",
}


def _kind(c: Comparison, best: str) -> str:
    if c.n < 2:
        return "unknown"
    if c.ties == c.n:
        return "same"
    if c.is_equivalent:
        return "equivalent"
    if c.differs:
        return "beats" if c.first == best else "behind"
    return "ahead" if not c.losses and 2 * c.wins > c.n and c.first == best else "equal"


def _other(c: Comparison, best: str, kind: str, group: Group) -> str:
    """The other setting, with what was seen."""
    metric, noun = group.final, group.noun
    other, wins = (c.second, c.wins) if c.first == best else (c.first, c.losses)
    if kind == "unknown":
        return f"{other} ({count(c.n, noun)})"
    if kind == "same":
        return other
    ties = f", equal on {c.ties}" if c.ties else ""
    by = metric.show_difference(c.difference.mean)
    if kind == "equal":
        could = ""
        if metric.can_differ_by(c.detectable):
            could = f"; {count(c.n, noun)} could have shown a difference of {metric.show_difference(c.detectable)}"
        return f"{other} ({group.best.label} ahead on {wins} of {c.n}{ties}, {_p(c)}{could})"
    if kind == "equivalent":
        return f"{other} (by {by} on average, {_p(c)})"
    on = f"{max(wins, c.wins)} of {c.n} {noun}s{ties}"
    return f"{other} on {on} (by {by} on average{_interval(c, metric)}, {_p(c)})"


def _p(c: Comparison) -> str:
    """The p-value, and what Holm's correction makes of it."""
    if math.isnan(c.p):
        return "the same on each, for which there is no t-test"
    corrected = show_p(c.p_holm).removeprefix("p ").removeprefix("= ")
    return show_p(c.p) if c.p == c.p_holm else f"{show_p(c.p)}, corrected {corrected}"


def _interval(c: Comparison, metric: Metric) -> str:
    if not c.difference.has_interval:
        return ""
    low, high = (metric.show_difference(end, unit=False) for end in (c.difference.low, c.difference.high))
    return f", 95 % interval {low} to {high}"
