"""`nnexp sweeps`: the sweeps of the store and their state."""

from __future__ import annotations

import argparse
import json
from typing import Any

from nnexp.terminal import visible

COLUMNS = ("planned", "finished", "failed", "lost", "running")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("overrides", nargs="*", help="config overrides, such as tracking.experiment=NAME")


def run(arguments: argparse.Namespace) -> int:
    """List the sweeps, newest last."""
    from nnexp.compose import compose, read_config
    from nnexp.tracking.store import open_existing

    tracking = read_config(compose(arguments.overrides)).tracking
    rows = table(open_existing(tracking.uri, tracking.experiment))
    if arguments.json:
        print(json.dumps([{key: value for key, value in row.items() if key != "name"} for row in rows]))
    else:
        print_table(rows)
    return 0


def table(store: Any) -> list[dict[str, Any]]:
    """For each sweep of the experiment how many of its jobs are planned, finished, failed, lost and running."""
    from nnexp.runs.records import RunStatus
    from nnexp.runs.tags import ELSEWHERE, PLANNED, RUN_KEY, SWEEP
    from nnexp.sweeps.status import count, of_stored, states
    from nnexp.tracking.store_arbiter import is_lost

    rows = []
    for parent in store.sweeps():
        runs = [run for run in store.tagged(SWEEP, parent.tags[SWEEP]) if RUN_KEY in run.tags]
        jobs = states(of_stored(run, is_lost=run.status == RunStatus.RUNNING and is_lost(run)) for run in runs)
        counts = count(jobs.values(), int(parent.tags.get(PLANNED, len(jobs))))
        counts["finished"] += int(parent.tags.get(ELSEWHERE, 0))
        rows.append({"sweep": parent.tags[SWEEP], **{key: counts[key] for key in COLUMNS}, "name": parent.name})
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """The sweeps as aligned columns."""
    if not rows:
        print("No sweeps yet.")
        return
    columns = ("sweep", *COLUMNS, "name")
    lines = [[visible(str(row[column]), kept="") for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *lines]) for i in range(len(columns))]
    for line in [list(columns), *lines]:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
