"""What a report says and shows of settings that ran on several data sets."""

from __future__ import annotations

from collections.abc import Sequence

from nnexp.comparison import rank_diagram
from nnexp.comparison.citing import Sentence, cite
from nnexp.comparison.data_sets import OverDataSets, over_data_sets
from nnexp.comparison.sections import Picture, Section, Table
from nnexp.comparison.settings import Group, show_value
from nnexp.comparison.wording import count, listed, show_p
from nnexp.statistics.ranks import LEVEL, critical_difference, data_sets_needed, least_p

TITLE = "Over all data sets"
MOST_NAMED, MOST_DATA_SETS, MOST_ROWS = 4, 6, 30


def section(groups: Sequence[Group]) -> Section:
    """The settings over all data sets; empty where fewer than two settings have two data sets in common."""
    made = Section(TITLE)
    found = over_data_sets(groups)
    if found is None:
        return made
    made.summary += [_about_ranks(found), *_about_friedman(found), *_about_pairs(found)]
    made.sentences += [*made.summary, *_about_left_out(found)]
    made.methods += _methods(found)
    made.tables += [*([_settings(found)] if found.is_numbered else []), _means(found), _tests(found)]
    if len(found.names) > 2:
        made.pictures.append(Picture("ranks", rank_diagram.draw(found), _caption(found)))
    return made


def _about_ranks(found: OverDataSets) -> str:
    ranked = list(zip(found.names, found.ranks, strict=True))
    best = [name for name, rank in ranked if rank == found.ranks[0]]
    others = [f"{name} ({rank:.2f})" for name, rank in ranked[len(best) :]]
    if len(others) > MOST_NAMED + 1:
        others = [*others[:MOST_NAMED], f"{len(others) - MOST_NAMED} more, the last of them {others[-1]}"]
    data_sets = list(found.data_sets)
    if len(data_sets) > MOST_DATA_SETS:
        data_sets = [*data_sets[:MOST_NAMED], f"{len(data_sets) - MOST_NAMED} more"]
    verb = "has" if len(best) == 1 else "share"
    then = f", then {listed(others)}" if others else ""
    return (
        f"{count(len(found.names), 'setting')} on {count(found.n, 'data set')} ({listed(data_sets)}), ranked on "
        f"each by {found.metric.name}: {listed(best)} {verb} the best average rank ({found.ranks[0]:.2f}){then}."
    )


def _about_friedman(found: OverDataSets) -> list[str]:
    test, k = found.friedman, len(found.names)
    if test is None:
        return []
    if test.least > LEVEL:
        return [
            f"Friedman's test cannot show a difference of {k} settings on {count(found.n, 'data set')}: the smallest p "
            f"possible is {test.least:.2g}."
        ]
    numbers = f"χ² = {test.chi2:.2f}, F = {test.f:.2f}, {show_p(test.p)}{', exact' if test.is_exact else ''}"
    if test.p <= LEVEL:
        return [f"Friedman's test shows that not all {k} settings are the same ({numbers})."]
    return [
        f"Friedman's test shows no difference of the {k} settings ({numbers}), which is no proof that they are equal."
    ]


def _about_pairs(found: OverDataSets) -> list[str]:
    n_pairs, needed = len(found.pairs), data_sets_needed(len(found.pairs))
    if found.least > LEVEL:
        after = f", after Holm's correction for {n_pairs} pairs {found.least:.2g}" if n_pairs > 1 else ""
        return [
            f"{count(found.n, 'data set')} cannot show a difference of two settings, whatever it is: the smallest p of "
            f"Wilcoxon's signed-rank test is {least_p(found.n):.2g}{after}; it takes {needed} data sets to reach "
            f"{LEVEL:g}."
        ]
    holm = f" after Holm's correction for {n_pairs} pairs" if n_pairs > 1 else ""
    differing = sorted((pair for pair in found.pairs if pair.differs), key=lambda pair: pair.p)
    if not differing:
        least = min(found.pairs, key=lambda pair: pair.p)
        what = f"{found.names[least.first]} and {found.names[least.second]}"
        nearest = (
            f" (the smallest is that of {what}: {show_p(least.p_holm)})" if n_pairs > 1 else f" ({show_p(least.p)})"
        )
        return [f"Wilcoxon's signed-rank test shows no difference of two settings{holm}{nearest}."]
    named = [
        f"{found.names[pair.first]} is better than {found.names[pair.second]} on {pair.wins} of {found.n} "
        f"({show_p(pair.p_holm)})"
        for pair in differing[:MOST_NAMED]
    ]
    more = f"; {len(differing) - MOST_NAMED} more are in the table" if len(differing) > MOST_NAMED else ""
    return [
        f"Wilcoxon's signed-rank test shows {len(differing)} of {count(n_pairs, 'pair')} to differ{holm}: "
        f"{listed(named)}{more}."
    ]


def _about_left_out(found: OverDataSets) -> list[str]:
    said = []
    if found.lacking:
        named = [f"{name} ({listed(where)})" for name, where in found.lacking.items()]
        n = "" if len(named) <= MOST_NAMED else f"{len(named)} settings, the first of them "
        said.append(
            f"Left out of this part, since they lack a data set or some of the runs that others have on it: "
            f"{n}{listed(named) if not n else named[0]}."
        )
    if found.other_data_sets:
        is_one = len(found.other_data_sets) == 1
        said.append(
            f"{listed(found.other_data_sets)} {'is' if is_one else 'are'} left out of this part: the settings on "
            f"{'it' if is_one else 'them'} cannot be ranked by {found.metric.name}."
        )
    return said


def _methods(found: OverDataSets) -> list[Sentence]:
    n_pairs, test = len(found.pairs), found.friedman
    said: list[Sentence] = [(
        f"{count(len(found.names), 'setting')} were ranked on each of {count(found.n, 'data set')} by the mean of the "
        f"{found.metric.name}.",
    )]  # fmt: skip
    if test is not None:
        p = "; p was counted over all orders within the data sets" if test.is_exact else ""
        said.append((
            "Average ranks were compared by Friedman's test ", cite("friedman1937"), ", corrected for ties and as Iman "
            "and Davenport's F ", cite("iman1980"), f"{p}.",
        ))  # fmt: skip
    holm = (f", with Holm's correction for {n_pairs} pairs ", cite("holm1979")) if n_pairs > 1 else ()
    said.append((
        "Pairs were compared over the data sets by Wilcoxon's two-sided signed-rank test ", cite("wilcoxon1945"),
        ", exact, zeros taking part in the ranking ", cite("pratt1959"),
        ", and not by their mean ranks, which depend on the other settings ", cite("benavoli2016"), *holm, ".",
    ))  # fmt: skip
    if len(found.names) > 2:
        said.append(
            ("The critical-difference diagram is that of Demšar ", cite("demsar2006"), "; its bars are by these tests.")
        )
    return said


def _settings(found: OverDataSets) -> Table:
    header = ["setting", *found.keys]
    rows = [
        [name, *(show_value(values[key]) for key in found.keys)]
        for name, values in zip(found.names[:MOST_ROWS], found.values, strict=False)
    ]
    return Table("The settings over all data sets: all that differs between them.", header, rows, name="ranks-settings")


def _means(found: OverDataSets) -> Table:
    header = ["setting", "average rank", *found.data_sets]
    rows = [
        [name, f"{rank:.2f}", *(found.metric.show(float(mean), unit=False) for mean in means)]
        for name, rank, means in zip(found.names[:MOST_ROWS], found.ranks, found.means.T, strict=False)
    ]
    caption = (
        f"Means of {found.metric.axis_label} on each of {found.n} data sets, and average ranks, 1 the best; ties share "
        "their ranks."
    )
    best = 0 if found.ranks[0] < found.ranks[1] else None
    return Table(f"{caption}{_some(found.names)}", header, rows, best=best, name="ranks")


def _tests(found: OverDataSets) -> Table:
    header = ["better average rank", "than", "ahead on", "by (median)", "p", "p (Holm)"]
    rows = []
    for pair in sorted(found.pairs, key=lambda pair: pair.p)[:MOST_ROWS]:
        ahead = f"{pair.wins} of {found.n}{f', {pair.ties} equal' if pair.ties else ''}"
        by = found.metric.show_difference(pair.difference)
        names = [found.names[pair.first], found.names[pair.second]]
        rows.append([*names, ahead, by, f"{pair.p:.2g}", f"{pair.p_holm:.2g}"])
    some = f" of the first {found.n_tested} settings" if len(found.names) > found.n_tested else ""
    caption = (
        f"Pairs of settings over {found.n} data sets, by {found.metric.name}: Wilcoxon's signed-rank test, two-sided "
        f"and exact, zeros as Pratt has them; p (Holm) is corrected for {count(len(found.pairs), 'pair')}{some}."
    )
    return Table(f"{caption}{_some(found.pairs)}", header, rows, frozenset({0, 1}), name="ranks-pairs")


def _some(rows: Sequence[object]) -> str:
    return f" The first {MOST_ROWS} of {len(rows)}." if len(rows) > MOST_ROWS else ""


def _caption(found: OverDataSets) -> str:
    k, n = len(found.names), found.n
    some = f" The first {found.n_tested} of {k} are tested and shown." if k > found.n_tested else ""
    powerless = f" With {count(n, 'data set')} no pair can be shown to differ." if found.least > LEVEL else ""
    return (
        f"Critical-difference diagram (Demšar 2006): average ranks of {k} settings by {found.metric.name} on {n} data "
        f"sets, 1 the best. A bar joins settings of which no two were shown to differ, its dots are those settings: "
        f"Wilcoxon's signed-rank test of all {len(found.pairs)} pairs, as Benavoli et al. (2016) advise, with Holm's "
        f"correction, at the {100 * LEVEL:g} % level.{powerless} Nemenyi's critical difference, which the bars do not "
        f"use, is {critical_difference(k, n):.2f} ranks.{some}"
    )
