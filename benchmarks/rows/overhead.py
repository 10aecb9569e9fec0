"""Time per run of a sweep in addition to the optimizer, with all artifacts created and published."""

from __future__ import annotations

from benchmarks.commands import BUDGET_OF_A_CHECK, nnexp, runs, scratch, steady_overhead
from benchmarks.measure import Line, median

TITLE = "Everything but the optimizer, per run in a sweep (start to start, less the fit)"
LAUNCHERS = {
    "one after the other": (),
    "two workers": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
}


def run(quick: bool) -> list[Line]:
    lines = []
    budget = BUDGET_OF_A_CHECK if quick else ()
    for name, launcher in LAUNCHERS.items():
        n = 3 if quick else 8 if not launcher else 16
        seeds = ",".join(map(str, range(n)))
        with scratch() as folder:
            wall = nnexp(folder, "-m", f"seed={seeds}", *launcher, *budget)
            found = runs(folder)
        beside, fit = steady_overhead(found), median([run.fit_seconds for run in found])
        at_a_time = 2 if launcher else 1
        note = f"{n} runs, fit {fit:.2f} s; whole sweep {wall:.1f} s"
        lines.append(Line(f"{name}: beside the fit", beside, "s", at_most=0.25, note=note))
        share = 100 * beside / (beside + fit)
        lines.append(Line(f"{name}: share of the default run", share, "%", at_most=5.0))
        whole = (wall * at_a_time) / n - fit
        lines.append(Line(f"{name}: with start and end of the sweep", whole, "s", note="per run"))
    return lines
