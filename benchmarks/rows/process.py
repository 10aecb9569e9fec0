"""The default command and the help, from process start to exit."""

from __future__ import annotations

from benchmarks import commands
from benchmarks.measure import Line, median

TITLE = "The default `nnexp`, process start to exit"


def run(quick: bool) -> list[Line]:
    budget = commands.BUDGET_OF_A_CHECK if quick else ()
    with commands.scratch() as folder:
        commands.nnexp(folder, *commands.BUDGET_OF_A_CHECK)  # byte code, store
        beside, fits = [], []
        for _ in range(1 if quick else 5):
            wall = commands.nnexp(folder, *budget)
            fits.append(commands.runs(folder)[-1].fit_seconds)
            beside.append(wall - fits[-1])
        helps = [commands.run(["-m", "nnexp", "--help"], folder) for _ in range(3 if quick else 11)]
        bare = [commands.run(["-c", ""], folder) for _ in range(3 if quick else 11)]
    note = f"fit {median(fits):.2f} s"
    return [
        Line("nnexp: start to exit, beyond its fit", median(beside), "s", at_most=3.0, note=note),
        Line("nnexp --help", median(helps), "s", at_most=0.3, note=f"an empty Python: {median(bare):.3f} s"),
    ]
