"""The door between the harness and what a run does.

A task reads its part of the config, says what decides its numbers, trains with nothing but a :class:`Run` in hand, and
describes, later and in another process, what lies in the run's directory. The harness knows tasks by this file alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from nnexp.own import Sources, sources_of
from nnexp.readers import ConfigError
from nnexp.runs.identity import digest_of
from nnexp.tasks.presentation import MetricSpec, Presentation

if TYPE_CHECKING:
    from nnexp.comparison.spec import ComparisonSpec

Config = TypeVar("Config")
ROUNDING = 1e-6  # relative; optimizers amplify the last digit


class Run(Protocol):
    """What training sees of its run; it knows the disk only."""

    path: Path
    seed: int
    params: Mapping[str, Any]

    is_quiet: bool  # many runs share the terminal

    def log(self, metrics: Mapping[str, float], step: int, *, time: float | None = None) -> None:
        """Keep values of metrics: any keys, in any order, at any time. Each is on the disk when this returns."""

    def save(self, name: str, **arrays: Any) -> None:
        """Keep arrays as `name` (an `.npz` file); their digest is recorded, and compared by a rerun."""

    def figure(self, name: str, figure: Any) -> None:
        """Keep a Matplotlib figure as `name` in the asked formats."""

    def shared(self, name: str, array: np.ndarray, *, depends_on: Sequence[str] = ()) -> np.ndarray:
        """The same array, in one copy for all workers of a sweep on this machine where that is possible.

        Nothing is gained where the sweep varies a key or group that the array `depends_on`.
        """
        ...

    def raise_if_stopped(self) -> None:
        """Raise what ends a run that was interrupted, or whose job another has; :meth:`log` does so too."""


@dataclass(frozen=True)
class Ending:
    """How training ended.

    `reason` is ``interrupted`` where it was stopped from outside, else a word of the task's own. `metrics` are logged
    once, at the last `step`; `counters` (such as `n_iter`) are exact in budgets and reruns; `values` are further
    entries of `result.json`, `tags` of the run.
    """

    reason: str
    message: str
    step: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    counters: Mapping[str, int] = field(default_factory=dict[str, int])
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Code:
    """The code that decides a task's numbers.

    `digest` is one of all; `files` has that of each file by its name, and versions of packages; `sources` are the
    user's own files among them, which are kept with a run.
    """

    digest: str
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    sources: Sources = field(default_factory=Sources)

    @classmethod
    def of(cls, files: Mapping[str, str], every: Iterable[Sources] = ()) -> Code:
        """Of this package's `files`, and of the sources of a user's own functions."""
        sources = Sources()
        for each in every:
            sources |= each
        digests = {**files, **sources.digests()}
        return cls(digest_of(digests), digests, sources)

    def own_digests(self) -> dict[str, str]:
        """Digests of the user's own files, by their names."""
        return {name: self.files[name] for name in self.sources.names}


@dataclass(frozen=True)
class Described:
    """What a description adds to a run: metrics at its last step, and tags. Its files are in the directory."""

    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class EvaluatedRun(Generic[Config]):
    """The run whose result is evaluated.

    `name` and `status` are for messages, `recorded` is its config as it was recorded, None where today's code does not
    understand it; `is_overridden` says whether the config to evaluate by is another, `has_other_data` that it asks for
    other data than those of `data_digest`, on which it was trained.
    """

    name: str
    status: str
    recorded: Config | None
    data_digest: str | None
    is_overridden: bool
    has_other_data: bool


class Report(Protocol):
    """What `nnexp evaluate` and `nnexp gradcheck` tell: one JSON object, or text for a person."""

    @property
    def is_good(self) -> bool:
        """Whether the exit status is 0, else it is 3."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """The JSON object."""
        ...

    def text(self) -> str:
        """The text."""
        ...


class Task(Generic[Config]):
    """Something to train. Only `read`, `deciding` and `train` must be given."""

    name: str
    sources: Sources | None = None  # of a user's own: as they were when it was found
    metrics: Mapping[str, MetricSpec] = {}
    objective: str | None = None  # the metric that ranks runs by default
    search_objective: str | None = None  # the one that a search optimizes; None for the same
    tells_progress: bool = False  # whether it shows itself how far it is; else what it logs is shown
    groups: Sequence[str] = ()  # of the config, that it reads
    bookkeeping: Sequence[str] = ()  # keys of these groups that do not decide the numbers, and cannot be swept
    named_by_content: Sequence[str] = ()  # those among them that name a file, whose content decides: they can
    places: Sequence[str] = ()  # those among them that a rerun takes from today's config, not from the record
    chosen_by: Mapping[str, str] = {}  # of groups of several files: the key whose value tells which was chosen
    options: Sequence[str] = ("task.options",)  # mappings whose names mean nothing to another choice of their group
    data_group: str = ""  # the group that says which data, but for the keys that say how they are handled
    data_handling: Sequence[str] = ()
    held_out: float | None = None  # share of the samples that each seed holds out anew; None where none, or not known
    replicate_keys: Sequence[str] = ("seed",)  # whose values make replicates of one setting, over which is averaged
    added: Mapping[str, Any] = {}  # keys that configs of older versions lack, with what their runs did
    weights: str = ""  # the file of a run's result that `evaluate` takes
    compared: Mapping[str, Sequence[str]] = {}  # files and their arrays that a rerun compares; {}: all that it saved

    @property
    def presentation(self) -> Presentation:
        """How its runs are shown."""
        return Presentation(self.metrics)

    @property
    def comparison(self) -> ComparisonSpec:
        """How its runs are compared in a report, and what a report says beyond what it says of every task."""
        from nnexp.comparison.spec import ComparisonSpec

        return ComparisonSpec(self.metrics, self.ranking, self.held_out)

    def read(self, tree: Mapping[str, Any], folder: str | Path | None = None) -> Config:
        """The typed config of a composed tree, relative paths in `folder`; a ConfigError of one line if it is wrong."""
        raise NotImplementedError

    def deciding(self, config: Config) -> Mapping[str, Any]:
        """The params: every leaf of the config that decides the numbers, under its dotted key."""
        raise NotImplementedError

    def code(self, config: Config) -> Code:
        """The code that decides the numbers: the module of the task, and what it imports."""
        return Code.of({}, [self.sources or sources_of(type(self).__module__)])

    def data_digest(self, config: Config, cache: dict[Any, Any] | None = None) -> str:
        """The digest of the data; "" where there are none. A ConfigError if they cannot be loaded or used.

        In `cache` it may keep what the many configs of a sweep have in common.
        """
        return ""

    def data_name(self, config: Config, *, as_file: bool = False) -> str:
        """What its data are called; `as_file`: the file that they come from, where they come from one."""
        return ""

    def threads(self, config: Config) -> int:
        """Threads that it computes with."""
        return 1

    def title(self, config: Config, overrides: Sequence[str]) -> str:
        """A run's name where the user gives none."""
        return self.name

    def details(self, config: Config) -> Mapping[str, Any]:
        """What `describe` will need to know: kept in the run's record under the task's name, as JSON."""
        return {}

    def train(self, run: Run, config: Config) -> Ending:
        """Train. What it logs and saves is kept, whatever becomes of the process."""
        raise NotImplementedError

    def ranking(self, metrics: Sequence[Mapping[str, float]], params: Sequence[Mapping[str, Any]]) -> Sequence[str]:
        """The metric that settings of finished runs are ranked by, and those that break ties; empty: by none.

        `metrics` are those of each run, `params` what was set, as values or as the store's texts.
        """
        return [self.objective] if self.objective and any(self.objective in each for each in metrics) else []

    def ranks(self, metric: str) -> bool:
        """Whether more or less of a metric is better."""
        return metric in self.metrics and self.metrics[metric].higher_is_better is not None

    def about_selection(self, metric: str, n_settings: int) -> str:
        """What is to be said of the best of several settings that a metric was chosen by; "" where that is fair."""
        return ""

    def data_label(self, params: Mapping[str, Any]) -> str:
        """What tells data sets apart: runs of different labels are not ranked against each other."""
        return ""

    def refuse_objective(self, metric: str, config: Config) -> None:
        """Raise a ConfigError where runs of a config will not have a metric that a search is to optimize."""

    def counters(self, row: Mapping[str, float]) -> Mapping[str, int]:
        """The counters of a run that was cut off, from what it logged last for each key; it may have logged nothing."""
        return {}

    def tolerance(self, key: str, step: int | None, params: Mapping[str, Any]) -> float:
        """The largest relative difference of a metric at a step, or of an array (step None), that may be rounding."""
        return ROUNDING

    def describe(self, directory: Any) -> Described:
        """Draw and write what people look at, from the run directory alone, in any process, any number of times."""
        return Described()

    def prepare_to_describe(self, directory: Any) -> None:
        """Import and load what :meth:`describe` needs, while the run trains; what fails here will fail there."""

    def evaluate(self, path: Path, config: Config, run: EvaluatedRun[Config] | None = None) -> Report:
        """Judge a file of weights, of a run or of none; a ConfigError of one line if that cannot be done."""
        raise ConfigError(f"`task.name`: {self.name} has no weights that `nnexp evaluate` could judge")

    def predictor(self, directory: Any) -> Callable[[Any], Any]:
        """The trained model of a run directory, as a function of samples; a ConfigError if there is none."""
        raise ConfigError(f"`task.name`: {self.name} has no model that could predict; what it saved is in `arrays`")

    def gradcheck(self, config: Config) -> Report:
        """Check the gradient numerically, parameter by parameter."""
        raise ConfigError(f"`task.name`: {self.name} has no gradient that `nnexp gradcheck` could check")
