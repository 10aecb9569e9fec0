"""Settings and replicates: what was swept, which runs repeat the same thing with another seed, and which is best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from nnexp.report.statistics import Summary, summarize
from nnexp.report.table import COUNTED, MISSING, Column, Frame

SEED, METHOD, L2 = "seed", "optimizer.method", "model.l2"
OPTIONS, BUDGETS = "optimizer.options.", ("optimizer.maxiter", "optimizer.maxfun")
NAMES = {
    L2: "lambda",
    "model.hidden_size": "hidden units",
    METHOD: "method",
    "optimizer.maxfun": "evaluations at most",
    "optimizer.maxiter": "iterations at most",
}
BARE = (METHOD, "model.activation", "training.dtype", "data.name")  # values that say themselves what they are
LONGEST_LABEL = 34  # letters; longer names would be cut in figures and be alike there
SMALL = 0.01  # nats; below, a value is written with an exponent
PARTS = {"train": "training", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class Metric:
    """A final metric of a run, and how people read it."""

    key: str

    @property
    def higher_is_better(self) -> bool:
        """Whether more is better: true for shares, false for nats."""
        return self.is_share

    @property
    def is_share(self) -> bool:
        """Whether it is a share between 0 and 1."""
        return self.key.split("/")[0] in ("accuracy", "f1")

    @property
    def name(self) -> str:
        """In words."""
        kind, _, part = self.key.partition("/")
        return f"{PARTS.get(part, part)} {kind}".strip()

    @property
    def axis_label(self) -> str:
        """In words, with the unit."""
        return f"{self.name} ({'%' if self.is_share else 'nats per sample'})"

    @property
    def scale(self) -> float:
        """What a value is multiplied by to have the unit of `axis_label`."""
        return 100.0 if self.is_share else 1.0

    def show(self, value: float, *, unit: bool = True) -> str:
        """Write a value as a reader wants it."""
        if not math.isfinite(value):
            return MISSING
        if self.is_share:
            return f"{100 * value:.2f}{' %' if unit else ''}"
        return f"{value:.3f}" if abs(value) >= SMALL or not value else f"{value:.2e}"

    def show_difference(self, value: float) -> str:
        """Write the difference of two values; of shares in percentage points."""
        return f"{100 * value:.2f} points" if self.is_share else f"{value:.3g} nats"


@dataclass(frozen=True, eq=False)
class Setting:
    """One choice of all that was swept but the seed, and its finished runs, one a seed.

    `label` names it in words, or by a letter where the words are long or the same for two; `words` says what it is.
    """

    label: str
    values: dict[str, Any]
    runs: Frame

    @property
    def words(self) -> str:
        """The setting in words."""
        return label_of(self.values) if self.values else self.label

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

    def summary(self, key: str) -> Summary:
        """Mean and interval of a final metric over the seeds."""
        return summarize(self.column(key).to_numpy())


@dataclass(frozen=True, eq=False)
class Group:
    """The finished runs on one data set.

    Attributes
    ----------
    name : str
        The data set.
    keys : tuple of str
        What was swept, without the seed.
    settings : tuple of Setting
        In the order of their values; best first where they are called by letters.
    by, final : Metric
        What the best setting is chosen by, and what is reported of it. They differ where there is a validation part.
    n_superseded : int
        Runs left out because a newer one has the same params and seed.
    """

    name: str
    keys: tuple[str, ...]
    settings: tuple[Setting, ...]
    by: Metric
    final: Metric
    n_superseded: int = 0

    @property
    def is_lettered(self) -> bool:
        """Whether the settings are called A, B, C."""
        return any(setting.label != setting.words for setting in self.settings)

    @property
    def has_choice(self) -> bool:
        """Whether one setting can be called the best.

        Not by the training part where lambda differs: its loss is lowest with the least penalty, whatever the data.
        """
        return not (self.by.key == "loss/train" and L2 in self.keys)

    @cached_property
    def ranked(self) -> tuple[Setting, ...]:
        """Best first, by the mean over the seeds; a setting with less than half of the seeds of another comes last.

        In the order of their values where there is no best one.
        """
        if not self.has_choice:
            return self.settings
        most = max(setting.n for setting in self.settings)
        sign = -1 if self.by.higher_is_better else 1
        tie = f"loss/{self.by.key.partition('/')[2]}"

        def rank(setting: Setting) -> tuple[bool, float, float]:
            mean, loss = setting.column(self.by.key).mean(), setting.column(tie).mean()
            return 2 * setting.n < most, math.inf if math.isnan(mean) else sign * mean, loss

        return tuple(sorted(self.settings, key=rank))

    @property
    def best(self) -> Setting:
        """The setting with the best mean."""
        return self.ranked[0]

    @property
    def part(self) -> str:
        """The part that `final` is measured on."""
        return self.final.key.partition("/")[2]

    @property
    def is_flattered(self) -> bool:
        """Whether the best was chosen among several on the very part on which it is reported."""
        return len(self.settings) > 1 and self.by == self.final

    @property
    def n_runs(self) -> int:
        """Runs of all settings."""
        return sum(setting.n for setting in self.settings)

    @property
    def most_seeds(self) -> int:
        """Seeds of the setting that has the most."""
        return max(setting.n for setting in self.settings)


def groups(frame: Frame, params: Sequence[str]) -> list[Group]:
    """The counted runs of a tidy table by data set, the data set with the most runs first."""
    counted = frame[frame[COUNTED]]
    if counted.empty:
        return []
    data = counted["data_digest"].fillna(counted["data.name"] if "data.name" in counted else MISSING).fillna(MISSING)
    parts = sorted((part for _, part in counted.groupby(data, sort=False)), key=len, reverse=True)
    names = _data_names(parts)
    return [make_group(part, params, name) for part, name in zip(parts, names, strict=True)]


def make_group(runs: Frame, params: Sequence[str], name: str = "") -> Group:
    """The settings among runs on one data set."""
    runs = runs.sort_values("started", kind="stable")
    if SEED not in runs:
        runs = runs.assign(**{SEED: 0})
    keys = swept_keys(runs, params)
    by, final = _metrics(runs, keys)
    if not keys:
        newest = runs.drop_duplicates(SEED, keep="last").sort_values(SEED)
        return Group(name, (), (Setting("the one setting", {}, newest),), by, final, len(runs) - len(newest))
    values = pd.DataFrame({key: runs[key].map(_plain) for key in keys}, index=runs.index)
    settings, superseded = [], 0
    for _, rows in values.groupby(list(keys), sort=False, dropna=False):
        of_setting = runs.loc[rows.index]
        newest = of_setting.drop_duplicates(SEED, keep="last").sort_values(SEED)
        superseded += len(of_setting) - len(newest)
        chosen = {key: _plain(rows[key].iloc[0]) for key in keys}
        settings.append(Setting(label_of(chosen), chosen, newest))
    settings.sort(key=lambda setting: [sort_key(value) for value in setting.values.values()])
    return _lettered(Group(name, keys, tuple(settings), by, final, superseded))


def _lettered(group: Group) -> Group:
    """The group with its settings called A, B, C, best first, where their names in words are long or not unique."""
    labels = [setting.label for setting in group.settings]
    if len(set(labels)) == len(labels) and max(map(len, labels)) <= LONGEST_LABEL:
        return group
    settings = [replace(setting, label=letter(place)) for place, setting in enumerate(group.ranked)]
    return replace(group, settings=tuple(settings))


def letter(place: int) -> str:
    """A to Z, then AA, AB, ..."""
    first, last = divmod(place, 26)
    return (letter(first - 1) if first else "") + chr(ord("A") + last)


def swept_keys(runs: Frame, params: Sequence[str]) -> tuple[str, ...]:
    """The params that differ among runs, without the seed, and without options that the method alone decides."""
    keys = [key for key in params if key != SEED and key in runs and runs[key].map(_plain).nunique() > 1]
    if METHOD in keys:
        decided = [key for key in keys if runs[key].map(_plain).groupby(runs[METHOD]).nunique().max() == 1]
        keys = [key for key in keys if not (key in decided and key.startswith(OPTIONS))]
        keys.sort(key=lambda key: key != METHOD)  # the method has the first word
    return tuple(keys)


def _plain(value: Any) -> Any:
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


def sort_key(value: Any) -> tuple[int, float, str]:
    """Numbers in their order, then texts in theirs."""
    return (0, float(value), "") if is_number(value) else (1, 0.0, str(value))


def is_number(value: Any) -> bool:
    """Whether a swept value is a number."""
    return isinstance(value, int | float)


def show_value(value: Any) -> str:
    """A swept value as text."""
    return f"{value:g}" if is_number(value) else str(value)


def name_of(key: str) -> str:
    """A swept key in words."""
    return NAMES.get(key, key.rpartition(".")[2].replace("_", " "))


def label_of(values: dict[str, Any]) -> str:
    """A setting in words, such as "lambda 1 · 25 units", without the keys that it does not have."""
    return " · ".join(_label(key, value) for key, value in values.items() if value != MISSING) or MISSING


def _label(key: str, value: Any) -> str:
    text = show_value(value)
    if key in BARE:
        return text
    return f"{text} units" if key == "model.hidden_size" else f"{name_of(key)} {text}"


def _metrics(runs: Frame, keys: Sequence[str]) -> tuple[Metric, Metric]:
    """What to choose by and what to report: the test part, and validation where all runs with a test part have it."""
    test, validation = Metric("accuracy/test"), Metric("accuracy/validation")
    tested = runs[runs[test.key].notna()] if test.key in runs else runs.iloc[:0]
    if len(tested):
        return (validation if _has(tested, validation.key) else test), test
    if _has(runs, validation.key):
        return validation, validation
    training = Metric("loss/train" if L2 in keys or not _has(runs, "cost/train") else "cost/train")
    return training, training


def _has(runs: Frame, key: str) -> bool:
    return key in runs and bool(runs[key].notna().all())


def _data_names(parts: Sequence[Frame]) -> list[str]:
    """A name for each data set, with the beginning of its digest where names are equal."""
    names = [str(part["data.name"].iloc[0]) if "data.name" in part else "data" for part in parts]
    digests = [str(part["data_digest"].iloc[0])[:6] for part in parts]
    return [f"{n} ({d})" if names.count(n) > 1 else n for n, d in zip(names, digests, strict=True)]
