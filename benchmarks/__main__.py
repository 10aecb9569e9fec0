"""``python -m benchmarks [ROW ...]``: each row in a process of its own, a Markdown table on standard output."""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Line
from benchmarks.rows import DRAW, MINUTES, ROWS

ROW_SECONDS = 900  # enough on a busy machine; an idle one needs a tenth of it
# These would distort the measurement: slower BLAS kernels, other numbers of threads, no byte code.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "PYTHONDONTWRITEBYTECODE")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    which = f"of {', '.join(ROWS)}; default: all but {', '.join(MINUTES)}"
    parser.add_argument("rows", nargs="*", metavar="ROW", help=which)
    parser.add_argument("--quick", action="store_true", help="a smoke test: tiny budgets, numbers mean nothing")
    parser.add_argument("--json", metavar="FILE", help="write all numbers to FILE")
    parser.add_argument("--figure", metavar="FILE", help=f"write the figure of a row, {' or '.join(DRAW)}, to FILE")
    parser.add_argument("--inside", metavar="ROW", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if unknown := [row for row in chosen.rows if row not in ROWS]:
        parser.error(f"there is no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    if chosen.figure and not chosen.inside and (len(chosen.rows) != 1 or chosen.rows[0] not in DRAW):
        parser.error(f"--figure is of one row, {' or '.join(DRAW)}")
    return chosen


def title(row: str) -> str:
    return importlib.import_module(f"benchmarks.rows.{row}").TITLE


def inside(row: str, chosen: argparse.Namespace) -> None:
    """Measure one row in this process and print its lines as JSON."""
    extra = {"figure": chosen.figure} if row in DRAW else {}
    lines = importlib.import_module(f"benchmarks.rows.{row}").run(chosen.quick, **extra)
    print(json.dumps([line.as_dict() for line in lines]))


def measure(row: str, chosen: argparse.Namespace) -> list[Line]:
    """Measure one row in a fresh process."""
    words = ["--quick"] * chosen.quick + (["--figure", chosen.figure] if chosen.figure else [])
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", "--inside", row, *words],
            stdout=subprocess.PIPE,
            text=True,
            timeout=ROW_SECONDS,
        )
        return [Line(**line) for line in json.loads(done.stdout.splitlines()[-1])]
    except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
        return [Line(f"row {row} failed", math.nan, note=type(error).__name__)]


def shown(line: Line) -> str:
    """A line of the Markdown table."""
    bounds = {"<=": line.at_most, ">=": line.at_least}
    target = " and ".join(f"{sign} {bound:g}" for sign, bound in bounds.items() if bound is not None)
    met = {True: "yes", False: "**no**", None: ""}[None if math.isnan(line.value) else line.met]
    unit = "" if line.unit == "x" else f" {line.unit}"
    value = "" if math.isnan(line.value) else f"{line.value:.3g}{unit}"
    return f"| {line.what} | {value} | {target} | {met} | {line.note} |"


def describe() -> dict[str, Any]:
    from benchmarks import machine

    return machine.describe()


def main() -> int:
    chosen = parse()
    if chosen.inside:
        inside(chosen.inside, chosen)
        return 0
    for name in UNSET:  # before NumPy is imported
        if os.environ.pop(name, None) is not None:
            print(f"{name} is unset for the measurements.\n")
    begin = time.perf_counter()
    about = describe()
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    rates = ", ".join(f"{kind} threads: {rate}" for kind, rate in about["gflops"].items())
    print(
        f"{about['cpu']}, {about['cores']} cores, OpenBLAS kernels {about['blas_kernels']}; load {about['load']:.1f}\n"
    )
    print(f"{versions}\n\ngemm, GFLOP/s: {rates}")
    everything: dict[str, Any] = {"machine": about, "rows": {}}
    missed = 0
    for row in chosen.rows or [row for row in ROWS if row not in MINUTES]:
        started = time.perf_counter()
        load = os.getloadavg()[0]
        lines = measure(row, chosen)
        everything["rows"][row] = {"load": load, "lines": [line.as_dict() for line in lines]}
        missed += sum(line.met is False for line in lines)
        print(f"\n## {title(row)}\n\n| what | measured | target | met | |\n|---|---|---|---|---|")
        print("\n".join(map(shown, lines)))
        print(f"\n`python -m benchmarks {row}`: {time.perf_counter() - started:.0f} s, load {load:.1f}", flush=True)
        if chosen.json:
            Path(chosen.json).write_text(json.dumps(everything, indent=1) + "\n")
    print(f"\n{time.perf_counter() - begin:.0f} s in all; {missed} targets missed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
