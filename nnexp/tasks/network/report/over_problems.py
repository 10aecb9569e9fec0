"""The part of a report on optimization methods over all problems, whatever data sets they are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnexp.comparison.metric import MISSING
from nnexp.comparison.sections import Picture, Section, Table
from nnexp.comparison.settings import Group
from nnexp.comparison.spec import Evidence
from nnexp.tasks.network.report import method_sentences, methods, problems, runtimes, sentences, tuning
from nnexp.terminal import say

MOST_REFERENCES = 40  # rows of the table
SUMMED_UP = 3  # sentences: which method is the fastest, what was reached, and which fL that is by


def add_to(section: Section, groups: Sequence[Group], evidence: Evidence) -> None:
    """Add the methods over all problems, and their step sizes."""
    found = problems.gather(groups, evidence)
    tuned = tuning.tune(found)
    benchmark = methods.benchmark(found, tuned, groups[0].spec, evidence)
    if benchmark is not None:
        said = method_sentences.about_methods(benchmark)
        section.sentences += said
        if len(groups) > 1:  # of one, the page begins with all sentences anyway
            section.summary += said[:SUMMED_UP]
        section.tables.append(runtimes.table(benchmark))
        if benchmark.references:
            section.tables.append(of_references(benchmark))
        section.pictures += of_methods(benchmark)
        section.methods += method_sentences.how_made(benchmark, tuned)
    elif evidence.references is not None:
        say("--reference: no two methods were run on the same two problems, so no reference is needed")
    section.sentences += method_sentences.about_tuning(tuned, with_figures=benchmark is not None)
    section.sentences += sentences.about_step_sizes(groups)


def of_methods(found: methods.Benchmark) -> Iterator[Picture]:
    """Profiles of the methods, and their runtimes to all targets, which take all data sets together."""
    known = "reached in any run or in the reference run" if found.references else "that any of these runs reached"
    caption = (
        f"Methods over {method_sentences.count_problems(found.problems)}. A problem is solved when the cost is down to "
        f"fL + τ (f0 − fL), f0 the cost at the start and fL the lowest {known}. Above: performance profiles (Dolan and "
        "Moré 2002), the share solved with at most so many times the evaluations of the best method. Below: data "
        "profiles (Moré and Wild 2009), the share solved within a budget."
    )
    yield Picture("profiles", methods.draw(found), caption)
    ladder = runtimes.LADDER
    caption = (
        f"Runtimes to {len(ladder)} targets (τ from {ladder[0]:.2g} to {ladder[-1]:g}, evenly on a logarithmic scale) "
        f"on {method_sentences.count_problems(found.problems)}: the share of all pairs of problem and "
        "target that was reached within a budget of evaluations, iterations or seconds (empirical distribution "
        "functions of runtimes, as of COCO: Hansen et al. 2021). A mark is where the median of a method's runs ended."
    )
    yield Picture("runtimes", runtimes.draw(found), caption)


def of_references(found: methods.Benchmark) -> Table:
    """The fL of each problem, and where it is from."""
    rows: list[list[str]] = []
    for problem, reference, lowest in zip(found.problems, found.references, found.lowest, strict=True):
        method = min(problem.attempts, key=lambda m: problem.attempts[m].lowest)
        best = f"{problem.lowest:.6g} ({found.words[method]})"
        row = [problem.data, problem.seed, f"{lowest:.6g}"]
        if reference is None:
            row += [MISSING] * 4
        else:
            row += [f"{reference.cost:.6g}", f"{reference.evaluations:,}", reference.status]
            row.append(f"{reference.gradient_norm:.1e}")
        rows.append([*row, best])
    header = ["data", "replicate", "fL", "reference", "evaluations", "it ended", "gradient norm", "lowest of the runs"]
    made = next((reference for reference in found.references if reference is not None), None)
    caption = "The lowest cost known of each problem, fL"
    if made is not None:
        how = ", ".join(f"{key}={value:g}" for key, value in made.options.items())
        caption += f"; reference runs by {made.method} ({how}), at most {made.maxfun:,} evaluations"
    if len(rows) > MOST_REFERENCES:
        caption += f"; the first {MOST_REFERENCES} of {len(rows):,} problems"
    return Table(f"{caption}.", header, rows[:MOST_REFERENCES], frozenset({0, 5, 7}), name="references")
