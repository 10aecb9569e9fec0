"""The tidy table: one row a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pandas as pd

from nnexp.comparison.grouping import COUNTED, TASK
from nnexp.comparison.settings import Column, Frame
from nnexp.runs import provenance
from nnexp.runs.tags import CODE_DIGEST, DATA_DIGEST, RUN_KEY, STATUS_MESSAGE, SWEEP
from nnexp.runs.tags import TASK as TASK_TAG
from nnexp.tasks import NETWORK, recorded
from nnexp.terminal import visible
from nnexp.tracking.stored_run import StoredRun

ABOUT = ("run_id", "name", "status", "message", "sweep", "run_key", "data_digest", "code_digest", "started", "seconds")
ABOUT += ("arithmetic", TASK)
OWN, DIGEST = "nnexp.", "_digest"  # tags that begin and end so are digests
FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")  # the last four: full width
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
T = TypeVar("T")
LARGEST_EXACT = 2**53  # up to which a float holds every whole number


def tidy(runs: Sequence[StoredRun]) -> Frame:
    """Runs as a table.

    Parameters
    ----------
    runs : sequence of StoredRun

    Returns
    -------
    DataFrame
        Indexed 0, 1, ...; the columns `ABOUT` (`started` in UTC, `seconds` from start to end), the digests of what was
        trained, `counted`, then every param and every final metric under its own key. `counted` is true for the
        finished runs of nnexp, of those with an equal `run_key` for the newest alone: they are one setting and one
        seed, whether their digests are equal or rounding drew them apart.
    """
    about = pd.DataFrame([_about(run) for run in runs])
    counted = (about["status"] == "FINISHED") & about["run_key"].notna() & ~repeats(about)
    params = _completed(pd.DataFrame([run.params for run in runs], index=about.index), about[TASK]).apply(as_numbers)
    metrics = pd.DataFrame([run.metrics for run in runs], index=about.index, dtype=float)
    return pd.concat([about, counted.rename(COUNTED), params, metrics], axis=1)


def _completed(params: Frame, task: Column) -> Frame:
    """Params with those that runs of older versions lack: what these did is no other setting than the same today."""
    for name in task.unique():
        of_task = (task == name) & params.notna().any(axis=1)
        for key, value in recorded(name).added.items():
            if key in params:
                params.loc[of_task & params[key].isna(), key] = str(value)
    return params


def param_keys(frame: Frame, runs: Sequence[StoredRun]) -> list[str]:
    """The columns of a tidy table that are params."""
    known = {key for run in runs for key in run.params}
    return [key for key in frame.columns if key in known]


def metric_keys(frame: Frame, runs: Sequence[StoredRun]) -> list[str]:
    """The columns of a tidy table that are final metrics."""
    known = {key for run in runs for key in run.metrics}
    return [key for key in frame.columns if key in known]


def digest_columns(frame: Frame) -> list[str]:
    """The columns that tell whether two runs have the same numbers to the last bit."""
    return [key for key in frame.columns if key.endswith(DIGEST) and key not in ABOUT]


def write(frame: Frame, folder: Path) -> list[Path]:
    """Write the table as `runs.csv` and `runs.parquet`; the first commands neither a spreadsheet nor a terminal."""
    paths = [folder / "runs.csv", folder / "runs.parquet"]
    frame.map(as_cell).rename(columns=as_cell).to_csv(paths[0], index=False)
    frame.to_parquet(paths[1], index=False)
    return paths


def as_cell(value: T) -> T | str:
    """A cell of a CSV file; a text that a spreadsheet would compute begins with an apostrophe, which makes it text.

    What a terminal would obey is an escape, as in messages.

    The characters are those of OWASP, "CSV Injection". A text that is a number, as in a column of texts and numbers,
    stays as it is. A carriage return, which Python's writer does not quote and which would begin a row, is a new line.
    """
    if not isinstance(value, str):
        return value
    text = visible(value.replace("\r\n", "\n").replace("\r", "\n"))
    is_formula = text.startswith(FORMULA_BEGINS) and not NUMBER.fullmatch(text)
    return f"'{text}" if is_formula else text


def as_numbers(column: Column) -> Column:
    """A column of texts as numbers where all of them are; whole numbers stay whole."""
    numbers: Column = pd.to_numeric(column, errors="coerce")
    if numbers.isna().ne(column.isna()).any() or numbers.isna().all():
        return column
    # Any large float is whole, but no int64 holds 1e300, a learning rate that diverges.
    if (numbers.dropna() % 1 == 0).all() and (numbers.dropna().abs() <= LARGEST_EXACT).all():
        return numbers.astype("Int64")
    return numbers


def _about(run: StoredRun) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "name": run.name,
        "status": run.status,
        "message": run.tags.get(STATUS_MESSAGE, ""),
        "sweep": run.tags.get(SWEEP),
        "run_key": run.tags.get(RUN_KEY),
        "data_digest": run.tags.get(DATA_DIGEST),
        "code_digest": run.tags.get(CODE_DIGEST),
        "started": pd.Timestamp(run.start, unit="s", tz="UTC").floor("ms"),
        "seconds": run.end - run.start if run.end else float("nan"),
        "arithmetic": provenance.arithmetic_text(run.tags),
        TASK: run.tags.get(TASK_TAG, NETWORK),
        **{
            key.removeprefix(OWN): value
            for key, value in run.tags.items()
            if key.startswith(OWN) and key.endswith(DIGEST)
        },
    }


def repeats(about: Frame) -> Column:
    """Finished runs that a newer finished one of the same key stands for."""
    keys = about["run_key"].where(about["status"] == "FINISHED")
    newest_last = about.sort_values("started", kind="stable").index
    return (keys.notna() & keys.loc[newest_last].duplicated(keep="last").loc[about.index]).astype(bool)
