"""What is beside the optimizer in a sweep, with all artifacts created and published: of the machine, and of a run."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from benchmarks import commands, problem
from benchmarks.commands import scratch, steady_overhead
from benchmarks.measure import Line, left_out, median
from benchmarks.rows.parallel import WORKERS
from benchmarks.spans import read
from nnexp.tasks.network.training import fit

TITLE = "What is beside the optimizer in a sweep of default runs, everything logged"
LAUNCHERS = {"one after the other": ((), 1, 8, 0.9), "two workers on two cores": (WORKERS, 2, 32, 0.75)}
N_FEW = 8  # runs of a sweep that has the same start and end as one of many
IMPORT_MLFLOW = "import mlflow, mlflow.tracking"


def run(quick: bool) -> list[Line]:
    lines, budget = [], 5 if quick else 400
    limits = (f"optimizer.maxiter={budget}", f"optimizer.maxfun={budget}")
    alone = [fit_alone(budget)]
    for name, (launcher, workers, n, target) in LAUNCHERS.items():
        n = 3 if quick else n
        with scratch() as folder:
            done, beside_cpu = sweep(folder, n, *launcher, *limits)
            found = commands.runs(folder)
        alone.append(fit_alone(budget))
        seconds = fmean(alone[-2:])
        beside, fit_here = steady_overhead(found), median([run.fit_seconds for run in found])
        note = f"{n} runs, fit alone {seconds:.2f} s, in the sweep {fit_here:.2f} s; whole sweep {done.seconds:.1f} s"
        lines += [
            Line(
                f"{name}: runs x fit of one alone / cores / wall time",
                n * seconds / workers / done.seconds,
                "",
                at_least=target,
                note=note,
            ),
            Line(f"{name}: beside the fit, start to start of a run", beside, "s", at_most=0.25),
            Line(f"{name}: with start and end of the sweep", done.seconds * workers / n - fit_here, "s", note="a run"),
        ]
    lines.append(cpu_beside_the_fit(n, beside_cpu, 2 if quick else N_FEW, *launcher, *limits))
    return [*lines, against_the_import_of_mlflow(3 if quick else 16)]


def fit_alone(budget: int) -> float:
    """Seconds of a default run's fit with nothing beside it, of which a run says `fit_seconds` too."""
    split = problem.split()
    return median([fit(split, hidden_sizes=[25], maxiter=budget, maxfun=budget).fit_seconds for _ in range(2)])


def sweep(folder: Path, n: int, *overrides: str) -> tuple[commands.Whole, float | None]:
    """A sweep over n seeds, and the CPU seconds of all its processes without those of the fits."""
    (folder / "timeline").mkdir()
    done = commands.whole(folder, "-m", f"seed=range({n})", *overrides, NNEXP_TIMELINE=str(folder / "timeline"))
    if done.cpu is None:
        return done, None
    spans = [span for process in read(folder / "timeline") for span in process.spans if span.name == "fit"]
    # A fit on a busy machine has waited: its CPU time is the share of its wall time that the span around it has.
    share = sum(span.cpu for span in spans) / sum(span.end - span.begin for span in spans)
    return done, done.cpu - share * sum(run.fit_seconds for run in commands.runs(folder))


def cpu_beside_the_fit(n: int, beside: float | None, n_few: int, *overrides: str) -> Line:
    """Of a run of many; what start and end of the sweep take is the same in a sweep of few."""
    what = "CPU beside the fit, a run, all processes"
    with scratch() as folder:
        _, beside_few = sweep(folder, n_few, *overrides)
    if beside is None or beside_few is None:
        return left_out(what, "this system does not tell the CPU time of processes that outlive their parent")
    note = f"of two workers; start and end of the sweep apart, with them {beside / n:.2f} s"
    return Line(what, (beside - beside_few) / (n - n_few), "s", at_most=0.12, note=note)


def against_the_import_of_mlflow(n: int) -> Line:
    with scratch() as folder:
        imports = [commands.run(["-c", IMPORT_MLFLOW], folder) - commands.run(["-c", ""], folder) for _ in range(3)]
        commands.nnexp(folder, "-m", "experiment=smoke", f"seed=range({n})")
        beside = steady_overhead(commands.runs(folder))
        imports += [commands.run(["-c", IMPORT_MLFLOW], folder) - commands.run(["-c", ""], folder) for _ in range(3)]
    note = f"{n} runs of experiment=smoke, {beside:.3f} s against {median(imports):.2f} s"
    what = "short runs one after the other: beside the fit, against the import of MLflow"
    return Line(what, beside / median(imports), at_most=0.15, note=note)
