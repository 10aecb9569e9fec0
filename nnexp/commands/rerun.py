"""`nnexp rerun RUN [--check] [OVERRIDES]`: run a recorded run or sweep again; say what is equal and what is not."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nnexp.compose import tracking_of
from nnexp.config import TrackingConfig
from nnexp.lookup import FoundSweep, Lookup
from nnexp.rerun.run import Rerun, execute_plan, exit_status, plan
from nnexp.rerun.source import RunSource, source_of
from nnexp.rerun.sweep import SweepSource, jobs_of, rerun_sweep, rows
from nnexp.summary import show
from nnexp.terminal import say, table, tell, visible
from nnexp.tracking.usable import check_store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Repeat a run from its record, as a new run that is linked to it. Overrides change its config. "
        "Exit status: 0 done; 2 rejected, nothing was trained; with --check 3 if not everything is identical."
    )
    parser.add_argument(
        "run", metavar="RUN", help="the id of a run or a prefix of it, a run directory, or the id of a sweep"
    )
    parser.add_argument("--check", action="store_true", help="compare with the old run: theta, history, predictions")
    parser.add_argument("overrides", nargs="*", help="config overrides, such as training.threads=2 optimizer=cg")


def run(arguments: argparse.Namespace) -> int:
    """Rerun and print."""
    overrides, check, as_json = arguments.overrides, arguments.check, arguments.json
    check_store(tracking := tracking_of(overrides))
    lookup = Lookup.of(tracking)
    with tempfile.TemporaryDirectory() as scratch:
        found = lookup.find(arguments.run)
        if isinstance(found, FoundSweep):
            return _sweep(jobs_of(lookup, found, Path(scratch)), overrides, tracking, check, as_json)
        return _one(source_of(found, lookup.store, Path(scratch)), overrides, check, as_json)


def _one(original: RunSource, overrides: Sequence[str], check: bool, as_json: bool) -> int:
    planned = plan(original, overrides, check=check)
    say(f"Rerunning {original}" + (f" with {' '.join(overrides)}" if overrides else ""))
    for key, value in planned.rebuilt.defaulted.items():
        say(f"`{key}` did not exist when it was made; the current default is used: {value}")
    done = execute_plan(planned)
    if done.refused:
        say(done.refused)
    if as_json:
        print(json.dumps(done.as_dict()))
    else:
        if done.outcome is not None:
            show(done.outcome, planned.config)
        tell(table(_rows(done, check)))
    return exit_status([done], check)


def _rows(done: Rerun, check: bool) -> list[tuple[str, str]]:
    """What a person is told about the comparison."""
    rows = [("rerun of", str(done.original_run_id))]
    if check and done.verdict is not None:
        rows.append(("verdict", str(done.comparison or done.verdict)))
    return rows + _changes(done.changed)


def _changes(changed: Sequence[str]) -> list[tuple[str, str]]:
    """What has changed since, as rows of a table."""
    return [("changed" if i == 0 else "", item) for i, item in enumerate(changed or ["nothing recorded"])]


def _sweep(found: SweepSource, overrides: Sequence[str], tracking: TrackingConfig, check: bool, as_json: bool) -> int:
    say(
        f"Rerunning sweep {found.sweep}, {len(found.jobs)} jobs" + (f" with {' '.join(overrides)}" if overrides else "")
    )
    done = rerun_sweep(found, overrides, tracking, check=check, tell=say)
    if as_json:
        print(json.dumps(done.as_dict()))
    else:
        lines = [tuple(visible(cell, kept="") for cell in row) for row in rows(done.reruns)]
        widths = [max(len(line[i]) for line in lines) for i in range(3)]
        for line in lines:
            print("  ".join([*(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=False)), line[3]]))
        counts: dict[str, int] = {}
        for rerun in done.reruns:
            word = rerun.verdict or ("not checked" if check or rerun.refused else "done")
            counts[word] = counts.get(word, 0) + 1
        print(", ".join(f"{number} {word}" for word, number in counts.items()))
        tell(table(_changes(done.changed)))
    return exit_status(done.reruns, check)
