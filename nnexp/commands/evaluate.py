"""`nnexp evaluate --weights FILE`: cost and report of given weights, a run's by the config that the run recorded."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from nnexp.errors import ExitStatus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "--weights",
        required=True,
        metavar="FILE",
        help="a run (its directory, its id or the beginning of it), an .npz, or the exercise's ex4weights.mat "
        "(Theta1, ...); a run is judged on the part that it held out, by its own config",
    )
    parser.add_argument("overrides", nargs="*", help="config overrides, such as data.test_size=0 model.l2=3")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print."""
    from nnexp.tasks.network.evaluate import evaluate

    with tempfile.TemporaryDirectory() as scratch:
        judgement = evaluate(arguments.weights, arguments.overrides, Path(scratch))
    print(json.dumps(judgement.as_dict()) if arguments.json else judgement.text())
    return ExitStatus.DONE
