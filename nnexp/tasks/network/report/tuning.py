"""Methods with a fixed step size, of which several were tried: each at its best one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nnexp.tasks.network.report.problems import Method, Problem


@dataclass(frozen=True)
class Tuned:
    """A method at the best of the learning rates that were tried.

    Attributes
    ----------
    best : Method
    others : tuple of Method
        The same at the other learning rates.
    n_problems : int
        On which all of them were run, and the choice was made.
    diverged : tuple of float
        The learning rates at which a run diverged; they were not chosen from.
    """

    best: Method
    others: tuple[Method, ...]
    n_problems: int
    diverged: tuple[float, ...]

    @property
    def rates(self) -> list[float]:
        """All learning rates that were tried, in their order."""
        return sorted(rate for method in (self.best, *self.others) if (rate := method.learning_rate) is not None)

    @property
    def edge(self) -> str:
        """The end of those tried at which the best one is, beyond which a better one may be; "" for none."""
        if self.best.learning_rate == self.rates[0]:
            return "lower"
        return "upper" if self.best.learning_rate == self.rates[-1] else ""


def tune(problems: Sequence[Problem]) -> list[Tuned]:
    """The best learning rate of each method of which several were tried.

    The best has the lowest mean, over the problems on which all of them were run, of the lowest cost within the budget.
    A method without such a problem, or that has diverged at every learning rate, is not tuned.
    """
    families: dict[Method, dict[Method, None]] = {}
    for problem in problems:
        for method in problem.attempts:
            if method.learning_rate is not None:
                families.setdefault(method.family, {}).setdefault(method)
    found = [_tuned(list(methods), problems) for methods in families.values() if len(methods) > 1]
    return [tuned for tuned in found if tuned is not None]


def _tuned(methods: Sequence[Method], problems: Sequence[Problem]) -> Tuned | None:
    common = [problem for problem in problems if all(method in problem.attempts for method in methods)]
    if not common:
        return None
    totals = {m: sum(problem.attempts[m].lowest for problem in common) for m in methods}
    best = min(methods, key=lambda method: totals[method])
    if not math.isfinite(totals[best]):
        return None
    diverged = sorted(m.learning_rate or 0.0 for m in methods if _has_diverged(m, problems))
    return Tuned(best, tuple(m for m in methods if m != best), len(common), tuple(diverged))


def _has_diverged(method: Method, problems: Sequence[Problem]) -> bool:
    return any(method in problem.attempts and problem.attempts[method].has_diverged for problem in problems)
