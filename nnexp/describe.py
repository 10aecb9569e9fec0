"""From an ended run's directory to all that people look at in it, in whatever process and however often."""

from __future__ import annotations

from nnexp import tasks
from nnexp.runs.directory import RunDirectory
from nnexp.runs.records import RunResult


def describe(directory: RunDirectory) -> RunResult:
    """Make the table of the history, and what the task of an ended run draws and writes; return the result, completed.

    Raises
    ------
    ValueError
        If the run has not ended, or cannot be described any more: nothing false is drawn.
    """
    result = directory.result
    if result is None:
        raise ValueError(f"{directory.path} has not ended")
    if result.described:
        return result
    directory.write_history_table()
    described = tasks.recorded(directory.record.task).describe(directory)
    return directory.amend_result(final_metrics=described.metrics, tags=described.tags, described=True)
