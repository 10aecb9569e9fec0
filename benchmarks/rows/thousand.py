"""A sweep of 1,000 runs that fit in milliseconds, from process start to exit: everything published, the report made."""

from __future__ import annotations

from benchmarks import commands
from benchmarks.measure import Line, median
from benchmarks.rows.parallel import WORKERS

TITLE = "A sweep of 1,000 runs of `experiment=smoke` by two workers, from process start to exit"


def run(quick: bool) -> list[Line]:
    n = 4 if quick else 1000
    with commands.scratch() as folder:
        sweep = ("-m", "experiment=smoke", f"seed=range({n})", *WORKERS)
        done = commands.whole(folder, *sweep)
        found = commands.runs(folder)
        again = commands.nnexp(folder, *sweep)
    assert len(found) == n, f"{len(found)} of {n} runs have finished"
    fits = sum(run.fit_seconds for run in found)
    note = f"{n} runs, fit {1000 * median([run.fit_seconds for run in found]):.0f} ms"
    lines = [
        Line("start to exit", done.seconds, "s", at_most=120, note=note + "; the target is of the docs' machine"),
        Line("start to exit, against the fits", done.seconds / fits),
        Line("the same sweep again, all of it skipped", again, "s"),
    ]
    if done.cpu is not None:
        lines.append(Line("CPU a run, all processes", done.cpu / n, "s"))
    return lines
