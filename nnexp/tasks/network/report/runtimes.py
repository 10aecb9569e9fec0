"""Runtimes of methods over problems and targets, and their distribution functions, as COCO has them."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from nnexp.comparison.drawing import drawn, legend_below, log_axis, panels
from nnexp.comparison.metric import MISSING
from nnexp.comparison.sections import Table
from nnexp.comparison.spec import SECONDS, STEPS, Axis
from nnexp.statistics.runtimes import ecdf, expected_running_time
from nnexp.tasks.network.report.keys import EVALUATIONS
from nnexp.tasks.network.report.methods import Benchmark, as_shares, line_looks
from nnexp.tasks.network.report.profiles import TAUS

# Ten a decade, as COCO has some; the start itself, tau = 1, is reached by all and tells nothing.
LADDER = np.logspace(-0.1, -4, 40)
AXES = (
    Axis(EVALUATIONS, "evaluations", "evaluations"),
    Axis(STEPS.column, "iterations", "iterations"),
    Axis(SECONDS.column, "seconds", "seconds", is_whole=False),
)
POINTS = 240
MARKERS = "osD^vXP<>*"  # with which lines can be told apart in grey too


@drawn
def draw(found: Benchmark) -> Figure:
    """Draw the share of all pairs of a problem and a target that each method has reached, over what it has paid."""
    figure, axes = panels(9.6, 3.1 + 0.19 * -(-len(found.methods) // 5), 1, len(AXES), sharey=True)
    for panel, axis in zip(axes[0], AXES, strict=True):
        runtimes, spent = found.runtimes(axis.column, list(LADDER)), found.spent(axis.column)
        least = 1.0 if axis.is_whole else _least(runtimes)
        most = max(float(np.nanmax(spent)), 2 * least)
        budgets = np.geomspace(least, most, POINTS)
        shares = ecdf(runtimes, budgets)
        for place, (name, look) in enumerate(zip(found.methods, line_looks(found.methods), strict=True)):
            end = int(np.searchsorted(budgets, _end(spent[:, place]))) if _ran(spent[:, place]) else 0
            mark = {"marker": MARKERS[place % len(MARKERS)], "markevery": [min(end, POINTS - 1)], "markersize": 6}
            panel.step(budgets, shares[:, place], where="post", label=name, **look, **mark)
        panel.set(xscale="log", xlabel=axis.label, xlim=(least, 1.05 * most))
        log_axis(panel.xaxis)
        panel.grid(visible=True)
    axes[0, 0].set_ylabel("problems × targets reached")
    as_shares(axes[0, 0])
    legend_below(figure, axes[0, 0], columns=5)
    return figure


def _least(runtimes: np.ndarray) -> float:
    """The shortest runtime on a logarithmic axis."""
    above = runtimes[np.isfinite(runtimes) & (runtimes > 0)]
    return float(above.min()) if len(above) else 1e-3


def _end(spent: np.ndarray) -> float:
    """The median of what was spent at the end, of runs that came to one."""
    return float(np.nanmedian(spent)) * (1 - 1e-9)


def _ran(spent: np.ndarray) -> bool:
    return bool(np.isfinite(spent).any())


def table(found: Benchmark) -> Table:
    """Evaluations to some targets: the median over the problems, how many were solved, and ERT."""
    runtimes, spent = found.runtimes(EVALUATIONS, TAUS), np.nan_to_num(found.spent(EVALUATIONS))
    header, columns = ["method"], [list(found.methods)]
    for place, tau in enumerate(TAUS):
        of_tau = runtimes[:, place]
        solved = np.isfinite(of_tau).sum(axis=0)
        header += [f"τ = {tau:g}: median", "solved", "ERT"]
        columns.append([_show(value) for value in median(of_tau)])
        columns.append([f"{n} of {found.n_problems}" for n in solved])
        columns.append([_show(value) for value in expected_running_time(of_tau, spent)])
    caption = (
        "Evaluations until the cost is down to fL + τ (f0 − fL): the median over the problems, those not solved "
        f"counted as more than any budget ({MISSING}: half of them or more); how many were solved; and ERT, the "
        "expected running time, which is all evaluations spent on solved and unsolved problems together, divided by "
        "the number solved."
    )
    rows = list(zip(*columns, strict=True))
    return Table(caption, header, rows, name="runtimes")


def median(runtimes: np.ndarray) -> np.ndarray:
    """Median of each column; infinite where half of the problems or more were not solved."""
    ranked = np.sort(runtimes, axis=0)
    return (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) / 2


def _show(value: float) -> str:
    return f"{value:,.0f}" if np.isfinite(value) else MISSING
