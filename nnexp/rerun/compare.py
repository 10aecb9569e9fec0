"""How far apart the numbers of two runs are.

Optimizers amplify rounding. Measured with three kernels of OpenBLAS and with its threads, in float64: what begins as
one unit in the last place of the first cost is 1e-16 after 200 iterations of gradient descent, 1e-11 after 100 of CG,
1e-3 after 190 of L-BFGS-B, and 1e-2 after twenty of TNC, which takes differences of gradients. No bound on the end of a
run can therefore tell rounding from a change. What can be said:

- at iteration 0 nothing is amplified yet. There, one evaluation at the same theta, rounding is a few units in the last
  place (measured: at most 2), so a relative difference above :data:`AT_START` (in such units) is none of rounding;
- two runs that stay within :data:`LATER` of each other at every iteration took the same path to so many digits.

Both must hold for *equal within rounding*, and the counts of iterations and evaluations must agree exactly. A run whose
rounding grew beyond that is called different, and the comparison says how small the difference began. Differences of a
column of the history, and of theta, are relative to the largest absolute value in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnexp.tasks.network.training import columns_of

IDENTICAL, EQUAL, DIFFERENT = "identical", "equal within rounding", "different"
ORDER = (IDENTICAL, EQUAL, DIFFERENT)
AT_START = 1000  # units in the last place, sums over very many samples included
LATER = {"float64": 1e-6, "float32": 1e-3}
CLOCKS, COUNTS = ("time", "seconds"), ("step", "optimizer/n_fev")


@dataclass(frozen=True)
class Numbers:
    """What of a run is compared.

    Attributes
    ----------
    rows
        Its history, a dictionary for each iteration.
    thetas
        ``theta0`` and ``theta``, shape (n_parameters,); empty where the run was cut off.
    predictions
        Digest of the outputs of the trained network, None where it was not recorded.
    dtype
        ``float64`` or ``float32``, the arithmetic of its objective.
    """

    rows: Sequence[Mapping[str, float]]
    thetas: Mapping[str, np.ndarray] = field(default_factory=dict)
    predictions: str | None = None
    dtype: str = "float64"


@dataclass(frozen=True)
class Difference:
    """Where two runs part.

    Attributes
    ----------
    first, first_size
        The first iteration at which anything differs, None where only theta or the predictions do; and by how much.
    largest, quantity, iteration
        The largest relative difference, of what, and at which iteration (None: of theta). Infinite where numbers of
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
class Comparison:
    """The verdict, what it is about, and the difference where there is one."""

    verdict: str
    compared: str
    difference: Difference | None = None

    def __str__(self) -> str:
        if self.difference is None:
            return f"{self.verdict}: {self.compared} agree bit for bit"
        return f"{self.verdict}: {self.difference}"


def compare(old: Numbers, new: Numbers) -> Comparison:
    """Compare a run with the one that it repeats.

    Where the old run has no `thetas`, because it was cut off, its rows are compared with the first rows of the new one.
    """
    cut_off = not old.thetas
    rows = new.rows[: len(old.rows)] if cut_off else new.rows
    what = [f"{len(old.rows)} rows of the history"] + (["theta"] if old.thetas else [])
    what += ["predictions"] if old.predictions else []
    compared = ", ".join(what[:-1]) + " and " + what[-1] if len(what) > 1 else what[0]
    per_row = _per_row(old.rows, rows)
    of_theta = {name: _relative(theta, new.thetas.get(name)) for name, theta in old.thetas.items()}
    others = {} if old.predictions in (None, new.predictions) else {"predictions": np.inf}
    if not (per_row or any(of_theta.values()) or others) and _same_bits(old.thetas, new.thetas):
        return Comparison(IDENTICAL, compared)
    within = _within(per_row, of_theta, [old.dtype, new.dtype]) and (
        not others or bool(per_row or any(of_theta.values()))
    )
    return Comparison(EQUAL if within else DIFFERENT, compared, _difference(per_row, of_theta, others))


def _per_row(old: Sequence[Mapping[str, float]], new: Sequence[Mapping[str, float]]) -> list[tuple[int, str, float]]:
    """Every differing cell as (iteration, column, relative difference); infinite for counts and missing values."""
    before, after = columns_of([dict(row) for row in old]), columns_of([dict(row) for row in new])
    found = []
    length = min(len(old), len(new))
    for column in dict.fromkeys([*before, *after]):
        if column in CLOCKS:
            continue
        x, y = (side.get(column, np.full(len(rows), np.nan))[:length] for side, rows in ((before, old), (after, new)))
        same = (x.view(np.int64) == y.view(np.int64)) | (np.isnan(x) & np.isnan(y))
        scale = max((np.nanmax(np.abs(side[column])) for side in (before, after) if column in side), default=0.0)
        for i in np.flatnonzero(~same):
            size = np.inf if column in COUNTS else 0.0 if x[i] == y[i] else abs(x[i] - y[i]) / scale
            found.append((int(i), column, np.inf if np.isnan(size) else float(size)))
    if len(old) != len(new):
        found.append((length, "step", np.inf))
    steps = [int(row["step"]) for row in (old if len(old) >= len(new) else new)]
    return [(steps[i], column, size) for i, column, size in sorted(found, key=lambda cell: cell[0])]


def _relative(old: np.ndarray, new: np.ndarray | None) -> float:
    if new is None or old.shape != new.shape:
        return np.inf
    scale = float(np.max(np.abs(old), initial=0.0)) or 1.0
    return float(np.max(np.abs(old - new), initial=0.0)) / scale


def _same_bits(old: Mapping[str, np.ndarray], new: Mapping[str, np.ndarray]) -> bool:
    return all(theta.tobytes() == new[name].tobytes() for name, theta in old.items())


def _within(per_row: list[tuple[int, str, float]], of_theta: Mapping[str, float], dtypes: Sequence[str]) -> bool:
    at_start = AT_START * max(float(np.finfo(dtype).eps) for dtype in dtypes)
    later = max(LATER[dtype] for dtype in dtypes)
    sizes = [(size, at_start if step == 0 else later) for step, _, size in per_row]
    sizes += [(size, at_start if name == "theta0" else later) for name, size in of_theta.items()]
    return all(size <= limit for size, limit in sizes)


def _difference(
    per_row: list[tuple[int, str, float]], of_theta: Mapping[str, float], others: Mapping[str, float]
) -> Difference:
    first = per_row[0][0] if per_row else None
    first_size = max((size for step, _, size in per_row if step == first), default=0.0)
    cells: list[tuple[float, str, int | None]] = [(size, column, step) for step, column, size in per_row]
    cells += [(size, name, None) for name, size in [*of_theta.items(), *others.items()] if size]
    finite = [cell for cell in cells if np.isfinite(cell[0])]
    largest, quantity, iteration = max(finite or cells, key=lambda cell: cell[0], default=(0.0, "theta", None))
    parted = next((step for step, column, size in per_row if column in COUNTS and np.isinf(size)), None)
    return Difference(first, first_size, largest, quantity, iteration, parted)
