"""Several calls of MLflow's client as one transaction of the database.

MLflow opens a session for each call, for some several, and commits each: publishing a run of a second would be some
twenty commits, each of which waits for the disk. Within :func:`one_transaction` all calls of this thread share one
session, which is committed at the end, or not at all. It knows one thing of MLflow's store, the function that gives a
session; where that is missing, as in a store behind a server, each call is by itself as ever. The values of a run are
many, and so they are inserted here (:func:`insert_values`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

SESSIONS = "ManagedSessionMaker"
COLUMNS = {"run_uuid", "key", "value", "timestamp", "step", "is_nan"}  # of the values, as far as it is known here

T = TypeVar("T")
Stage = tuple[str, int | None]  # status and end of a run, in milliseconds
Sessions = Callable[..., AbstractContextManager[Any]]
_shared = threading.local()  # the session of this thread's transaction, by the id of its store
_patching = threading.Lock()


class BrokenTransactionError(RuntimeError):
    """A part of a transaction failed and wanted to go on without it."""


class _Part:
    """The shared session as a call of the client sees it, which can neither commit it nor go on without it."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def commit(self) -> None:
        self._session.flush()

    def rollback(self) -> None:
        raise BrokenTransactionError("a part of it has failed")


def together(client: Any, work: Callable[[], T], again: Callable[[], T] | None = None) -> T:
    """Do work as one transaction where there can be one, and where that fails, `again` (default: it), call by call.

    For MLflow's own way out of some errors, such as a value that is there already, is a transaction by itself.
    """
    is_one = False
    try:
        with one_transaction(client) as is_one:
            return work()
    except Exception:
        if not is_one:
            raise
    return (again or work)()


@contextmanager
def one_transaction(client: Any) -> Iterator[bool]:
    """Make the calls of an MLflow client within it one transaction, where it works on a database; says whether it does.

    Raises
    ------
    Exception
        What a call raises, or MLflow's error for it; then nothing of the transaction has happened.
    """
    store = getattr(getattr(client, "_tracking_client", None), "store", None)
    sessions = _sharing(store)
    if sessions is None or _session_of(store) is not None:
        yield sessions is not None
        return
    with sessions(read_only=False) as session:
        _shared.by_store = {id(store): session}
        try:
            yield True
        finally:
            _shared.by_store = {}


def runs_tagged(client: Any, key: str, value: str) -> set[str] | None:
    """The ids of all runs with a tag, of every experiment and deleted ones too; None where it is not a database.

    MLflow's search takes ten times as long, and most claims are for jobs that nobody else has.
    """
    sessions = getattr(getattr(getattr(client, "_tracking_client", None), "store", None), SESSIONS, None)
    if sessions is None:
        return None
    from mlflow.store.tracking.dbmodels.models import SqlTag

    with sessions() as session:
        return {run_id for (run_id,) in session.query(SqlTag.run_uuid).filter(SqlTag.key == key, SqlTag.value == value)}


def stages_of_runs(client: Any, experiment_id: str, key: str, value: str, after: int) -> dict[str, Stage] | None:
    """Status and end of the runs with a tag that are open or ended after a moment, in milliseconds, by their ids.

    None where it is not a database. MLflow's search reads all that the runs have logged.
    """
    sessions = getattr(getattr(getattr(client, "_tracking_client", None), "store", None), SESSIONS, None)
    if sessions is None:
        return None
    from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag

    with sessions() as session:
        found = (
            session.query(SqlRun.run_uuid, SqlRun.status, SqlRun.end_time)
            .join(SqlTag)
            .filter(
                SqlTag.key == key,
                SqlTag.value == value,
                SqlRun.experiment_id == experiment_id,
                SqlRun.lifecycle_stage == "active",
                (SqlRun.status == "RUNNING") | (SqlRun.end_time > after),
            )
        )
        return {run_id: (status, end) for run_id, status, end in found}


def insert_values(client: Any, run_id: str, metrics: Sequence[Any]) -> Sequence[Any]:
    """Insert values of a run, of which the store has none, in one statement; gives those that are left for MLflow.

    It makes an object of each value, and looks at it several times, which takes most of the time of publishing a run.
    Left are the last value of each key, which is in other tables too, and all of them outside of a transaction.
    """
    store: Any = getattr(getattr(client, "_tracking_client", None), "store", None)
    session = _session_of(store)
    if session is None:
        return metrics
    from mlflow.store.tracking.dbmodels.models import SqlMetric

    table = SqlMetric.__table__
    if set(table.columns.keys()) != COLUMNS:
        return metrics
    last = {metric.key: _moment(metric) for metric in sorted(metrics, key=_moment)}
    left, rows = list[Any](), dict[Any, dict[str, Any]]()
    for metric in metrics:
        if metric.model_id is not None or _moment(metric) == last[metric.key]:
            left.append(metric)
            continue
        is_nan, value = store.sanitize_metric_value(metric.value)
        row = metric.key, value, metric.timestamp, metric.step, is_nan
        rows[row] = dict(zip(("key", "value", "timestamp", "step", "is_nan"), row, strict=True), run_uuid=run_id)
    if rows:
        session.execute(table.insert(), list(rows.values()))
    return left


def _moment(metric: Any) -> tuple[int, int]:
    return metric.step, metric.timestamp


def _session_of(store: Any) -> Any:
    return getattr(_shared, "by_store", {}).get(id(store))


def _sharing(store: Any) -> Sessions | None:
    """What gives sessions of a database, once it gives the shared one to who is in a transaction."""
    with _patching:
        sessions = getattr(store, SESSIONS, None)
        if sessions is None or hasattr(sessions, "plain"):
            return getattr(sessions, "plain", None)

        def shared(*arguments: Any, **named: Any) -> AbstractContextManager[Any]:
            session = _session_of(store)
            return sessions(*arguments, **named) if session is None else nullcontext(_Part(session))

        shared.plain = sessions
        setattr(store, SESSIONS, shared)
        return sessions
