"""What a run does, behind one small interface (:mod:`nnexp.tasks.interface`): tasks by their names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from nnexp.own import of_records
from nnexp.readers import ConfigError
from nnexp.runs.directory import RunDirectory
from nnexp.runs.records import NETWORK, RunResult, RunStatus
from nnexp.runs.tags import STATUS_MESSAGE
from nnexp.tasks.interface import Task

GROUPS = ("data", "model", "optimizer", "training")  # of the network; composed for every task, read by that one


def find(name: str) -> Task[Any]:
    """The task of a name: the built-in network, or a function or task by its dotted path.

    Raises
    ------
    nnexp.readers.ConfigError
        If there is none.
    """
    if name == NETWORK:
        return _network()
    from nnexp.tasks.function import load

    return load(name)


@cache
def _network() -> Task[Any]:
    from nnexp.tasks.network.task import Network

    return Network()


def recorded(name: str) -> Task[Any]:
    """The task of a run that was made; a user's own that cannot be imported here is known by its name alone.

    What it logged and saved is published, shown and compared all the same.
    """
    try:
        with of_records():
            return find(name)
    except ConfigError:
        task: Task[Any] = Task()
        task.name = name
        return task


def together(several: Sequence[Task[Any]]) -> Task[Any]:
    """One task for what is told of runs of several: it knows the metrics of each, and an objective that all have."""
    task: Task[Any] = Task()
    task.name = ", ".join(each.name for each in several)
    task.metrics = {key: spec for each in several for key, spec in each.metrics.items()}
    objectives = {each.objective for each in several}
    task.objective = objectives.pop() if len(objectives) == 1 else None
    return task


def cut_off(directory: RunDirectory, status: RunStatus, message: str, ended: float | None = None) -> RunResult:
    """The result of a run that did not come to its own end, by what it had logged; `ended`: when, if not then."""
    record = directory.record
    last = {key: value for row in directory.history() for key, value in row.items()}
    return RunResult(
        run_id=record.uid,
        status=status,
        message=message,
        ended=last.get("time", record.started) if ended is None else ended,
        step=int(last.get("step", 0)),
        tags={STATUS_MESSAGE: message},
        values=recorded(record.task).counters(last),
    )


def prepare_to_describe(directory: RunDirectory) -> None:
    """Have the task of a run that trains import and load what describing it will need."""
    recorded(directory.record.task).prepare_to_describe(directory)


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
    described = recorded(directory.record.task).describe(directory)
    return directory.amend_result(final_metrics=described.metrics, tags=described.tags, described=True)
