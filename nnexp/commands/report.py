"""`nnexp report`: compare the runs of a sweep, an experiment or a filter."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnexp.report import ReportResult, Selection


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
    result = report(
        arguments.words,
        experiment=arguments.experiment,
        filter=arguments.filter,
        directory=arguments.directory,
    )
    if arguments.json:
        print(json.dumps({"path": str(result.path), "n_runs": result.n_runs}))
    else:
        print("\n".join(result.sentences))
        print(os.path.relpath(result.path))
    return 0


def report(
    words: Sequence[str], *, experiment: str | None = None, filter: str | None = None, directory: str | None = None
) -> ReportResult:
    """Find the runs and write their report; it goes to a folder named after what was found, unless one is given.

    Parameters
    ----------
    words
        The id of a sweep, if one is meant, and config overrides.
    """
    from nnexp.compose import compose, read_config
    from nnexp.report.files import RunFiles
    from nnexp.report.make import write_report
    from nnexp.report.selection import find
    from nnexp.tracking.store import open_existing

    config = read_config(compose([word for word in words if "=" in word]))
    tracking = config.tracking
    selection = select([word for word in words if "=" not in word], experiment, filter)
    store = open_existing(tracking.uri, experiment or tracking.experiment)
    found = find(store, selection, tracking.directory)
    folder = Path(directory or Path(tracking.directory) / "reports" / found.name)
    return write_report(found, RunFiles(store), folder, config.figures)


def select(sweeps: Sequence[str], experiment: str | None, filter: str | None) -> Selection:
    """What is asked for."""
    from nnexp.config import ConfigError
    from nnexp.report import Selection

    if len(sweeps) + bool(filter) > 1:
        raise ConfigError(f"one sweep or one --filter can be reported, got {' '.join(sweeps)} {filter or ''}")
    if filter:
        return Selection("filter", filter)
    if experiment and not sweeps:
        return Selection("experiment")
    return Selection("sweep", *sweeps)
