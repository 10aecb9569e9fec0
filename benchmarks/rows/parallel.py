"""The jobs of a sweep one after the other and by two workers of joblib, from the second job of each worker on."""

from __future__ import annotations

from benchmarks import commands
from benchmarks.measure import Line, median

TITLE = "A sweep by two workers against one after the other, once they are up"
WORKERS = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
KINDS = {"default runs": 400, "runs of 2,000 evaluations": 2000}


def seconds_a_run(found: list[commands.Run], workers: int) -> float:
    """Seconds of wall time a run, in the steady state."""
    return (commands.steady_overhead(found) + median([run.fit_seconds for run in found])) / workers


def run(quick: bool) -> list[Line]:
    lines = []
    for kind, budget in KINDS.items():
        budget, n = (5, 6) if quick else (budget, 12 if budget == 400 else 6)
        jobs = ("-m", "model.l2=" + ",".join(f"{0.5 + 0.25 * i:g}" for i in range(n)))
        limits = (f"optimizer.maxiter={budget}", f"optimizer.maxfun={budget}")
        seconds, digests = [], []
        for launcher, workers in (((), 1), (WORKERS, 2)):
            with commands.scratch() as folder:
                commands.nnexp(folder, *jobs, *limits, *launcher)
                found = commands.runs(folder)
            seconds.append(seconds_a_run(found, workers))
            digests.append(sorted(each.theta_digest for each in found))
        assert digests[0] == digests[1], "the workers computed something else"
        note = f"{seconds[0]:.2f} s against {seconds[1]:.2f} s a run; equal theta digests"
        lines.append(Line(f"{kind}: times faster", seconds[0] / seconds[1], at_least=1.8, note=note))
    return lines
