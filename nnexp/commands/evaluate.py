"""`nnexp evaluate --weights FILE`: cost and report of given weights, a run's by the config that the run recorded."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nnexp import kernels
from nnexp.compose import compose, read_config, tracking_of
from nnexp.errors import ExitStatus
from nnexp.lookup import FoundSweep, Lookup
from nnexp.readers import ConfigError
from nnexp.rerun.rebuild import rebuild
from nnexp.rerun.source import RunSource, source_of
from nnexp.runs.directory import RECORD
from nnexp.tasks.interface import EvaluatedRun, Report
from nnexp.terminal import tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "--weights",
        required=True,
        metavar="FILE",
        help="a run (its directory, its id or a prefix of it), an .npz, or the exercise's ex4weights.mat "
        "(Theta1, ...); a run is evaluated on its held-out part, with its own config",
    )
    parser.add_argument("overrides", nargs="*", help="config overrides, such as data.test_size=0 model.l2=3")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print."""
    with tempfile.TemporaryDirectory() as scratch:
        report = evaluate(arguments.weights, arguments.overrides, Path(scratch))
    tell(json.dumps(report.as_dict()) if arguments.json else report.text())
    return ExitStatus.DONE


def evaluate(word: str, overrides: Sequence[str], scratch: Path) -> Report:
    """Judge the weights that a word names: a file that belongs to no run by today's config, a run by its own.

    Raises
    ------
    UsageError
        If there is nothing of that name, or it cannot be judged so.
    StoreError
        If only the store could know and it does not answer.
    """
    task, path = read_config(compose([])).task, Path(word)
    file = path / task.weights if path.is_dir() else path
    is_of_run = file.name == task.weights and (file.parent / RECORD).is_file()
    if file.is_file() and not is_of_run:
        config = read_config(compose(overrides))
        kernels.require(kernels.kernel_of(config.deciding()))
        return config.task.evaluate(file.resolve() if file.is_symlink() else file, config.of_task)
    if ("/" in word or "." in word) and not path.exists():
        raise ConfigError(f"--weights {word}: no such file")
    lookup = Lookup.of(tracking_of(overrides))
    found = lookup.find(str(path.parent) if is_of_run and path.is_file() else word)
    if isinstance(found, FoundSweep):
        raise ConfigError(f"--weights {word}: {found}; name one of its runs")
    return _evaluate_run(source_of(found, lookup.store, scratch), overrides)


def _evaluate_run(run: RunSource, overrides: Sequence[str]) -> Report:
    rebuilt = rebuild(run.config, overrides, name=run.name, data_path=run.data_path, is_own=run.is_own)
    config = rebuilt.config
    kernels.require(kernels.kernel_of(config.deciding()))
    evaluated = EvaluatedRun(
        name=str(run),
        status=run.status,
        recorded=rebuilt.before.of_task if rebuilt.before is not None else None,
        data_digest=run.data_digest,
        is_overridden=bool(overrides),
        has_other_data=rebuilt.other_data,
    )
    return config.task.evaluate(run.files.path / config.task.weights, config.of_task, evaluated)
