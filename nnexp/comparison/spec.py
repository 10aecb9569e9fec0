"""What a report must know of a task to compare its runs, and what the task adds to the report.

The defaults serve any task: they compare by its objective, or, where it declares none, show what was logged and call
nothing the best. A task gives its own through :attr:`nnexp.tasks.interface.Task.comparison`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np

from nnexp.comparison import over_data_sets
from nnexp.comparison.citing import Sentence
from nnexp.comparison.metric import MISSING, Metric
from nnexp.comparison.sections import Section
from nnexp.comparison.settings import REPLICATE, SEED, Choice, Column, Frame, Group, Setting, plain, show_value
from nnexp.comparison.values import of_param
from nnexp.comparison.wording import listed
from nnexp.statistics.paired import Design

MOST_FIGURES = 4  # metrics in a table or a figure
RUN_TIME = Metric("seconds", "run", "s", is_clock=True)  # from start to end, which every run has
ON_NEW_DATA = "On new samples of such data"  # the scope of claims that resampling the data supports
PLAIN_COLOR = "#0072B2"
OWN_FUNCTION, OWN_OPTIONS = "task.name", "task.options."  # params of a function of the user's own
ASIDE = ("step", "time", "seconds")  # columns of a history that are no metrics

History: TypeAlias = Mapping[str, np.ndarray]  # columns of shape (n_rows,)
Ranking: TypeAlias = Callable[[Sequence[Mapping[str, float]], Sequence[Mapping[str, Any]]], Sequence[str]]
T = TypeVar("T")


class Reader(Protocol):
    """Reads files of runs, wherever they lie."""

    def __call__(self, run_id: str, name: str, parse: Callable[[bytes], T]) -> T | None:
        """What `parse` makes of a file; None where there is none, or it is damaged, which the user is told."""


@dataclass(frozen=True)
class References:
    """Reference runs that a report may make to know better what it compares with: where they are kept, and how long."""

    folder: Path
    evaluations: int


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a report has beside the groups.

    Attributes
    ----------
    frame : DataFrame
        All runs, whatever became of them.
    histories : mapping of str to History
        Of the runs that are compared.
    read : Reader
    references : References or None
        None where none are asked for.
    sweep : str
        The id of the sweep that is reported; "" where it is something else.
    """

    frame: Frame
    histories: Mapping[str, History]
    read: Reader
    references: References | None = None
    sweep: str = ""


@dataclass(frozen=True)
class Axis:
    """What curves are drawn over: a column of the history that never falls."""

    column: str
    label: str
    unit: str  # of a budget, in the plural
    is_whole: bool = True


@dataclass(frozen=True)
class Panel:
    """What is drawn in one panel over the values of a swept key: metrics, each with its name and colour there."""

    name: str
    label: str
    lines: Sequence[tuple[Metric, str, str]]


STEPS = Axis("step", "steps", "steps")
SECONDS = Axis("seconds", "seconds", "seconds", is_whole=False)


class ComparisonSpec:
    """The defaults.

    Parameters
    ----------
    metrics : mapping of str to nnexp.tasks.interface.MetricSpec
        Those that the task declares.
    ranking : callable
        Gives of the metrics and the params of some runs the metrics that rank their settings, as
        :meth:`nnexp.tasks.interface.Task.ranking` does.
    held_out : float, optional
        The share of the samples that each seed holds out anew; None where seeds share what is held out, or it is not
        known.
    """

    key_names: Mapping[str, str] = {}  # a param in words; default: the last part of its key
    axis_names: Mapping[str, str] = {}  # the same on an axis
    value_forms: Mapping[
        str, str
    ] = {}  # how a setting is called by a value, such as "{} units"; default: name and value
    axes: Sequence[Axis] = (STEPS, SECONDS)
    data_key: str = ""  # the param that names the data
    alternatives: str = ""  # the param whose values are each tuned for themselves, where they are compared
    replicate_keys: Sequence[str] = (SEED,)  # whose values make replicates of one setting
    split_name: str = ""  # what a replicate calls a split of its own, apart from the seed; "" where it has none
    explanations: Sequence[str] = ()  # of what its figures are

    def __init__(self, metrics: Mapping[str, Any], ranking: Ranking, held_out: float | None = None) -> None:
        self.metrics = {key: Metric.of(key, spec) for key, spec in metrics.items()}
        self._ranking, self.held_out = ranking, held_out

    def ranked_by(self, key: str) -> ComparisonSpec:
        """The same, but that settings are ranked by another metric, wherever they can be ranked at all."""

        def ranking(metrics: Sequence[Mapping[str, Any]], params: Sequence[Mapping[str, Any]]) -> Sequence[str]:
            own = list(self._ranking(metrics, params))
            is_there = all(key in each for each in metrics)
            return [key, *own[1:]] if own and is_there else own

        other = copy(self)
        other._ranking = ranking
        return other

    def metric(self, key: str) -> Metric:
        """The metric of a key."""
        return self.metrics.get(key) or Metric(key)

    def name_of(self, key: str) -> str:
        """A swept key in words."""
        return self.key_names.get(key, key.rpartition(".")[2].replace("_", " "))

    def axis_name(self, key: str) -> str:
        """A swept key as the label of an axis."""
        return self.axis_names.get(key) or self.name_of(key)

    def label_of(self, values: Mapping[str, Any]) -> str:
        """A setting in words, such as "lambda 1 · 25 units", without the keys that it does not have."""
        there = {key: show_value(value) for key, value in values.items() if value != MISSING}
        said = [self.value_forms.get(key, self.name_of(key) + " {}").format(text) for key, text in there.items()]
        return " · ".join(said) or MISSING

    def independent(self, columns: Mapping[str, Column]) -> list[str]:
        """Those of the params that differ which no other one decides, in the order in which a setting names them."""
        return list(columns)

    def ranking(self, runs: Frame, params: Sequence[str], logged: Sequence[str]) -> Sequence[str]:
        """The metric that ranks settings of some runs, and those that break ties; empty where none does."""
        metrics = [{key: value for key, value in row.items() if value == value} for row in _rows(runs, logged)]
        return self._ranking(metrics, _rows(runs, params))

    def choose(self, runs: Frame, params: Sequence[str], logged: Sequence[str]) -> Choice:
        """What the settings of some runs are ranked by and what is reported of them."""
        key, *ties = self.ranking(runs, params, logged) or [""]
        metric = self.metric(key) if key else [*self._figures(logged), RUN_TIME][0]
        return Choice(metric, metric, *ties[:1], is_fair=bool(key) and metric.higher_is_better is not None)

    def planned_choice(self, runs: Frame) -> Choice | None:
        """What runs that are planned will be ranked by and judged by; None where that is not known before they ran.

        `runs` has the params of each as texts.
        """
        merits = [
            metric for metric in self.metrics.values() if metric.higher_is_better is not None and metric.is_figure
        ]
        return Choice(merits[0], merits[0]) if merits else None

    def replicates_of(self, runs: Frame) -> list[tuple[tuple[str, Any], ...]]:
        """What tells each run from others of its setting: pairs of a key in words and its value."""
        return [((SEED, plain(seed)),) for seed in runs[SEED]]

    def design(self, runs: Frame, choice: Choice) -> tuple[Design, list[Hashable]]:
        """What the replicates vary, and for each run the seed, split or fold that it counts for."""
        if self.held_out is None:
            return Design(), list(runs[REPLICATE])
        ratio = self.held_out / (1 - self.held_out)
        return Design(ratio=ratio, scope=ON_NEW_DATA), list(runs[REPLICATE])

    def n_samples(self, group: Group, run_id: str, read: Reader) -> Mapping[str, int]:
        """The metrics of a run that are shares of independent samples, and how many samples those are."""
        return {}

    def _figures(self, keys: Sequence[str]) -> list[Metric]:
        """The metrics among some keys that say how good a run is, those that the task declares first."""
        metrics = [self.metric(key) for key in keys if key not in ASIDE]
        return sorted((metric for metric in metrics if metric.is_figure), key=lambda m: m.key not in self.metrics)

    def columns(self, group: Group) -> list[Metric]:
        """The figures in the table of settings."""
        others = group.having([metric.key for metric in self._figures(group.logged)])
        return list(dict.fromkeys([group.by, group.final, *others]))[:MOST_FIGURES]

    def medians(self) -> list[Metric]:
        """What else is in that table, as the median over the seeds: counts, then clocks."""
        clocks = [metric for metric in self.metrics.values() if metric.is_clock] or [RUN_TIME]
        return [metric for metric in self.metrics.values() if metric.is_count] + clocks

    def run_columns(self, logged: Sequence[str]) -> list[str]:
        """The figures in the table of all runs."""
        return [metric.key for metric in self._figures(logged)][:MOST_FIGURES]

    def compared(self, group: Group) -> list[Metric]:
        """What pairs of settings are compared by; nothing where that would mislead."""
        return [group.final] if group.has_choice else [m for m in self.columns(group) if m.is_figure]

    def followed(self, group: Group, histories: Mapping[str, History]) -> list[Metric]:
        """What is drawn of the histories, that by which they are compared first."""
        logged = dict.fromkeys(key for history in histories.values() for key in history)
        axes = {axis.column for axis in self.axes}
        metrics = self._figures([key for key in logged if key not in axes])
        return sorted(metrics, key=lambda metric: metric != group.by)[:MOST_FIGURES]

    def panels(self, group: Group, settings: Sequence[Setting]) -> list[Panel]:
        """What is drawn over a swept key."""
        metrics = [m for m in self.columns(group) if m.is_figure and any(setting.has(m.key) for setting in settings)]
        return [Panel(m.name, m.axis_label, [(m, m.name, PLAIN_COLOR)]) for m in metrics]

    def about_no_choice(self, group: Group) -> list[str]:
        """Why none of the settings can be called the best."""
        return ["The task declares no metric to choose by, so none of them is called the best."]

    def about_selection_bias(self, group: Group) -> list[str]:
        """What is to be said of a best setting that was chosen by the figure that is reported of it."""
        return []

    def about_training(self, group: Group) -> list[Sentence]:
        """What was trained, on what and how, as the methods paragraph says it, in whole sentences."""
        runs = group.runs
        name = of_param(runs, OWN_FUNCTION) or of_param(runs, "task")
        keys = sorted(str(key) for key in runs if str(key).startswith(OWN_OPTIONS) and key not in group.keys)
        options = [f"{key.removeprefix(OWN_OPTIONS)} {value}" for key in keys if (value := of_param(runs, key))]
        return [(f"The runs are of {name}{f', with {listed(options)}' if options else ''}.",)]

    def about_parts(self, group: Group) -> list[str]:
        """What is to be said of the part of the data that the figures are of."""
        return []

    def add_to(self, section: Section, group: Group, read: Reader) -> None:
        """Add the sentences, tables and pictures of a group that only this task has."""

    def over_groups(self, groups: Sequence[Group], evidence: Evidence) -> Section:
        """What is to be said of all groups together; empty where that is nothing."""
        return over_data_sets.section(groups)


def _rows(runs: Frame, columns: Sequence[str]) -> list[dict[str, Any]]:
    return runs[[key for key in columns if key in runs]].to_dict("records")
