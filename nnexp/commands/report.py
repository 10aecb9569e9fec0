"""`nnexp report`: compare the runs of a sweep, an experiment or a filter."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nnexp.errors import UsageError
from nnexp.terminal import tell

if TYPE_CHECKING:
    from nnexp.report import ReportResult, Selection


EVALUATIONS, REFERENCES = 5000, "references"  # of a reference run, and the folder of those that were made


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
    parser.add_argument("--register", metavar="NAME", help="register the best run's model under this name")
    parser.add_argument("--alias", metavar="ALIAS", help="what that version is called; default: champion")
    parser.add_argument(
        "--reference",
        action="store_true",
        help="first train each problem that methods are compared on for long, to know the lowest cost that it has; "
        "kept in references/ in tracking.directory, so that no reference is trained twice",
    )
    parser.add_argument(
        "--evaluations",
        metavar="N",
        type=int,
        help=f"evaluations of a reference run at most; default: {EVALUATIONS:,}",
    )
    parser.add_argument("--latex", action="store_true", help="also write latex/: tables, figures and text for a paper")
    parser.add_argument("--directory", metavar="OUT", help="the output folder; default: reports/ in tracking.directory")


def run(arguments: argparse.Namespace) -> int:
    """Make the report and print where it is."""
    result = report(
        arguments.words,
        experiment=arguments.experiment,
        filter=arguments.filter,
        directory=arguments.directory,
        register=arguments.register,
        alias=arguments.alias,
        reference=arguments.reference,
        evaluations=arguments.evaluations,
        latex=arguments.latex,
    )
    if arguments.json:
        told = {"path": str(result.path), "n_runs": result.n_runs}
        if result.latex is not None:
            told["latex"] = str(result.latex)
        if result.registered is not None:
            told["registered"] = result.registered.to_json()
        print(json.dumps(told))
    else:
        tell("\n".join(result.sentences))
        if result.registered is not None:
            tell(f"{result.registered}.")
        if result.latex is not None:
            tell(os.path.relpath(result.latex))
        tell(os.path.relpath(result.path))
    return 0


def report(
    words: Sequence[str],
    *,
    experiment: str | None = None,
    filter: str | None = None,
    directory: str | None = None,
    register: str | None = None,
    alias: str | None = None,
    reference: bool = False,
    evaluations: int | None = None,
    latex: bool = False,
) -> ReportResult:
    """Find the runs and write their report; it goes to a folder named after what was found, unless one is given.

    Parameters
    ----------
    words
        The id of a sweep, if one is meant, and config overrides.
    register, alias
        The name under which the best run's model is registered, and what that version is called (default: champion).
        What is in the way of that is told before any work.
    reference, evaluations
        Whether to train the problems that methods are compared on for long, and for how many evaluations at most.
    latex
        Whether to write tables, figures and text for a paper too.
    """
    from nnexp.comparison.spec import References
    from nnexp.compose import compose, read_config
    from nnexp.report.best import best_run
    from nnexp.report.files import RunFiles
    from nnexp.report.make import write_report
    from nnexp.report.selection import find
    from nnexp.tracking import registry
    from nnexp.tracking.store import open_existing

    config = read_config(compose([word for word in words if "=" in word]))
    tracking = config.tracking
    if evaluations is not None and not reference:
        raise UsageError("--evaluations is of the runs that --reference makes; --reference is missing")
    if evaluations is not None and evaluations < 1:
        raise UsageError(f"`--evaluations` must be >= 1, got {evaluations}")
    wanted = References(Path(tracking.directory) / REFERENCES, evaluations or EVALUATIONS) if reference else None
    selection = select([word for word in words if "=" not in word], experiment, filter)
    if register is not None:
        registry.check_names(register, alias := registry.ALIAS if alias is None else alias)
        if tracking.backend == "none":
            raise UsageError("--register: tracking=none has no store in which a model could be registered")
    elif alias is not None:
        raise UsageError("--alias names a version that --register NAME makes; --register is missing")
    store = open_existing(tracking.uri, experiment or tracking.experiment)
    found = find(store, selection, tracking.directory)
    best = best_run(found) if register is not None else None
    model = registry.model_of(store, best.run) if best is not None else ""
    folder = Path(directory or Path(tracking.directory) / "reports" / found.name)
    result = write_report(found, RunFiles(store), folder, config.figures, config.margin, wanted, with_latex=latex)
    if register is None or alias is None or best is None:
        return result
    return replace(result, registered=registry.register(store, best.run, model, register, alias, best.about))


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
