"""Which methods ran on which problems. A problem is all that decides a run but its optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from nnexp.comparison.curves import having
from nnexp.comparison.metric import MISSING
from nnexp.comparison.settings import SEED, Frame, Group, plain
from nnexp.comparison.spec import ComparisonSpec, Evidence, History
from nnexp.optim import METHODS, NonFiniteCostError
from nnexp.tasks.network.config import ADDED
from nnexp.tasks.network.report import replicates
from nnexp.tasks.network.report.keys import (
    BUDGETS,
    COST,
    EVALUATIONS,
    LEARNING_RATE,
    METHOD,
    NOT_OF_PROBLEM,
    OF_PROBLEM,
    OF_SPLIT,
    OPTIONS,
)

LEAST_PROBLEMS = 2
Replicate: TypeAlias = tuple[tuple[str, Any], ...]
Key: TypeAlias = tuple[str, Replicate, tuple[str, ...]]


@dataclass(frozen=True)
class Method:
    """A method with its options, of which a learning rate that was not set is the default one."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def learning_rate(self) -> float | None:
        """Its step size; None where it has none."""
        return dict(self.options).get(LEARNING_RATE)

    @property
    def family(self) -> Method:
        """The same whatever its learning rate."""
        return Method(self.name, tuple(option for option in self.options if option[0] != LEARNING_RATE))


@dataclass(frozen=True, eq=False)
class Attempt:
    """A run of a method on a problem; `history` is None where its cost stopped being a finite number."""

    run_id: str
    budget: tuple[float, ...]
    history: History | None

    @property
    def has_diverged(self) -> bool:
        """Whether it has failed by a step too large."""
        return self.history is None

    @property
    def lowest(self) -> float:
        """The lowest cost that it reached; infinite where it has diverged."""
        return float("inf") if self.history is None else float(self.history[COST].min())


@dataclass(frozen=True, eq=False)
class Problem:
    """What was minimized, and by which methods.

    Attributes
    ----------
    data, data_digest : str
        The data set, as the report names it.
    replicate : tuple of (str, value)
        Seed, split and fold, as :func:`nnexp.tasks.network.report.replicates.of_run` has them.
    network : tuple of str
        All other params that are not of the optimizer.
    attempts : dict
        The run of each method; of runs that differ in their budgets alone, the one with the largest.
    """

    data: str
    data_digest: str
    replicate: Replicate
    network: tuple[str, ...]
    attempts: dict[Method, Attempt] = field(default_factory=dict[Method, Attempt])

    @property
    def seed(self) -> str:
        """The replicate in words: its seed, with the one of its split and its fold where there are any."""
        return ", ".join(f"{name} {value}" for name, value in self.replicate)

    @property
    def histories(self) -> list[History]:
        """Those of all runs that have one."""
        return [attempt.history for attempt in self.attempts.values() if attempt.history is not None]

    @property
    def start(self) -> float:
        """The cost at the start, which is the same for all methods."""
        return max(float(history[COST][0]) for history in self.histories)

    @property
    def lowest(self) -> float:
        """The lowest cost that any run reached."""
        return min(attempt.lowest for attempt in self.attempts.values())


@dataclass(frozen=True, eq=False)
class Field:
    """Methods that can be compared, each on all of some problems.

    Attributes
    ----------
    methods : list of Method
    problems : list of Problem
    n_left_out : int
        Problems that not all of the methods were run on.
    too_few : list of Method
        Methods that were run on less than half of the problems.
    """

    methods: list[Method]
    problems: list[Problem]
    n_left_out: int = 0
    too_few: list[Method] = field(default_factory=list[Method])


def gather(groups: Sequence[Group], evidence: Evidence) -> list[Problem]:
    """The problems of a report with the runs on them, those that have diverged too."""
    histories = having(evidence.histories, [EVALUATIONS, COST])
    found: dict[Key, Problem] = {}
    names: dict[str, str] = {}
    for group in groups:
        for row in _about(group.runs).to_dict("records"):
            digest = str(row.get("data_digest"))
            names[digest] = group.name
            if row["run_id"] in histories:
                _add(found, row, digest, group.name, histories[row["run_id"]])
    for row in _diverged(evidence.frame):
        digest = str(row.get("data_digest"))
        if digest in names:
            _add(found, row, digest, names[digest], None)
    return [problem for problem in found.values() if problem.histories]


def _about(runs: Frame) -> Frame:
    """Of many columns those that say what was minimized, and how."""
    prefixes = (*OF_PROBLEM, "data.", "optimizer.")
    return runs[[key for key in runs if key in ("run_id", "data_digest", SEED) or str(key).startswith(prefixes)]]


def _diverged(frame: Frame) -> list[dict[str, Any]]:
    """Runs whose cost stopped being finite."""
    failed = frame[frame["status"] == "FAILED"]
    return failed[failed["message"].str.startswith(NonFiniteCostError.__name__)].to_dict("records")


def _add(found: dict[Key, Problem], row: Mapping[str, Any], digest: str, data: str, history: History | None) -> None:
    replicate = replicates.of_run(row)
    keys = [key for key in row if key in OF_SPLIT or (key.startswith(OF_PROBLEM) and key not in NOT_OF_PROBLEM)]
    values = {key: plain(row[key]) for key in sorted(keys)}
    network = tuple(f"{key}={ADDED.get(key) if value == MISSING else value}" for key, value in values.items())
    problem = found.setdefault((digest, replicate, network), Problem(data, digest, replicate, network))
    attempt = Attempt(str(row["run_id"]), tuple(float(plain_number(row.get(key))) for key in BUDGETS), history)
    method = method_of(row)
    known = problem.attempts.get(method)
    if known is None or _order(attempt) >= _order(known):
        problem.attempts[method] = attempt


def _order(attempt: Attempt) -> tuple[bool, tuple[float, ...], str]:
    return not attempt.has_diverged, attempt.budget, attempt.run_id


def plain_number(value: Any) -> float:
    """A cell that should hold a number; 0 where it holds none."""
    number = plain(value)
    return number if isinstance(number, int | float) else 0


def method_of(row: Mapping[str, Any]) -> Method:
    """The method of a run, with those of its options that were set."""
    name = str(row.get(METHOD, "method"))
    options = {key: plain(value) for key, value in row.items() if key.startswith(OPTIONS)}
    options = {key: value for key, value in options.items() if value != MISSING}
    if name in METHODS and (rate := METHODS[name].options.get("learning_rate")) is not None:
        options.setdefault(LEARNING_RATE, plain(rate.default))
    return Method(name, tuple(sorted(options.items())))


def labels(methods: Sequence[Method], spec: ComparisonSpec) -> dict[Method, str]:
    """The methods in words, each with those options that tell it from others of its name."""
    result: dict[Method, str] = {}
    for method in methods:
        others = [dict(other.options) for other in methods if other.name == method.name]
        telling = {
            key: value for key, value in method.options if any(other.get(key, MISSING) != value for other in others)
        }
        result[method] = spec.label_of({METHOD: method.name} | telling)
    return result


def comparable(problems: Sequence[Problem], left_out: Sequence[Method] = ()) -> Field | None:
    """The methods that were run on most problems, and the problems that all of these were run on.

    A method that has no run on a problem has not failed on it, so the problem says nothing of the methods. `left_out`
    are methods that are not to be compared. None where fewer than two methods or problems are left.
    """
    methods = [m for m in dict.fromkeys(m for problem in problems for m in problem.attempts) if m not in left_out]
    shared = [problem for problem in problems if sum(m in problem.attempts for m in methods) >= 2]
    counts = {m: sum(m in problem.attempts for problem in shared) for m in methods}
    many = [m for m in methods if counts[m] and 2 * counts[m] >= len(shared)]
    whole = [problem for problem in shared if all(m in problem.attempts for m in many)]
    if len(many) < 2 or len(whole) < LEAST_PROBLEMS:
        return None
    return Field(many, whole, len(shared) - len(whole), [m for m in methods if counts[m] and m not in many])
