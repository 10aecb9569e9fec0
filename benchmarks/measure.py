"""Measurement: programs take turns, medians are compared, and a row consists of lines with targets."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

TURN_SECONDS = 0.02  # a contender's turn is repeated calls of about this long


@dataclass(frozen=True)
class Line:
    """One measured number and its target.

    Attributes
    ----------
    what : str
    value : float
        A ratio (ours over theirs, or theirs over ours: `what` says it) or seconds, as `unit` says.
    unit : str
        ``x`` for a ratio, else ``s``, ``ms``, ``MB``, ``%``, or empty.
    at_most, at_least : float, optional
        The target.
    note : str
        The times behind a ratio, or what was left out.
    """

    what: str
    value: float
    unit: str = "x"
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.at_most is None and self.at_least is None:
            return None
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def left_out(what: str, reason: str) -> Line:
    """A line for a missing measurement, with the reason."""
    return Line(what, float("nan"), note=f"left out: {reason}")


def alternate(
    contenders: Mapping[str, Callable[[], object]],
    seconds: float,
    *,
    least: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds a call of each contender, until each has had its `seconds` and `least` turns.

    Next is who has had the least time, so that what disturbs the machine for a while disturbs all of them. The clock
    may be that of the thread, where nothing waits and no other thread works: then what others compute counts less.
    """
    calls, spent, times = {}, dict.fromkeys(contenders, 0.0), {name: [] for name in contenders}
    for name, call in contenders.items():
        call()  # warm-up: compilation, caches, work arrays
        begin = clock()
        call()
        took = clock() - begin
        calls[name] = max(1, int(TURN_SECONDS / max(took, 1e-9)))
        if took > TURN_SECONDS:  # one call is long enough for a turn
            times[name].append(took)
            spent[name] += took
    waiting = set(contenders)
    while waiting:
        name = min(contenders, key=lambda each: (each not in waiting, spent[each]))
        begin = clock()
        for _ in range(calls[name]):
            contenders[name]()
        took = clock() - begin
        times[name].append(took / calls[name])
        spent[name] += took
        if spent[name] >= seconds and len(times[name]) >= least:
            waiting.discard(name)
    return {name: statistics.median(values) for name, values in times.items()}


def median(values: list[float]) -> float:
    """Median; NaN if there are no values."""
    return statistics.median(values) if values else float("nan")
