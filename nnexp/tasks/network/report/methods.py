"""What methods pay to solve the problems of a report, as performance profiles and data profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, PercentFormatter

from nnexp.comparison.drawing import colors_of, drawn, legend_below, panels
from nnexp.comparison.spec import ComparisonSpec, Evidence
from nnexp.statistics.runtimes import targets, times_to
from nnexp.tasks.network.report import problems, references
from nnexp.tasks.network.report.keys import COST, EVALUATIONS
from nnexp.tasks.network.report.problems import Field, Method, Problem
from nnexp.tasks.network.report.profiles import TAUS, data_profile, performance_profile, ratios_to_best
from nnexp.tasks.network.report.tuning import Tuned

if TYPE_CHECKING:
    from nnexp.tasks.network.report.references import Reference

MARGIN = 1.03  # of the axis beyond the budget, where the last step shows its level


@dataclass(frozen=True, eq=False)
class Benchmark:
    """Methods on problems, and the lowest cost that is known of each problem.

    Attributes
    ----------
    field : Field
        The methods that are compared, and the problems.
    words : dict of Method to str
        All methods in words, those that are not compared too.
    references : list of Reference or None
        One a problem where reference runs were asked for, else empty; None for one that could not be made.
    sweep : str
        The id of the sweep whose runs they are; "" where they are of something else.
    """

    field: Field
    words: dict[Method, str]
    references: list[Reference | None]
    sweep: str = ""

    @property
    def methods(self) -> list[str]:
        """The methods that are compared, in words."""
        return [self.words[method] for method in self.field.methods]

    @property
    def problems(self) -> list[Problem]:
        """The problems that all of the methods were run on."""
        return self.field.problems

    @property
    def n_problems(self) -> int:
        """Number of problems."""
        return len(self.field.problems)

    @cached_property
    def lowest(self) -> list[float]:
        """The lowest cost of each problem, of any run on it and of its reference."""
        known = self.references or [None] * self.n_problems
        pairs = zip(self.problems, known, strict=True)
        return [min(p.lowest, reference.cost) if reference else p.lowest for p, reference in pairs]

    @cached_property
    def budget(self) -> float:
        """The most evaluations of any run."""
        return float(np.nanmax(self.spent(EVALUATIONS)))

    def runtimes(self, column: str, taus: Sequence[float]) -> np.ndarray:
        """What each method paid until the cost was down to ``fL + tau (f0 - fL)``.

        Parameters
        ----------
        column : str
            The column of the history that counts what is paid.
        taus : sequence of float

        Returns
        -------
        ndarray of shape (n_problems, n_taus, n_methods)
            Infinite where a method did not come so far.
        """
        found = np.full((self.n_problems, len(taus), len(self.methods)), np.inf)
        for i, (problem, lowest) in enumerate(zip(self.problems, self.lowest, strict=True)):
            wanted = targets(problem.start, lowest, np.asarray(taus))
            for j, method in enumerate(self.field.methods):
                if (history := problem.attempts[method].history) is not None:
                    found[i, :, j] = times_to(history[column], history[COST], wanted)
        return found

    def spent(self, column: str) -> np.ndarray:
        """What each method had paid at the end, of shape (n_problems, n_methods); NaN for a run that diverged."""
        histories = [[problem.attempts[m].history for m in self.field.methods] for problem in self.problems]
        return np.array([[np.nan if h is None else float(h[column][-1]) for h in row] for row in histories])

    @cached_property
    def costs(self) -> dict[float, np.ndarray]:
        """Evaluations by tau, each of shape (n_problems, n_methods)."""
        found = self.runtimes(EVALUATIONS, TAUS)
        return {tau: found[:, place] for place, tau in enumerate(TAUS)}


def benchmark(
    found: Sequence[Problem], tuned: Sequence[Tuned], spec: ComparisonSpec, evidence: Evidence
) -> Benchmark | None:
    """The methods over the problems, each at its best learning rate, with reference runs where they are asked for.

    None where fewer than two methods share two problems.
    """
    field = problems.comparable(found, [method for each in tuned for method in each.others])
    if field is None:
        return None
    words = problems.labels(list(dict.fromkeys(m for problem in found for m in problem.attempts)), spec)
    known: list[Reference | None] = []
    if evidence.references is not None:
        known = references.of_problems(field.problems, evidence.read, evidence.references)
    return Benchmark(field, words, known, evidence.sweep)


@drawn
def draw(found: Benchmark) -> Figure:
    """Draw the performance profiles above and the data profiles below, a column for each tolerance."""
    figure, axes = panels(9.6, 4.9 + 0.19 * -(-len(found.methods) // 5), 2, len(TAUS), sharey=True, sharex="row")
    ratios = np.concatenate([ratios_to_best(costs).ravel() for costs in found.costs.values()])
    finite = np.append(1.0, ratios[np.isfinite(ratios)])
    widest = max(2.0, float(finite.max()) * 1.15)
    alphas = np.unique(np.concatenate([finite, np.geomspace(1, widest, 60)]))
    most = MARGIN * found.budget
    budgets = np.unique(np.concatenate([c[np.isfinite(c)] for c in found.costs.values()] + [[0.0, most]]))
    for column, tau in enumerate(TAUS):
        costs = found.costs[tau]
        upper, lower = axes[:, column]
        for panel, x, shares in (
            (upper, alphas, performance_profile(costs, alphas)),
            (lower, budgets, data_profile(costs, budgets)),
        ):
            for name, look, share in zip(found.methods, line_looks(found.methods), shares.T, strict=True):
                panel.step(x, share, where="post", label=name, **look)
            panel.grid(visible=True)
        upper.set_xscale("log", base=2)
        upper.xaxis.set_major_formatter("{x:g}")
        upper.set(xlabel="ratio to the best method's evaluations", title=f"τ = {tau:g}", xlim=(1, widest))
        lower.set(xlabel="budget (evaluations)", xlim=(0, most))
    for row in range(2):
        axes[row, 0].set_ylabel("problems solved")
        as_shares(axes[row, 0])
    legend_below(figure, axes[0, 0], columns=5)
    return figure


def line_looks(methods: Sequence[str]) -> list[dict[str, Any]]:
    """How the lines of methods are drawn: each thinner than the one before, so that none hides another."""
    steps = 2.4 / max(1, len(methods) - 1)
    return [
        {"color": color, "linestyle": dash, "linewidth": 3.6 - steps * place}
        for place, (color, dash) in enumerate(colors_of(methods))
    ]


def as_shares(panel: Axes) -> None:
    """Percent on the vertical axis, from none to all."""
    panel.yaxis.set_major_formatter(PercentFormatter(1))
    panel.yaxis.set_major_locator(MultipleLocator(0.25))
    panel.set_ylim(-0.03, 1.03)
