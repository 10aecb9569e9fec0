"""`nnexp sync`: publish what a broken connection or a crash kept back."""

from __future__ import annotations

import argparse
import json

from nnexp.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="run directories or a sweep's id; default: all kept back"
    )
    parser.add_argument("--directory", help="the output directory; default: what the config says")


def run(arguments: argparse.Namespace) -> int:
    """Publish and say how many."""
    from nnexp.config import ConfigError
    from nnexp.hydra_app import compose
    from nnexp.tracking.sync import sync

    try:
        tracking = compose([]).tracking
        done, kept = sync(arguments.directory or tracking.directory, arguments.runs, default_uri=tracking.uri, tell=say)
    except (ConfigError, ValueError) as error:
        say(str(error))
        return 2
    if arguments.json:
        print(json.dumps({"published": done, "kept_back": kept}))
    else:
        print(f"{done} published, {kept} kept back")
    return 4 if kept else 0
