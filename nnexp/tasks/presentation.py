"""What a task's metrics are, and how its runs are shown: on the terminal, in notes, in columns and charts of the UI.

Everything has a default that is made of the task's metrics; a task overrides what it can say better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnexp.runs.records import RunRecord, RunResult
from nnexp.terminal import clock, percent


@dataclass(frozen=True)
class MetricSpec:
    """What a metric is, for tables, axes and comparisons. `higher_is_better` is None for one that ranks nothing."""

    name: str = ""  # in words; "" for the key itself
    unit: str = ""
    higher_is_better: bool | None = None
    is_share: bool = False  # between 0 and 1, shown in percent
    is_clock: bool = False  # left out of comparisons
    is_count: bool = False  # compared exactly


SHOWN = 4  # metrics in one line
Deferred = tuple[Callable[..., Any], tuple[Any, ...]]


@dataclass(frozen=True)
class ModelSource:
    """What a task's trained models are made of, for MLflow.

    Attributes
    ----------
    file
        Of the run directory: its arrays are the model.
    code
        A module that travels with the model and imports nothing of nnexp. Its ``load(arrays)`` makes what is served: an
        object with `predict` and `predict_proba` as scikit-learn has them, which gives a table when it is called, whose
        `columns` are names and MLflow's types, for inputs of `n_features_in_` columns.
    estimator
        ``estimator(params, arrays, values, history)``, of the run's params, the arrays, the values of its result and
        the columns of its history: a function and its arguments, which together make a classifier of scikit-learn where
        the model is loaded. The models in a store name that function, so it stays where it is.
    requires
        Packages that it needs beside those of every model.
    has_own_code
        Whether it calls functions of the user's own, whose sources travel with it.
    """

    file: str
    code: Path
    estimator: Callable[..., Deferred]
    requires: Sequence[str] = ()
    has_own_code: bool = False


@dataclass(frozen=True)
class TrainedModel:
    """A trained model, complete: the code that travels with it, the object that is served, and the classifier.

    `requires` is what the code needs beside NumPy and pandas; `sources` is the folder of the user's own sources.
    """

    code: Path
    served: Any
    estimator: Deferred
    requires: Sequence[str] = ()
    sources: Path | None = None


class Presentation:
    """The defaults."""

    params: Sequence[str] = ("seed",)  # shown as columns, these first
    columns: Sequence[str] = ()  # metrics shown as columns; default: all
    charts: Mapping[str, Sequence[str]] = {}  # sections of the chart page, and the metrics in each
    images: Mapping[str, Sequence[str]] = {}  # the same of series of images
    pictures: Sequence[str] = ()  # figures that a notebook shows beside a result; default: those at the top
    synonyms: Mapping[str, str] = {}  # what people type, and the key that they mean
    lists: Sequence[str] = ()  # keys that may be one value or a list
    choices_with: Mapping[str, Sequence[str]] = {}  # keys that not every choice of a group has: those that have them
    option_names: Sequence[str] = ()  # all names that the mapping `Task.options` may hold

    def __init__(self, metrics: Mapping[str, MetricSpec]) -> None:
        self.metrics = metrics
        self.columns = self.columns or list(metrics)

    def metric_name(self, key: str) -> str:
        """A metric in words."""
        spec = self.metrics.get(key)
        return spec.name if spec is not None and spec.name else key

    def show(self, key: str, value: float) -> str:
        """A value of a metric as text: a share in percent, a clock in seconds, other numbers with five digits."""
        spec = self.metrics.get(key, MetricSpec())
        if spec.is_share:
            return percent(value)
        return clock(value) if spec.is_clock else f"{value:.5g}"

    def what(self, record: RunRecord) -> str:
        """What a run is, in a line."""
        return record.name

    def outcome(self, result: RunResult) -> str:
        """What came of an ended run, in a line; empty where nothing did."""
        return ", ".join(f"{name} {value}" for name, value in self.facts(result)[:SHOWN])

    def brief(self, result: RunResult) -> str:
        """The same beside a run's name, where many runs end one after the other."""
        return self.outcome(result)

    def facts(self, result: RunResult) -> list[tuple[str, str]]:
        """What came of an ended run, as names and values."""
        keys = [key for key in self.metrics if key in result.final_metrics]
        keys += [key for key in result.final_metrics if key not in keys]
        return [(self.metric_name(key), self.show(key, result.final_metrics[key])) for key in keys]

    def table(self, result: RunResult) -> list[str]:
        """The lines of a Markdown table of an ended run; none where there is nothing to tabulate."""
        facts = self.facts(result)
        return ["| metric | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts)] if facts else []

    def progress(self, row: Mapping[str, float]) -> str:
        """How far a run that trains is, by the last values that it logged; empty where they do not tell."""
        return f"step {row['step']:g}" if "step" in row else ""

    def model(self, record: RunRecord) -> ModelSource | None:
        """What the trained model is made of, where one can be served."""
        return None
