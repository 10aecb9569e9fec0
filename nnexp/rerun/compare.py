"""Whether two runs have the same numbers, and how far apart they are.

*Identical* is every bit of the history, but for its clocks, of the arrays and of the recorded digests. *Equal within
rounding* is every difference within what the task takes for rounding (:meth:`nnexp.tasks.interface.Task.tolerance`),
with counts, such as those of iterations and evaluations, that agree exactly. What differs more is *different*, and the
comparison says how small the difference began. Differences of a column of the history, and of an array, are relative
to the largest absolute value in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnexp.runs.history import CLOCKS, columns_of
from nnexp.tasks.interface import MetricSpec, Task

IDENTICAL, EQUAL, DIFFERENT = "identical", "equal within rounding", "different"
ORDER = (IDENTICAL, EQUAL, DIFFERENT)
SHOWN = 3  # names of arrays


@dataclass(frozen=True)
class Numbers:
    """What of a run is compared.

    Attributes
    ----------
    rows
        Its history, a dictionary for each row.
    arrays
        What it saved, by the names of the arrays.
    metrics
        Its final metrics; those that both runs have are compared.
    digests
        Recorded digests of what is not kept, such as predictions.
    params
        Of its config, for the tolerances.
    is_cut_off
        Whether it was interrupted, so that only its rows are compared, with the first rows of the other.
    """

    rows: Sequence[Mapping[str, float]]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    is_cut_off: bool = False


@dataclass(frozen=True)
class Cell:
    """A value that differs: at a step of the history, or at the end (None); `size` is infinite for counts."""

    step: int | None
    quantity: str
    size: float


@dataclass(frozen=True)
class Difference:
    """Where two runs part.

    Attributes
    ----------
    first, first_size
        The first iteration at which anything differs, None where only what it has at its end does; and by how much.
    largest, quantity, iteration
        The largest relative difference, of what, and at which iteration (None: at the end). Infinite where numbers of
        iterations or evaluations differ, or where one run lacks what the other has.
    """

    first: int | None
    first_size: float
    largest: float
    quantity: str
    iteration: int | None
    parted: int | None = None

    def __str__(self) -> str:
        where = self.quantity + (f" at iteration {self.iteration}" if self.iteration is not None else "")
        said = f"{where} differs" if np.isinf(self.largest) else f"largest difference {self.largest:.1e} ({where})"
        if self.first is None:
            return said
        size = "" if np.isinf(self.first_size) else f", of {self.first_size:.1e}"
        ways = "" if self.parted is None else f"; other numbers of evaluations from iteration {self.parted} on"
        return f"{said}, the first at iteration {self.first}{size}{ways}"


@dataclass(frozen=True)
class RunComparison:
    """The verdict, what it is about, and the difference where there is one."""

    verdict: str
    compared: str
    difference: Difference | None = None

    def __str__(self) -> str:
        if self.difference is None:
            return f"{self.verdict}: {self.compared} agree bit for bit"
        return f"{self.verdict}: {self.difference}"


def compare(old: Numbers, new: Numbers, task: Task[Any]) -> RunComparison:
    """Compare a run of a task with the one that it repeats."""
    rows = new.rows[: len(old.rows)] if old.is_cut_off else new.rows
    history = _of_rows(old.rows, rows, task.metrics)
    end = [] if old.is_cut_off else [*_of_arrays(old, new), *_of_metrics(old, new, task.metrics)]
    digests = [Cell(None, name, np.inf) for name, value in old.digests.items() if new.digests.get(name) != value]
    has_same_bits = all(_has_same_bits(array, new.arrays.get(name)) for name, array in old.arrays.items())
    cells = [*history, *end]
    if not (cells or digests) and has_same_bits:
        return RunComparison(IDENTICAL, _in_words(old))
    # Other predictions of arrays that differ in their last digits are rounding; of equal arrays they are none.
    within = all(_is_rounding(cell, old, new, task) for cell in cells) and (not digests or bool(cells))
    return RunComparison(
        EQUAL if within else DIFFERENT, _in_words(old), _difference(history, [*end, *digests], task.metrics)
    )


def _in_words(old: Numbers) -> str:
    """What is compared."""
    names = list(old.arrays) if len(old.arrays) <= SHOWN else [f"{len(old.arrays)} arrays"]
    what = [f"{len(old.rows)} rows of the history"] * bool(old.rows) + names + list(old.digests)
    what += ["final metrics"] if not what else []
    return ", ".join(what[:-1]) + " and " + what[-1] if len(what) > 1 else what[0]


def _of_rows(
    old: Sequence[Mapping[str, float]], new: Sequence[Mapping[str, float]], metrics: Mapping[str, MetricSpec]
) -> list[Cell]:
    """Every differing cell of the history, in its order."""
    before, after = columns_of([dict(row) for row in old]), columns_of([dict(row) for row in new])
    found: list[tuple[int, str, float]] = []
    length = min(len(old), len(new))
    for column in dict.fromkeys([*before, *after]):
        if _is_clock(column, metrics):
            continue
        x, y = (side.get(column, np.full(len(rows), np.nan))[:length] for side, rows in ((before, old), (after, new)))
        same = (x.view(np.int64) == y.view(np.int64)) | (np.isnan(x) & np.isnan(y))
        scale = max((np.nanmax(np.abs(side[column])) for side in (before, after) if column in side), default=0.0)
        found += [(int(i), column, _size(x[i], y[i], scale, _is_count(column, metrics))) for i in np.flatnonzero(~same)]
    if len(old) != len(new):
        found.append((length, "step", np.inf))
    steps = [int(row["step"]) for row in (old if len(old) >= len(new) else new)]
    return [Cell(steps[i], column, size) for i, column, size in sorted(found, key=lambda cell: cell[0])]


def _of_metrics(old: Numbers, new: Numbers, metrics: Mapping[str, MetricSpec]) -> list[Cell]:
    """The differing final metrics of those that both have: what an older version logged at the end may differ."""
    both = [key for key in old.metrics if key in new.metrics and not _is_clock(key, metrics)]
    found = []
    for key in both:
        x, y = float(old.metrics[key]), float(new.metrics[key])
        if x != y and not (np.isnan(x) and np.isnan(y)):
            found.append(Cell(None, key, _size(x, y, max(abs(x), abs(y)), _is_count(key, metrics))))
    return found


def _of_arrays(old: Numbers, new: Numbers) -> list[Cell]:
    """The arrays whose values differ."""
    sizes = {name: _distance(array, new.arrays.get(name)) for name, array in old.arrays.items()}
    return [Cell(None, name, size) for name, size in sizes.items() if size]


def _is_clock(key: str, metrics: Mapping[str, MetricSpec]) -> bool:
    return key in CLOCKS or (key in metrics and metrics[key].is_clock)


def _is_count(key: str, metrics: Mapping[str, MetricSpec]) -> bool:
    return key == "step" or (key in metrics and metrics[key].is_count)


def _size(x: float, y: float, scale: float, is_count: bool) -> float:
    """A relative difference; infinite between counts, and where one run has no value."""
    size = np.inf if is_count else 0.0 if x == y else abs(x - y) / scale
    return np.inf if np.isnan(size) else float(size)


def _distance(old: np.ndarray, new: np.ndarray | None) -> float:
    """The largest difference of two arrays; of what are no numbers it is 0 or infinite."""
    if new is None or old.shape != new.shape:
        return np.inf
    if old.dtype.kind not in "fc" or new.dtype.kind not in "fc":
        return 0.0 if np.array_equal(old, new) else np.inf
    scale = float(np.max(np.abs(old), initial=0.0)) or 1.0
    size = float(np.max(np.abs(old - new), initial=0.0)) / scale
    return size if not np.isnan(size) else 0.0 if np.array_equal(old, new, equal_nan=True) else np.inf


def _has_same_bits(old: np.ndarray, new: np.ndarray | None) -> bool:
    return new is not None and old.dtype == new.dtype and old.shape == new.shape and old.tobytes() == new.tobytes()


def _is_rounding(cell: Cell, old: Numbers, new: Numbers, task: Task[Any]) -> bool:
    """Whether a difference is within the wider of the two runs' tolerances."""
    return cell.size <= max(task.tolerance(cell.quantity, cell.step, side.params) for side in (old, new))


def _difference(history: Sequence[Cell], end: Sequence[Cell], metrics: Mapping[str, MetricSpec]) -> Difference:
    first = history[0].step if history else None
    first_size = max((cell.size for cell in history if cell.step == first), default=0.0)
    cells = [*history, *end]
    finite = [cell for cell in cells if np.isfinite(cell.size)]
    worst = max(finite or cells, key=lambda cell: cell.size, default=Cell(None, "the sign of a zero", 0.0))
    counts = (cell.step for cell in history if _is_count(cell.quantity, metrics) and np.isinf(cell.size))
    return Difference(first, first_size, worst.size, worst.quantity, worst.step, next(counts, None))
