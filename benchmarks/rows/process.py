"""The default command and the help, from process start to exit, and against imports that it cannot do without."""

from __future__ import annotations

from pathlib import Path

from benchmarks import commands
from benchmarks.measure import Line, median

TITLE = "The default `nnexp`, process start to exit"
IMPORTS = "import hydra, scipy.optimize"


def iterations(folder: Path) -> list[float]:
    """When the rows of the newest run's history were logged, in seconds since the epoch."""
    path = max(folder.glob("outputs/runs/*/history.csv"), key=lambda path: path.stat().st_mtime)
    return [float(line.rpartition(",")[2]) for line in path.read_text().splitlines()[1:]]


def run(quick: bool) -> list[Line]:
    budget = commands.BUDGET_OF_A_CHECK if quick else ()
    with commands.scratch() as folder:
        commands.nnexp(folder, *commands.BUDGET_OF_A_CHECK)  # byte code, store
        beside, fits, imports, starts, ends = [], [], [], [], []
        for _ in range(1 if quick else 5):
            imports.append(commands.run(["-c", IMPORTS], folder))
            done = commands.whole(folder, *budget)
            times = iterations(folder)
            fits.append(commands.runs(folder)[-1].fit_seconds)
            beside.append(done.seconds - fits[-1])
            starts.append(times[0] - done.began)
            ends.append(done.ended - times[-1])
        helps = [commands.run(["-m", "nnexp", "--help"], folder) for _ in range(3 if quick else 11)]
        bare = [commands.run(["-c", ""], folder) for _ in range(3 if quick else 11)]
    note = f"fit {median(fits):.2f} s"
    first, last, imported = median(starts), median(ends), median(imports)
    against = f"{imported:.2f} s for `{IMPORTS}`"
    return [
        Line("nnexp: start to exit, beyond its fit", median(beside), "s", at_most=3.0, note=note),
        Line("start to first iteration", first / imported, at_most=1.5, note=f"{first:.2f} s against {against}"),
        Line("last iteration to exit", last / imported, at_most=0.5, note=f"{last:.2f} s against {against}"),
        Line("nnexp --help", median(helps), "s", at_most=0.3, note=f"an empty Python: {median(bare):.3f} s"),
    ]
