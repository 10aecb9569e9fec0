"""Methods over all problems of a sweep: performance profiles and data profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, PercentFormatter

from nnexp.comparison.curves import having
from nnexp.comparison.drawing import colors_of, drawn, legend_below, panels
from nnexp.comparison.metric import MISSING
from nnexp.comparison.settings import SEED, Group, Setting
from nnexp.comparison.spec import History
from nnexp.tasks.network.report.keys import BUDGETS, COST, EVALUATIONS, METHOD, OPTIONS
from nnexp.tasks.network.report.profiles import TAUS, data_profile, performance_profile, solve_costs

LEAST_PROBLEMS = 2
MARGIN = 1.03  # of the axis beyond the budget, where the last step shows its level


@dataclass(frozen=True)
class Benchmark:
    """Histories of methods on problems, and what each method pays for each problem at each tolerance.

    Attributes
    ----------
    methods : list of str
    costs : dict of float to ndarray of shape (n_problems, n_methods)
        Evaluations by tau; infinite where a method did not solve a problem, or was not run on it.
    budget : float
        The most evaluations of any run.
    """

    methods: list[str]
    costs: dict[float, np.ndarray]
    budget: float

    @property
    def n_problems(self) -> int:
        """Problems that at least two methods were run on."""
        return len(self.costs[TAUS[0]])


def benchmark(groups: Sequence[Group], histories: Mapping[str, History]) -> Benchmark | None:
    """The methods of a sweep over its problems: everything else that was swept, the seeds and the data sets.

    A method with options of its own that were swept counts once for each choice of them. Of runs that differ in their
    budgets alone the one with the largest counts. None where no method was swept or fewer than two problems are shared.
    """
    histories = having(histories, [EVALUATIONS, COST])
    runs: dict[tuple[str, ...], dict[str, tuple[tuple[float, ...], str]]] = {}
    methods: dict[str, None] = {}
    for group in groups:
        solver_keys = [key for key in group.keys if key == METHOD or key.startswith(OPTIONS)]
        for setting in group.settings:
            problem_keys = [key for key in group.keys if key not in solver_keys and key not in BUDGETS]
            method = group.spec.label_of({METHOD: _method_of(setting)} | _options(setting.values, solver_keys))
            methods.setdefault(method)
            for run in setting.runs.to_dict("records"):
                if run["run_id"] not in histories:
                    continue
                problem = (group.name, *(str(setting.values[key]) for key in problem_keys), str(run[SEED]))
                entry = (tuple(float(run.get(key) or 0) for key in BUDGETS), run["run_id"])
                kept = runs.setdefault(problem, {})
                kept[method] = max(kept.get(method, entry), entry)
    shared = [kept for kept in runs.values() if len(kept) >= 2]
    names = [name for name in methods if any(name in kept for kept in shared)]
    if len(names) < 2 or len(shared) < LEAST_PROBLEMS:
        return None
    curves = [[_curve(histories, kept.get(name)) for name in names] for kept in shared]
    budget = max(float(curve[0][-1]) for problem in curves for curve in problem if curve is not None)
    return Benchmark(names, {tau: solve_costs(curves, tau) for tau in TAUS}, budget)


def _method_of(setting: Setting) -> str:
    return str(setting.runs[METHOD].iloc[0]) if METHOD in setting.runs else "method"


def _options(values: Mapping[str, object], solver_keys: Sequence[str]) -> dict[str, object]:
    """The swept options that a method has."""
    return {key: values[key] for key in solver_keys if key != METHOD and values[key] != MISSING}


def _curve(histories: Mapping[str, History], entry: tuple[tuple[float, ...], str] | None):
    if entry is None:
        return None
    history = histories[entry[1]]
    return history[EVALUATIONS], history[COST]


@drawn
def draw(found: Benchmark) -> Figure:
    """Draw the performance profiles above and the data profiles below, a column for each tolerance."""
    figure, axes = panels(9.6, 4.9 + 0.19 * -(-len(found.methods) // 5), 2, len(TAUS), sharey=True, sharex="row")
    styles = colors_of(found.methods)
    ratios = [c / c.min(axis=1, keepdims=True) for c in found.costs.values() if np.isfinite(c).any()]
    finite = np.concatenate([r[np.isfinite(r)] for r in ratios])
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
            for method, (color, dash) in enumerate(styles):
                wide = 3.6 - 2.4 * method / max(1, len(styles) - 1)  # so that none hides another where they are equal
                line = {"color": color, "linestyle": dash, "label": found.methods[method], "linewidth": wide}
                panel.step(x, shares[:, method], where="post", **line)
            panel.grid(visible=True)
        upper.set_xscale("log", base=2)
        upper.xaxis.set_major_formatter("{x:g}")
        upper.set(xlabel="ratio to the best method's evaluations", title=f"τ = {tau:g}", xlim=(1, widest))
        lower.set(xlabel="budget (evaluations)", xlim=(0, most))
    for row in range(2):
        axes[row, 0].set_ylabel("problems solved")
        axes[row, 0].yaxis.set_major_formatter(PercentFormatter(1))
        axes[row, 0].yaxis.set_major_locator(MultipleLocator(0.25))
        axes[row, 0].set_ylim(-0.03, 1.03)
    legend_below(figure, axes[0, 0], columns=5)
    return figure
