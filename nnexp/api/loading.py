"""What was made before: runs as objects and as a table, reports, and data sets as a run sees them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnexp import datasets
from nnexp.api.frame import frame_of, row_of, row_of_stored
from nnexp.api.result import Result
from nnexp.api.working import explained, refuse_flags, working
from nnexp.commands import report as command
from nnexp.compose import tracking_of
from nnexp.config import TrackingConfig
from nnexp.datasets import Dataset
from nnexp.lookup import Lookup
from nnexp.readers import ConfigError
from nnexp.runs.directory import run_directories

if TYPE_CHECKING:
    import pandas as pd

    from nnexp.report import ReportResult

CACHE = "data"  # the folder that conf/data/ names


def load_run(word: str, *overrides: str) -> Result:
    """The run that a word means, on this machine or in the store.

    Parameters
    ----------
    word
        Its id or a prefix of it, its directory, or the directory's name.
    *overrides
        Where to look, such as ``"tracking.directory=elsewhere"``.

    Raises
    ------
    ValueError
        If there is none, or more than one; the message is one line.
    nnexp.tracking.errors.StoreError
        If only the store could know and it does not answer.

    Examples
    --------
    >>> import nnexp
    >>> made = nnexp.run("experiment=smoke", "tracking=none")
    >>> nnexp.load_run(made.run_id).metrics == made.metrics
    True
    """
    tracking = _tracking(overrides)
    lookup = Lookup.of(tracking)
    return Result.of(lookup.run(str(word)), lookup.store)


def load_runs(
    *overrides: str, sweep: str | None = None, experiment: str | None = None, filter: str | None = None
) -> pd.DataFrame:
    """Runs as a table: one row a run.

    Parameters
    ----------
    *overrides
        Where to look, such as ``"tracking.directory=elsewhere"``.
    sweep
        The id of a sweep, or a prefix of it: the runs that stand for its jobs.
    experiment
        An MLflow experiment; default: that of the config. Without `sweep` and `filter`: all its runs.
    filter
        An MLflow filter, such as ``"params.`model.l2` = '1.0'"``.

    Returns
    -------
    DataFrame
        `run_id`, `name`, `status`, `message`, `sweep`, `path` (None where this machine does not have the directory),
        then every param under its dotted key, as its type, and the last value of every metric.

    Raises
    ------
    ValueError
        If there are no such runs; the message is one line.

    Examples
    --------
    >>> import nnexp
    >>> done = nnexp.sweep("experiment=smoke", "model.l2=0,1")
    >>> table = nnexp.load_runs(sweep=done.id)
    >>> table.groupby("model.l2")["accuracy/test"].count().tolist()
    [1, 1]
    """
    from nnexp.report.selection import Selection, find
    from nnexp.tracking.store import open_existing

    if sweep is not None and filter is not None:
        raise ConfigError(f"one of `sweep` and `filter` can be given, got {sweep!r} and {filter!r}")
    tracking = _tracking(overrides)
    if tracking.backend == "none":
        if experiment is not None or filter is not None:
            raise ConfigError("`experiment` and `filter` are of a store, and with tracking=none there is none")
        return frame_of([row_of(run) for run in _on_disk(tracking, sweep)])
    store = open_existing(tracking.uri, experiment or tracking.experiment)
    if sweep is not None:
        selection = Selection("sweep", sweep)
    else:
        selection = Selection("experiment") if filter is None else Selection("filter", filter)
    runs = find(store, selection, tracking.directory).runs
    return frame_of([row_of_stored(run) for run in runs])


def _on_disk(tracking: TrackingConfig, sweep: str | None) -> list[Result]:
    """The runs of the output directory, of a sweep or all."""
    found = [Result.in_directory(each.path) for each in run_directories(tracking.directory)]
    chosen = [result for result in found if sweep is None or (result.sweep or "").startswith(sweep)]
    if not chosen:
        raise ConfigError(f"there are no runs {f'of a sweep {sweep} ' if sweep else ''}under {tracking.directory}")
    return chosen


def _tracking(overrides: tuple[str, ...]) -> TrackingConfig:
    refuse_flags(overrides)
    with explained(overrides):
        return tracking_of(overrides)


def report(
    sweep: str | None = None,
    *overrides: str,
    experiment: str | None = None,
    filter: str | None = None,
    directory: str | Path | None = None,
    register: str | None = None,
    alias: str | None = None,
    reference: bool = False,
    evaluations: int | None = None,
    latex: bool = False,
) -> ReportResult:
    """Compare runs: tables, figures and one HTML page, as ``nnexp report`` does.

    Parameters
    ----------
    sweep
        The id of a sweep, or a prefix of it; default: the newest.
    *overrides
        Where to look, such as ``"tracking.directory=elsewhere"``.
    experiment
        An MLflow experiment; without a sweep and a filter: all its runs.
    filter
        An MLflow filter, such as ``"params.`model.l2` = '1.0'"``.
    directory
        The output folder; default: ``reports/`` in ``tracking.directory``.
    register, alias
        The name under which the best run's model is registered, and what that version is called (default: champion).
    reference, evaluations
        Whether to train the problems that methods are compared on for long, and for how many evaluations at most.
    latex
        Whether to write tables, figures and text for a paper too, in the folder ``latex`` beside the page.

    Returns
    -------
    ReportResult
        With the `path` of the page, `n_runs`, and the `sentences` that the page says first.

    Raises
    ------
    ValueError
        If there are no such runs; the message is one line.
    """
    with working(overrides):
        words = [*([sweep] if sweep else []), *overrides]
        folder = str(directory) if directory is not None else None
        return command.report(
            words,
            experiment=experiment,
            filter=filter,
            directory=folder,
            register=register,
            alias=alias,
            reference=reference,
            evaluations=evaluations,
            latex=latex,
        )


def load_dataset(name: str, /, **keys: Any) -> Dataset:
    """Load a data set by the keys of the config group ``data``.

    Parameters
    ----------
    name
        A kind of data set: ``"ex4"``, ``"digits"``, ``"breast_cancer"``, ``"wine"``, ``"iris"``, ``"mat"``, ``"csv"``,
        ``"openml"``; or the dotted path of a function of your own.
    **keys
        What that kind takes: ``path``, ``target``, ``groups``, ``openml_name``, ``options``, ... What is built or
        fetched is kept in the folder ``cache`` (``data`` unless another is given, None: nowhere), as for a run.

    Returns
    -------
    Dataset
        With ``X``, ``y`` and ``classes``; its ``split`` makes the parts of a run.

    Raises
    ------
    ValueError
        If a key is wrong; the message is one line.

    Examples
    --------
    >>> import nnexp
    >>> nnexp.load_dataset("digits").X.shape
    (1797, 64)
    """
    return datasets.load(name, **{"cache": CACHE, **keys})
