"""`nnexp sync`: publish what a broken connection or a crash kept back, or copy runs into another store."""

from __future__ import annotations

import argparse
import json

from nnexp.errors import ExitStatus
from nnexp.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="run directories, ids of runs or ids of sweeps; default: all that is kept back, with --to all runs",
    )
    parser.add_argument("--to", metavar="URI", help="copy the runs into this MLflow store, whatever store they are in")
    parser.add_argument("--directory", help="the output directory; default: what the config says")


def run(arguments: argparse.Namespace) -> int:
    """Publish and say how many."""
    from nnexp.hydra_app import compose
    from nnexp.tracking.sync import sync

    where = [f"tracking.directory='{arguments.directory}'"] if arguments.directory else []
    tracking = compose(where).tracking
    done, kept = sync(tracking.directory, arguments.runs, default_uri=tracking.uri, tell=say, to=arguments.to)
    if arguments.json:
        print(json.dumps({"published": done, "kept_back": kept}))
    else:
        print(f"{done} published, {kept} kept back")
    return ExitStatus.NOT_PUBLISHED if kept else ExitStatus.DONE
