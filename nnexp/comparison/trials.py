"""What a search was to find with fewer trials: the expected best over the number of trials."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nnexp.comparison.citing import cite
from nnexp.comparison.drawing import colors_of, drawn, legend_below, panels
from nnexp.comparison.sections import Picture, Section
from nnexp.comparison.settings import Group, Setting, is_number, show_value
from nnexp.comparison.wording import count
from nnexp.statistics.budgets import ExpectedBest, expected_best

LEAST_TRIALS, LEAST_VALUES = 10, 3
POINTS = 120  # of a line
MARKERS = "osD^vX"  # with which lines can be told apart in grey too


@dataclass(frozen=True, eq=False)
class Search:
    """The trials of a search, or of one of the searches that are compared, in the order in which they were made.

    Attributes
    ----------
    name : str
        Of what was searched for; "" where there is one search.
    values : ndarray of shape (n_trials,)
        What each trial came to, the mean over its replicates.
    best : ExpectedBest
    """

    name: str
    values: np.ndarray
    best: ExpectedBest


def add_to(section: Section, group: Group) -> None:
    """Add what is to be expected of fewer trials, where there were enough of them."""
    found = searches(group)
    if not found:
        return
    section.pictures.append(Picture("expected_best", draw(group, found), _caption(group, found)))
    section.methods.append((
        f"The expected best {group.by.name} of fewer trials is the mean of the best of that many, drawn with "
        "replacement from those that were made ", cite("dodge2019"), ".",
    ))  # fmt: skip
    if not found[0].name:
        section.sentences.append(_sentence(group, found[0]))


def searches(group: Group) -> list[Search]:
    """The searches of a group, one for each value of the key whose values are alternatives; empty of a small sweep.

    An alternative of which fewer than three settings were tried was not searched for.
    """
    trials = [s for s in group.complete if math.isfinite(s.column(group.by.key).mean())] if group.has_choice else []
    if len(trials) < LEAST_TRIALS or not any(_is_searched(group, key) for key in group.keys):
        return []
    trials.sort(key=lambda setting: setting.runs["started"].min())
    key = group.spec.alternatives
    if key not in group.keys:
        return [_search("", trials, group)]
    names = list(dict.fromkeys(setting.values[key] for setting in trials))
    found = [_search(show_value(name), [s for s in trials if s.values[key] == name], group) for name in sorted(names)]
    return [search for search in found if len(search.values) >= LEAST_VALUES]


def _is_searched(group: Group, key: str) -> bool:
    """Whether a key has several numbers as values, as what is tuned has."""
    values = {setting.values[key] for setting in group.settings}
    return sum(map(is_number, values)) >= LEAST_VALUES


def _search(name: str, trials: Sequence[Setting], group: Group) -> Search:
    values = np.array([float(setting.column(group.by.key).mean()) for setting in trials])
    n = len(values)
    budgets = np.unique(np.append(np.linspace(1, n, min(n, POINTS)).astype(int), n // 2 or 1))
    return Search(name, values, expected_best(values, budgets, higher_is_better=group.by.higher_is_better is not False))


def _caption(group: Group, found: Sequence[Search]) -> str:
    said = (
        f"Expected best {group.by.name} over the number of trials (Dodge et al. 2019), as if each were drawn at random "
        "from those that were made; shades: one standard deviation of the best, within the values that there are."
    )
    if not found[0].name:
        said += f" Dots: the best so far of the {len(found[0].values)} trials in the order in which they began."
    else:
        name = group.spec.name_of(group.spec.alternatives)
        said += f" One line for each {name} of which {LEAST_VALUES} settings or more were tried."
    if group.most_seeds > 1:
        said += f" A trial is the mean over its {group.noun}s."
    if group.has_selection_bias:
        said += f" Chosen and reported by one figure, {group.by.name}, each is higher than what new data would give."
    return said


def _sentence(group: Group, search: Search) -> str:
    """How much of what was found half of the trials would have found."""
    n, by = len(search.values), group.by
    half, best = n // 2, by.show(float(_best(group, search.values)))
    place = int(np.searchsorted(search.best.n, half))
    mean, spread = by.show(float(search.best.mean[place])), by.show_difference(float(search.best.spread[place]))
    return (
        f"{count(half, 'trial')}, half of the {n}, drawn at random would have found a {by.name} of {mean} on average "
        f"(standard deviation {spread}); all of them found {best}."
    )


def _best(group: Group, values: np.ndarray) -> float:
    return float(values.max() if group.by.higher_is_better is not False else values.min())


@drawn
def draw(group: Group, found: Sequence[Search]) -> Figure:
    """Draw the expected best with its spread, and of a lone search also the best so far of its trials."""
    figure, axes = panels(5.6, 3.2, 1, 1)
    panel, scale = axes[0, 0], group.by.scale
    looks = colors_of([search.name for search in found])
    for search, (color, dash), marker in zip(found, looks, itertools.cycle(MARKERS), strict=False):
        n = search.best.n
        mean, spread = search.best.mean, search.best.spread
        low, high = np.maximum(mean - spread, search.values.min()), np.minimum(mean + spread, search.values.max())
        mark = {"marker": marker, "markevery": max(1, len(n) // 8), "markersize": 4.5} if search.name else {}
        panel.plot(n, scale * mean, color=color, linestyle=dash, label=search.name or "expected", **mark)
        panel.fill_between(n, scale * low, scale * high, color=color, alpha=0.15, linewidth=0)
        if not search.name:
            so_far = np.maximum.accumulate if group.by.higher_is_better is not False else np.minimum.accumulate
            dots = {"marker": "o", "markersize": 3, "linestyle": "none"}
            panel.plot(n, scale * so_far(search.values)[n - 1], color=colors_of("ab")[1][0], label="as it went", **dots)
    panel.set(xlabel="trials", ylabel=f"best {group.by.axis_label}")
    panel.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    panel.grid(visible=True)
    legend_below(figure, panel, columns=5)
    return figure
