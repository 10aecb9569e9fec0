"""`nnexp report`: compare the runs of a sweep, an experiment or a filter."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="SWEEP or OVERRIDE",
        help="id of a sweep, or a prefix of it (default: the newest); config overrides, such as tracking.uri=...",
    )
    parser.add_argument("--experiment", metavar="NAME", help="the experiment; without a sweep or filter: all its runs")
    parser.add_argument("--filter", metavar="EXPR", help="an MLflow filter, such as \"params.`model.l2` = '1.0'\"")
    parser.add_argument("--directory", metavar="OUT", help="the output folder; default: reports/ in tracking.directory")


def run(arguments: argparse.Namespace) -> int:
    """Make the report and print where it is."""
    result = report(arguments)
    if arguments.json:
        print(json.dumps({"path": str(result.path), "n_runs": result.n_runs}))
    else:
        print("\n".join(result.sentences))
        print(os.path.relpath(result.path))
    return 0


def report(arguments: argparse.Namespace) -> Any:
    """Find the runs and write their report; it goes to a folder named after what was found."""
    from nnexp.compose import compose, read_config
    from nnexp.report.files import RunFiles
    from nnexp.report.make import write_report
    from nnexp.report.selection import find
    from nnexp.tracking.store import open_existing

    config = read_config(compose([word for word in arguments.words if "=" in word]))
    tracking = config.tracking
    selection = select(arguments)
    store = open_existing(tracking.uri, arguments.experiment or tracking.experiment)
    found = find(store, selection, tracking.directory)
    folder = Path(arguments.directory or Path(tracking.directory) / "reports" / found.name)
    return write_report(found, RunFiles(store), folder, config.figures)


def select(arguments: argparse.Namespace) -> Any:
    """What the command line asks for."""
    from nnexp.config import ConfigError
    from nnexp.report import Selection

    sweeps = [word for word in arguments.words if "=" not in word]
    if len(sweeps) + bool(arguments.filter) > 1:
        raise ConfigError(f"one sweep or one --filter can be reported, got {' '.join(sweeps)} {arguments.filter or ''}")
    if arguments.filter:
        return Selection("filter", arguments.filter)
    if arguments.experiment and not sweeps:
        return Selection("experiment")
    return Selection("sweep", *sweeps)
