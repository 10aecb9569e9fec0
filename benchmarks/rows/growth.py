"""Cost of a run and of a sweep in a store that already contains 10, 1,000 and 5,000 runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks import commands
from benchmarks.measure import Line

TITLE = "Growth of the store (runs that fit in milliseconds, so that drawing and publishing set the pace)"
SIZES = (10, 1_000, 5_000)
TABLES = ("runs", "tags", "params", "metrics", "latest_metrics")
OWN_TAGS = "'nnexp.run_key', 'nnexp.uid', 'nnexp.sweep'"  # unique to each run


def fill(database: Path, first: int, last: int) -> None:
    """Insert numbered copies of a run of the store, each with its own keys."""
    with closing(sqlite3.connect(database)) as store, store:
        (model,) = store.execute(
            "SELECT run_uuid FROM runs WHERE status = 'FINISHED' AND run_uuid IN"
            " (SELECT run_uuid FROM tags WHERE key = 'nnexp.theta_digest') LIMIT 1"
        ).fetchone()
        numbers = "WITH RECURSIVE numbers(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < ?)"
        for table in TABLES:
            columns = [row[1] for row in store.execute(f"PRAGMA table_info({table})")]
            shown = {column: f'"{column}"' for column in columns} | {"run_uuid": "printf('%032x', i)"}
            if table == "tags":
                shown["value"] = f"CASE WHEN key IN ({OWN_TAGS}) THEN value || '-' || i ELSE value END"
            names = ", ".join(f'"{column}"' for column in columns)
            values = ", ".join(shown[column] for column in columns)
            store.execute(
                f"INSERT INTO {table} ({names}) {numbers} SELECT {values} FROM {table}, numbers WHERE run_uuid = ?",
                (first, last, model),
            )


def run(quick: bool) -> list[Line]:
    sizes, n_runs = ((4, 8), 3) if quick else (SIZES, 8)
    costs, lines = [], []
    with commands.scratch() as folder:
        commands.nnexp(folder, "-m", "experiment=smoke", "seed=0,1")
        filled = 2
        for size in sizes:
            fill(folder / "outputs" / "mlflow.db", filled, size)
            known = len(commands.runs(folder))
            filled = size
            seeds = ",".join(str(100 + size + i) for i in range(n_runs))
            sweep = ("-m", "experiment=smoke", f"seed={seeds}")
            start = commands.nnexp(folder, *sweep, "dry_run=true")
            commands.nnexp(folder, *sweep)
            costs.append(commands.steady_overhead(commands.runs(folder)[known:]))
            again = commands.nnexp(folder, *sweep)
            lines += [
                Line(f"{size:,} runs: beside the fit of a run", costs[-1], "s"),
                Line(f"{size:,} runs: start of a sweep until its plan is made", start, "s"),
                Line(f"{size:,} runs: the same sweep again, all of it skipped", again, "s"),
            ]
    growth = costs[-1] / costs[0]
    return [Line(f"a run in a store of {sizes[-1]:,} against one of {sizes[0]}", growth, at_most=1.2), *lines]
