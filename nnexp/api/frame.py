"""Runs as a tidy table: one row a run, its params and metrics under their own keys."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnexp.api.result import Result
from nnexp.runs import places
from nnexp.runs.directory import RunDirectory
from nnexp.runs.tags import DIRECTORY, STATUS_MESSAGE, SWEEP, UID
from nnexp.tracking.stored_run import StoredRun

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Row:
    """A run in the table. `path` is None where this machine does not have its directory."""

    run_id: str
    name: str
    status: str
    message: str
    sweep: str | None
    path: str | None
    params: Mapping[str, Any]
    metrics: Mapping[str, float]


def row_of(result: Result) -> Row:
    """A run of this machine."""
    return Row(
        result.run_id,
        result.name,
        str(result.status),
        result.message,
        result.sweep,
        str(result.path),
        result.params,
        result.metrics,
    )


def row_of_stored(run: StoredRun) -> Row:
    """A run of the store, which has params as texts."""
    place = RunDirectory(run.tags.get(DIRECTORY, ""))
    is_here = DIRECTORY in run.tags and places.is_here(place, run.tags.get(UID, ""))
    return Row(
        run.run_id,
        run.name,
        run.status,
        run.tags.get(STATUS_MESSAGE, ""),
        run.tags.get(SWEEP),
        str(place.path) if is_here else None,
        {key: typed(value) for key, value in run.params.items()},
        run.metrics,
    )


def typed(text: str) -> Any:
    """A param of the store as the value whose text it is: a number, a truth, None or a list; else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # as its documentation lists them
        return text


def frame_of(rows: Sequence[Row]) -> pd.DataFrame:
    """The table: `run_id`, `name`, `status`, `message`, `sweep`, `path`, then every param and every metric."""
    import pandas as pd

    about = pd.DataFrame(
        [(row.run_id, row.name, row.status, row.message, row.sweep, row.path) for row in rows],
        columns=["run_id", "name", "status", "message", "sweep", "path"],
    )
    params = pd.DataFrame([dict(row.params) for row in rows], index=about.index)
    metrics = pd.DataFrame([dict(row.metrics) for row in rows], index=about.index, dtype=float)
    return pd.concat([about, params, metrics], axis=1)
