"""Settings and replicates: all that was swept but seed, split and fold, and the runs that repeat it with others."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from nnexp.comparison.metric import MISSING, Metric
from nnexp.statistics.intervals import Summary, wilson
from nnexp.statistics.paired import Design

if TYPE_CHECKING:
    from nnexp.comparison.spec import ComparisonSpec

SEED = "seed"
REPLICATE, UNIT = "_replicate", "_unit"  # columns: what tells runs of a setting apart, and what is averaged over

BY_SEED = Design()

# What pyright reads off pandas without its stubs is mostly wrong.
Frame: TypeAlias = Any
Column: TypeAlias = Any


@dataclass(frozen=True)
class Choice:
    """What the settings of a group are ranked by and what is reported of them.

    Attributes
    ----------
    by, final : Metric
        They differ where the choice is made on a part of its own.
    tie : str
        The metric that ranks equals, the lowest first; "" for none.
    is_fair : bool
        Whether one setting can be called the best.
    part : str
        The part of the data that `final` is measured on; "" where there are none.
    why_not : str
        Why none can be called the best, where the task itself has no reason; with a place for ``noun``.
    """

    by: Metric
    final: Metric
    tie: str = ""
    is_fair: bool = True
    part: str = ""
    why_not: str = ""


@dataclass(frozen=True, eq=False)
class Setting:
    """One choice of all that was swept but what makes a replicate, and its finished runs, one a replicate.

    Attributes
    ----------
    label, words : str
        `words` says what it is; `label` are the words too, or a letter where these are long or the same for two.
    values : dict
        Of what was swept.
    runs : DataFrame
        With the columns `REPLICATE` and `UNIT`.
    design : Design
        What the replicates vary.
    missing : frozenset
        The replicates that keep it from being ranked; empty where it is.
    n_samples : mapping of str to int
        Of a single run, the number of samples of which a metric is the share that is right.
    """

    label: str
    words: str
    values: dict[str, Any]
    runs: Frame
    design: Design = BY_SEED
    missing: frozenset[Hashable] = frozenset()
    n_samples: Mapping[str, int] = field(default_factory=dict[str, int])
    _columns: dict[str, Column] = field(default_factory=dict[str, Any], init=False, repr=False)

    @property
    def full_name(self) -> str:
        """The label, with the words in brackets behind a letter."""
        return self.label if self.label == self.words else f"{self.label} ({self.words})"

    @cached_property
    def n(self) -> int:
        """Number of seeds, splits or folds, whichever `design` counts."""
        return self.runs[UNIT].nunique()

    def by_replicate(self, key: str) -> dict[Hashable, float]:
        """A final metric of each run by its replicate."""
        return dict(zip(self.runs[REPLICATE], map(float, self.column(key)), strict=True))

    def by_unit(self, key: str) -> dict[Hashable, float]:
        """A final metric of each seed, split or fold: the mean over its runs; NaN where one of them has none."""
        values: dict[Hashable, list[float]] = {}
        for unit, value in zip(self.runs[UNIT], self.column(key), strict=True):
            values.setdefault(unit, []).append(float(value))
        return {unit: math.fsum(found) / len(found) for unit, found in values.items()}

    def column(self, key: str) -> Column:
        """A column of the runs as floats, NaN where they do not have it."""
        if key not in self._columns:  # a table of one or two rows takes as long as one of thousands
            there = key in self.runs
            self._columns[key] = self.runs[key].astype(float) if there else pd.Series(math.nan, index=self.runs.index)
        return self._columns[key]

    def has(self, key: str) -> bool:
        """Whether any of the runs has a metric."""
        return any(value == value for value in self.column(key))

    def summary(self, key: str) -> Summary:
        """Mean and interval of a final metric; of a single run the interval that its samples give."""
        found = self.design.summary(list(self.by_unit(key).values()), key)
        if len(self.runs) == 1 and found.n and (total := self.n_samples.get(key)):
            return Summary(1, found.mean, *wilson(found.mean * total, total), "Wilson")
        return found


@dataclass(frozen=True, eq=False)
class Group:
    """The finished runs of one task on one data set.

    Attributes
    ----------
    name : str
        What tells it from the other groups.
    keys : tuple of str
        What was swept, without what makes a replicate.
    settings : tuple of Setting
        In the order of their values; best first where they are called by letters.
    choice : Choice
    spec : ComparisonSpec
        Of the task.
    logged : tuple of str
        The metrics that the runs have.
    n_superseded : int
        Runs left out because a newer one has the same params and seed.
    n_extra : int
        Runs left out because not all that are ranked have such a replicate.
    without : tuple of str
        Settings that have no result at all, though they were tried.
    margin : float or None
        Up to which a difference of `final` is of no account.
    """

    name: str
    keys: tuple[str, ...]
    settings: tuple[Setting, ...]
    choice: Choice
    spec: ComparisonSpec
    logged: tuple[str, ...] = ()
    n_superseded: int = 0
    n_extra: int = 0
    without: tuple[str, ...] = ()
    margin: float | None = None

    @property
    def design(self) -> Design:
        """What the replicates vary."""
        return self.settings[0].design

    @property
    def noun(self) -> str:
        """What a replicate is called."""
        return self.design.noun

    @property
    def by(self) -> Metric:
        """What the best setting is chosen by."""
        return self.choice.by

    @property
    def final(self) -> Metric:
        """What is reported of the settings."""
        return self.choice.final

    @property
    def is_lettered(self) -> bool:
        """Whether the settings are called A, B, C."""
        return any(setting.label != setting.words for setting in self.settings)

    @property
    def has_choice(self) -> bool:
        """Whether one setting can be called the best."""
        return self.choice.is_fair

    @cached_property
    def ranked(self) -> tuple[Setting, ...]:
        """Best first, by the mean over the replicates; those that lack some, and are not ranked, come last.

        In the order of their values where there is no best one.
        """
        if not self.has_choice:
            return self.settings
        sign = -1 if self.by.higher_is_better else 1

        def rank(setting: Setting) -> tuple[bool, float, float]:
            mean, tie = setting.column(self.by.key).mean(), setting.column(self.choice.tie).mean()
            return bool(setting.missing), math.inf if math.isnan(mean) else sign * mean, tie

        return tuple(sorted(self.settings, key=rank))

    @cached_property
    def complete(self) -> tuple[Setting, ...]:
        """Those of `ranked` that have all replicates, and so are ranked."""
        return tuple(setting for setting in self.ranked if not setting.missing)

    @property
    def best(self) -> Setting:
        """The setting with the best mean."""
        return self.ranked[0]

    @property
    def top(self) -> str:
        """What those settings are called that are shown where not all can be."""
        return "The best" if self.has_choice else "The first"

    @property
    def has_selection_bias(self) -> bool:
        """Whether the best was chosen among several by the very figure that is reported of it."""
        return len(self.complete) > 1 and self.by == self.final

    @cached_property
    def runs(self) -> Frame:
        """The runs of all settings."""
        return pd.concat([setting.runs for setting in self.settings])

    @property
    def n_runs(self) -> int:
        """Runs of all settings."""
        return sum(len(setting.runs) for setting in self.settings)

    @cached_property
    def most_seeds(self) -> int:
        """Seeds, splits or folds of the setting that has the most."""
        return max(setting.n for setting in self.settings)

    def having(self, keys: Sequence[str]) -> list[Metric]:
        """Those of some metrics that every setting has."""
        return [self.spec.metric(key) for key in keys if all(setting.has(key) for setting in self.settings)]


def sort_key(value: Any) -> tuple[int, float, str]:
    """Numbers in their order, then texts in theirs."""
    return (0, float(value), "") if is_number(value) else (1, 0.0, str(value))


def is_number(value: Any) -> bool:
    """Whether a swept value is a number."""
    return isinstance(value, int | float)


def show_value(value: Any) -> str:
    """A swept value as text."""
    return f"{value:g}" if is_number(value) else str(value)


def plain(value: Any) -> Any:
    """A table's cell as a number or text; missing ones as one value that equals itself."""
    if value is None or value is pd.NA or value != value:
        return MISSING
    try:
        number = float(value)
    except ValueError:
        return value
    if not math.isfinite(number):
        return str(value)
    return int(number) if number.is_integer() else number
