"""Settings and replicates: all that was swept but the seed, and the runs that repeat it with another seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from nnexp.comparison.metric import MISSING, Metric
from nnexp.comparison.statistics import Summary, summarize

if TYPE_CHECKING:
    from nnexp.comparison.spec import ComparisonSpec

SEED = "seed"

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
    """

    by: Metric
    final: Metric
    tie: str = ""
    is_fair: bool = True
    part: str = ""


@dataclass(frozen=True, eq=False)
class Setting:
    """One choice of all that was swept but the seed, and its finished runs, one a seed.

    `words` says what it is; `label` are the words too, or a letter where these are long or the same for two.
    """

    label: str
    words: str
    values: dict[str, Any]
    runs: Frame

    @property
    def full_name(self) -> str:
        """The label, with the words in brackets behind a letter."""
        return self.label if self.label == self.words else f"{self.label} ({self.words})"

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.runs)

    def by_seed(self, key: str) -> dict[int, float]:
        """A final metric of each seed."""
        return {int(seed): float(v) for seed, v in zip(self.runs[SEED], self.column(key), strict=True)}

    def column(self, key: str) -> Column:
        """A column of the runs as floats, NaN where they do not have it."""
        if key not in self.runs:
            return pd.Series(math.nan, index=self.runs.index)
        return self.runs[key].astype(float)

    def has(self, key: str) -> bool:
        """Whether any of the runs has a metric."""
        return bool(self.column(key).notna().any())

    def summary(self, key: str) -> Summary:
        """Mean and interval of a final metric over the seeds."""
        return summarize(self.column(key).to_numpy())


@dataclass(frozen=True, eq=False)
class Group:
    """The finished runs of one task on one data set.

    Attributes
    ----------
    name : str
        What tells it from the other groups.
    keys : tuple of str
        What was swept, without the seed.
    settings : tuple of Setting
        In the order of their values; best first where they are called by letters.
    choice : Choice
    spec : ComparisonSpec
        Of the task.
    logged : tuple of str
        The metrics that the runs have.
    n_superseded : int
        Runs left out because a newer one has the same params and seed.
    """

    name: str
    keys: tuple[str, ...]
    settings: tuple[Setting, ...]
    choice: Choice
    spec: ComparisonSpec
    logged: tuple[str, ...] = ()
    n_superseded: int = 0

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
        """Best first, by the mean over the seeds; a setting with less than half of the seeds of another comes last.

        In the order of their values where there is no best one.
        """
        if not self.has_choice:
            return self.settings
        sign = -1 if self.by.higher_is_better else 1

        def rank(setting: Setting) -> tuple[bool, float, float]:
            mean, tie = setting.column(self.by.key).mean(), setting.column(self.choice.tie).mean()
            return 2 * setting.n < self.most_seeds, math.inf if math.isnan(mean) else sign * mean, tie

        return tuple(sorted(self.settings, key=rank))

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
        return len(self.settings) > 1 and self.by == self.final

    @property
    def n_runs(self) -> int:
        """Runs of all settings."""
        return sum(setting.n for setting in self.settings)

    @property
    def most_seeds(self) -> int:
        """Seeds of the setting that has the most."""
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
