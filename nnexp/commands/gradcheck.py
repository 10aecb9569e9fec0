"""`nnexp gradcheck`: the full numerical gradient check of the configured network, at its initial weights."""

from __future__ import annotations

import argparse
import json

from nnexp import kernels
from nnexp.compose import compose, read_config
from nnexp.errors import ExitStatus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("overrides", nargs="*", help="config overrides, such as model.hidden_size=[40,20]")


def run(arguments: argparse.Namespace) -> int:
    """Check, and print what was found."""
    config = read_config(compose(arguments.overrides))
    kernels.require(kernels.kernel_of(config.deciding()))
    report = config.task.gradcheck(config.of_task)
    print(json.dumps(report.as_dict()) if arguments.json else report.text())
    return ExitStatus.DONE if report.is_good else ExitStatus.DIFFERENT
