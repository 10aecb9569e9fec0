"""`nnexp sync`: publish what a broken connection or a crash kept back, or copy runs into another store."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from nnexp.errors import ExitStatus, UsageError
from nnexp.terminal import say, tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="run directories, ids of runs or ids of sweeps; default: all unpublished runs, with --to all runs",
    )
    parser.add_argument("--to", metavar="URI", help="copy the runs into this MLflow store, whatever store they are in")
    parser.add_argument("--figures", action="store_true", help="draw the figures of runs that were made without them")
    parser.add_argument("--directory", help="the output directory; default: tracking.directory of the config")


def run(arguments: argparse.Namespace) -> int:
    """Publish and say how many, and which sweeps have come to their end by that."""
    from nnexp.compose import compose, in_grammar, read_config
    from nnexp.config import ConfigError
    from nnexp.lookup import Lookup
    from nnexp.paths import absolute_uri, uri_problem
    from nnexp.recovery import sync
    from nnexp.sweeps.publication import SweepPublication

    where = [f"tracking.directory={in_grammar(arguments.directory)}"] if arguments.directory else []
    tracking = read_config(compose(where)).tracking
    if arguments.directory and not Path(tracking.directory).is_dir():
        raise ConfigError(f"`--directory` must be an existing folder, got {arguments.directory!r}")
    if arguments.to and (problem := uri_problem(absolute_uri(arguments.to))):
        raise ConfigError(f"`--to` must be {problem}, got {arguments.to!r}")
    if arguments.figures and not arguments.runs:
        raise UsageError("--figures needs the runs or sweeps whose figures are to be drawn")
    closed: list[str] = []
    done, kept = sync(
        tracking.directory,
        arguments.runs,
        default_uri=tracking.uri,
        tell=say,
        to=arguments.to,
        parent_of=SweepPublication,
        lookup=Lookup.of(tracking),
        with_figures=arguments.figures,
        tell_closed=closed.append,
    )
    if arguments.json:
        print(json.dumps({"published": done, "kept_back": kept}))
    else:
        tell("; ".join([f"{done} published, {kept} not published", *closed]))
    return ExitStatus.NOT_PUBLISHED if kept else ExitStatus.DONE
