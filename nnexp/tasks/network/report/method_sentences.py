"""What a report says of optimization methods that were run on the same problems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnexp.comparison.citing import Sentence, cite
from nnexp.comparison.settings import SEED
from nnexp.comparison.wording import count, listed
from nnexp.statistics.runtimes import ecdf
from nnexp.tasks.network.report.keys import EVALUATIONS
from nnexp.tasks.network.report.methods import Benchmark
from nnexp.tasks.network.report.problems import Problem
from nnexp.tasks.network.report.profiles import TAUS
from nnexp.tasks.network.report.runtimes import LADDER
from nnexp.tasks.network.report.tuning import Tuned

TAU = TAUS[1]
BELOW = 1e-9  # relative; a compared run that is less below its reference has found the same minimum


@dataclass(frozen=True)
class Parts:
    """What makes some problems: how many data sets, networks, ways to split the data, and replicates there are.

    `noun` is what a replicate is called.
    """

    data: int
    networks: int
    splits: int
    replicates: int
    noun: str

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> Parts:
        """Of a data set there may be a way of its own to split and scale it, which makes no second one."""
        splits: dict[str, set[tuple[str, ...]]] = {}
        for problem in problems:
            kept = tuple(param for param in problem.network if param.startswith("data."))
            splits.setdefault(problem.data_digest, set()).add(kept)
        networks = {tuple(param for param in p.network if not param.startswith("data.")) for p in problems}
        replicates = {problem.replicate for problem in problems}
        parts = [{*replicate} for replicate in replicates]
        varied = {name for name, _ in set[tuple[str, Any]].union(*parts) - set[tuple[str, Any]].intersection(*parts)}
        noun = SEED if not varied else "replicate" if len(varied) > 1 else varied.pop()
        return cls(len(splits), len(networks), max(map(len, splits.values())), len(replicates), noun)


def count_problems(problems: Sequence[Problem]) -> str:
    """How many problems there are and what makes them: "12 problems (4 data sets x 3 seeds)"."""
    n = Parts.of(problems)
    parts = [(n.data, "data set"), (n.networks, "network"), (n.splits, "kind of split"), (n.replicates, n.noun)]
    said = [_plural(k, noun) for k, noun in parts if k > 1 or noun == n.noun]
    is_product = math.prod(k for k, _ in parts) == len(problems)
    return f"{count(len(problems), 'problem')} ({' × '.join(said) if is_product else 'of ' + listed(said)})"


def _plural(n: int, noun: str) -> str:
    return count(n, noun) if noun != "kind of split" else f"{n} kinds of split"


def _in_words(method: str) -> str:
    """A method beside a number: its options in brackets, whose numbers would run into it."""
    name, _, options = method.partition(" · ")
    return f"{name} ({options.replace(' · ', ', ')})" if options else name


def about_methods(found: Benchmark) -> list[str]:
    """What the methods have come to over all problems, and what that rests on."""
    return [_fastest(found), _targets(found), _lowest(found), *_copies(found), *_left_out(found)]


def _fastest(found: Benchmark) -> str:
    costs = found.costs[TAU]
    best = costs.min(axis=1, keepdims=True)
    first = ((costs == best) & (best < math.inf)).sum(axis=0)
    solved = (costs < math.inf).sum(axis=0)
    order = sorted(range(len(found.methods)), key=lambda i: (-first[i], -solved[i]))
    names = [_in_words(name) for name in found.methods]
    fastest = [f"{names[i]} on {first[i]}" for i in order if first[i]]
    rest = [f"{names[i]} {solved[i]}" for i in order]
    said = f"Over {count_problems(found.problems)}, to within {100 * TAU:g} % of the possible decrease of the cost: "
    if not fastest:
        return f"{said}no method solved one within its budget."
    return f"{said}fastest in evaluations is {listed(fastest)}; solved within their budgets: {listed(rest)}."


def _targets(found: Benchmark) -> str:
    """The share of all targets that each method has reached at a budget that all were given."""
    budget = min(a.budget[-1] or found.budget for p in found.problems for m in found.field.methods
                 for a in [p.attempts[m]])  # fmt: skip
    shares = ecdf(found.runtimes(EVALUATIONS, list(LADDER)), np.array([budget]))[0]
    order = sorted(range(len(shares)), key=lambda i: -shares[i])
    reached = [f"{_in_words(found.methods[i])} {100 * shares[i]:.0f} %" for i in order]
    return (
        f"Of {count(found.n_problems * len(LADDER), 'pair')} of a problem and a target (from {100 * LADDER[0]:.0f} to "
        f"{100 * LADDER[-1]:g} % of the possible decrease), reached within {budget:,.0f} evaluations: "
        f"{listed(reached)}."
    )


def _lowest(found: Benchmark) -> str:
    """Which fL the targets are made of."""
    if not found.references:
        reached = int(np.isfinite(found.runtimes(EVALUATIONS, [LADDER[-1]])).any(axis=(1, 2)).sum())
        lowest, where = "that any of these runs reached", "each problem"
        if reached < found.n_problems:  # the lowest cost is of a run that is not compared
            lowest = "of any run on the problem, at a step size that was not chosen too"
            where = f"{reached} of {count(found.n_problems, 'problem')}"
        more = f"`nnexp report {found.sweep} --reference`" if found.sweep else "the same report with `--reference`"
        return (
            f"The possible decrease is that to fL, the lowest cost {lowest}, so on {where} some method "
            f"comes to all targets; {more} trains longer to know better."
        )
    made = [(p, r) for p, r in zip(found.problems, found.references, strict=True) if r is not None]
    if not made:
        return "No reference run could be made, so fL is the lowest cost that any of these runs reached."
    first = made[0][1]
    ended = sum(reference.has_ended for _, reference in made)
    below = [(r.cost - p.lowest) / abs(r.cost) for p, r in made if r.cost - p.lowest > BELOW * abs(r.cost)]
    of = "" if len(made) == found.n_problems else f" of {len(made)} of the {found.n_problems} problems"
    said = (
        f"The possible decrease is that to fL, the lowest cost of a reference run{of} ({first.method}, at most "
        f"{first.maxfun:,} evaluations; {ended} of {len(made)} ended before that, at a minimum as far as rounding "
        "tells) and of all runs on the problem."
    )
    if below:
        said += f" On {count(len(below), 'problem')} a compared run went below its reference, by at most "
        said += f"{100 * max(below):.2g} %: it found another minimum."
    return said


def _copies(found: Benchmark) -> list[str]:
    """That seeds of one network are no independent problems."""
    n = Parts.of(found.problems)
    if n.data == 1 and n.networks == 1 and n.replicates == 1:
        return ["All problems are of one network on one data set: what is said here of the methods is about these."]
    if n.data == 1 and n.networks == 1:
        return [
            f"{count(n.replicates, n.noun)} of one network on one data set are {n.replicates} copies of one problem: "
            "what is said here of the methods is about this problem. More come with data=ex4,digits or "
            "model.hidden_size=10,25."
        ]
    if n.data == 1:
        return ["All problems are of one data set: what is said here of the methods is about it."]
    return []


def _left_out(found: Benchmark) -> list[str]:
    said: list[str] = []
    if found.field.n_left_out:
        n = count(found.field.n_left_out, "problem")
        said.append(f"{n} that not all of the methods were run on {'is' if n[:2] == '1 ' else 'are'} left out.")
    if few := [_in_words(found.words[method]) for method in found.field.too_few]:
        said.append(
            f"{listed(few)} {'was' if len(few) == 1 else 'were'} run on too few of the problems to be compared."
        )
    diverged = {
        name: sum(problem.attempts[method].has_diverged for problem in found.problems)
        for name, method in zip(found.methods, found.field.methods, strict=True)
    }
    if parts := [f"{_in_words(name)} on {n}" for name, n in diverged.items() if n]:
        said.append(f"Diverged, and so counted as not solved: {listed(parts)}.")
    return said


def about_tuning(tuned: Sequence[Tuned], *, with_figures: bool) -> list[str]:
    """Which step sizes were chosen, by what, what that took, and where it may have gone wrong.

    `with_figures` says whether there are figures over methods.
    """
    if not tuned:
        return []
    names = [f"{_name(each)} (learning rate {_rate(each)}, the best of {len(each.rates)})" for each in tuned]
    counts = {each.n_problems for each in tuned}
    over = count(counts.pop(), "problem") if len(counts) == 1 else "the problems that all its rates were run on"
    budgets = [len(each.rates) for each in tuned]
    each = f"{budgets[0]} budgets{' each' * (len(tuned) > 1)}"
    took = each if len({*budgets}) == 1 else f"{listed([str(n) for n in budgets])} budgets"
    said = [
        f"{listed(names)}: chosen by the lowest training cost within the budget, on average over {over}. The "
        "choice was made on the problems that it is judged on here, which favours it a little; and it took "
        f"{took}{', which the figures over methods do not count' if with_figures else ''}."
    ]
    if edges := [f"{_name(each)} at the {each.edge} end ({_rate(each)})" for each in tuned if each.edge]:
        said.append(f"The best learning rate is the last one tried for {listed(edges)}: one beyond may be better.")
    if lost := [f"{_name(t)} at {listed([f'{rate:g}' for rate in t.diverged])}" for t in tuned if t.diverged]:
        said.append(f"Diverged, so that the cost was no longer a finite number: {listed(lost)}.")
    return said


def _name(tuned: Tuned) -> str:
    others = [f"{key.rpartition('.')[2].replace('_', ' ')} {value}" for key, value in tuned.best.family.options]
    return " · ".join([tuned.best.name, *others])


def _rate(tuned: Tuned) -> str:
    return f"{tuned.best.learning_rate:g}"


def how_made(found: Benchmark, tuned: Sequence[Tuned]) -> list[Sentence]:
    """What the methods paragraph says of methods over problems."""
    made = next((reference for reference in found.references if reference is not None), None)
    lowest = "the lowest cost of any run on it"
    if made is not None:
        lowest += f" and of a reference run of {made.method} with at most {made.maxfun:,} evaluations"
    methods = [method for method in found.field.methods if method in {each.best for each in tuned}]
    return [
        (
            f"{len(found.methods)} methods were compared on {count_problems(found.problems)} by performance profiles ",
            cite("dolan2002"), ", data profiles ", cite("more2009"), " and the distributions of their runtimes to ",
            f"{len(LADDER)} targets ", cite("hansen2021"), ", which are f_L + τ (f_0 − f_L) with f_0 the cost at the ",
            f"start of a problem and f_L {lowest}.",
        ),
        *([(f"The step size of {listed([found.words[m].partition(' · ')[0] for m in methods])} was chosen among ",
            f"{listed(sorted({str(len(each.rates)) for each in tuned}))} by the mean over the problems of the lowest ",
            "training cost within the budget, with a budget for each ", cite("schmidt2021"), ".")] if methods else []),
    ]  # fmt: skip
