"""Publishing: bring a store up to date with a run directory.

One operation serves while the run trains, at its end and afterwards. It may be cut off anywhere and repeated any number
of times: the run is found by its own id, a metric keeps the time at which it was measured (the store holds equal values
once), artifacts have fixed names, and the model is made once. `published.json` only saves work; without it the store
comes out the same. A lock in the directory lets one process at a time publish it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock
from filelock import Timeout as LockTimeout

from nnexp import tasks
from nnexp.runs import arbitration, arithmetic, backlog
from nnexp.runs.arbitration import FencedError, UndecidedError
from nnexp.runs.directory import PUBLISHED, RunDirectory
from nnexp.runs.files import RecordError, read_arrays, tell_once
from nnexp.runs.history import HistoryReader, Value
from nnexp.runs.places import ledger_of, store_of
from nnexp.runs.records import RunRecord, RunResult, RunStatus
from nnexp.runs.tags import (
    CLAIM,
    COPIED_FROM,
    DIRECTORY,
    HEARTBEAT,
    HEARTBEAT_EVERY,
    OWNER,
    PARENT,
    STATUS_MESSAGE,
    SUPERSEDED,
    UID,
)
from nnexp.tasks.presentation import ServedModel
from nnexp.tracking import views
from nnexp.tracking.notes import NOTE, run_note
from nnexp.tracking.registry import publish_model
from nnexp.tracking.store import BID, HELD, Store, StoredRun, StoreError, absolute_uri, batches
from nnexp.tracking.store_arbiter import StoreBoard

METRICS_A_CALL, PARAMS_A_CALL = 1000, 100
UPLOADS = 4  # at a time
LOCK, LOCK_SECONDS = ".publishing.lock", 30.0
END_SECONDS = 5.0  # to wait for another run of the key that is being finished at the same time


class Publication:
    """One run directory in one store, and how far it has got there.

    Parameters
    ----------
    run_id
        The run in the store, where the caller knows it.
    is_copy
        Whether the store is another than the one that the run was made for: then the directory's own result and the
        ledger are left as they are, and the run is tagged with the id that it has at home.
    """

    def __init__(
        self, directory: RunDirectory, store: Store, run_id: str | None = None, *, is_copy: bool = False
    ) -> None:
        self.directory, self.store, self.is_copy = directory, store, is_copy
        known = self._known().get(store.uri, {})
        if known.get("experiment") != store.experiment:
            known = {}
        self.run_id: str | None = run_id or known.get("run_id")
        self.rows: int = known.get("rows", 0)
        self.complete: bool = known.get("complete", False)
        self._tags: dict[str, str] | None = None  # of the run in the store, once it has been looked at
        self._history = HistoryReader(directory.path)
        self._pending: list[Value] = []  # values that were read and are not in the store yet
        self._is_described = False
        self._uploaded: set[tuple[str, int, int]] = set()

    def _known(self) -> dict[str, Any]:
        try:
            return self.directory.read_json(PUBLISHED)
        except (OSError, ValueError):
            return {}

    def _remember(self) -> None:
        state = {
            "run_id": self.run_id,
            "experiment": self.store.experiment,
            "rows": self.rows,
            "complete": self.complete,
            "address": self.store.address(self.run_id) if self.complete else None,
        }
        with suppress(OSError):  # on a full disk the store is all the more welcome
            self.directory.write_json(PUBLISHED, self._known() | {self.store.uri: state})

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            with FileLock(self.directory.path / LOCK, timeout=LOCK_SECONDS):
                yield
        except LockTimeout:
            raise StoreError("another process is publishing it") from None

    def advance(self, *, to_the_end: bool = True) -> bool:
        """Publish all that is new; say whether the run is ended and complete in the store.

        Parameters
        ----------
        to_the_end
            Publish the end of a run that has ended; otherwise only its history.

        Raises
        ------
        StoreError
            Where the store cannot be used, or another process does not stop publishing the run.
        """
        _ = self.directory.record  # one that is gone is not made again for its lock
        with self._alone():
            try:
                return self._advance(to_the_end)
            except Exception:
                self._tags = None  # look at the run again the next time: it may have been deleted
                raise

    def _advance(self, to_the_end: bool) -> bool:
        record, result = self.directory.record, self.directory.result
        run_id = self.ensure_run(record)
        if self.complete:
            self._leave_ledger()  # where the process that completed it was killed before it did
            return True
        self._hold(run_id)
        self._describe(run_id, record)
        self._publish_history(run_id)
        if result is not None and to_the_end:
            self._publish_end(run_id, record, result)
        return self.complete

    def close_vanished(self, reason: str) -> None:
        """Give the run in the store a true status, once its directory is gone; what the store has of it stays."""
        run = self.store.get(self.run_id) if self.run_id and not self.complete else None
        if run is not None and run.status == "RUNNING":
            self.store.terminate(run.run_id, "KILLED", message=reason)

    def reopen(self) -> None:
        """Have the end of the run published again, because something was added to it."""
        self.complete = False
        self._remember()
        self._enter_ledger(self.directory.record)

    # The run itself.

    def ensure_run(self, record: RunRecord, claim: str | None = None) -> str:
        """The id of the run in the store, which is made where it is missing."""
        if self.run_id is not None and self._tags is None:
            self._look_at(self.store.get(self.run_id))
        if self.run_id is None:
            found = self.store.find_uid(record.uid)
            if found is None:
                self._tags = self._first_tags(record, claim)
                views.keep_default(self.store, tasks.recorded(record.task).presentation)
                self.run_id = self.store.create(record.name, record.started, self._tags)
            else:
                self.run_id, self._tags = found.run_id, found.tags
            self._remember()
        return self.run_id

    def _look_at(self, run: StoredRun | None) -> None:
        """What was remembered holds only while the store still has the run."""
        if run is not None and (not run.deleted or self.complete):
            self._tags = run.tags
        else:
            self.run_id, self.rows, self.complete = None, 0, False
            self._pending, self._history = [], HistoryReader(self.directory.path)

    def _first_tags(self, record: RunRecord, claim: str | None) -> dict[str, str]:
        tags = {
            **record.tags,
            DIRECTORY: str(self.directory.path),
            UID: record.uid,
            OWNER: record.owner,
            HEARTBEAT: f"{time.time():.1f}",
            HEARTBEAT_EVERY: str(record.heartbeat),
            **_note(record, None),
            **self._parent(record),
        }
        if claim:
            tags[CLAIM] = claim
        if self.is_copy and (origin := self._origin(record)):
            tags[COPIED_FROM] = origin
        return tags

    def _parent(self, record: RunRecord) -> dict[str, str]:
        sweep = record.sweep
        parent = self.store.find_uid(sweep_uid(sweep)) if sweep else None
        return {PARENT: parent.run_id} if parent else {}

    def _origin(self, record: RunRecord) -> str | None:
        """The id of the run in the store that it was made for, if it ever got there."""
        home = store_of(self.directory)
        known = self._known().get(absolute_uri(home), {}) if home else {}
        result = self.directory.result
        ids = (known.get("run_id"), result.run_id if result else None)
        return next((run_id for run_id in ids if run_id and run_id != record.uid), None)

    def _hold(self, run_id: str) -> None:
        """A run that is trained is nobody's undecided bid any more."""
        assert self._tags is not None
        if self._tags.get(CLAIM) == BID:
            self.store.tag(run_id, {CLAIM: HELD})
            self._tags[CLAIM] = HELD

    # What there is to say of it.

    def _describe(self, run_id: str, record: RunRecord) -> None:
        """Params and data set."""
        if self._is_described:
            return
        client = self.store.client
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        params = [Param(*item) for item in params_of(record).items()]
        for chunk in batches(params, PARAMS_A_CALL):
            client.log_batch(run_id, params=chunk)
        if record.details.get("dataset"):
            data = DatasetInput(
                Dataset(**record.details["dataset"]), tags=[InputTag("mlflow.data.context", "training")]
            )
            client.log_inputs(run_id, datasets=[data])
        self._is_described = True

    def _publish_history(self, run_id: str) -> None:
        values, read = self._history.new_values(skip=self.rows)
        self._pending += values
        if self._pending:
            self._log_metrics(run_id, self._pending)
            self.rows, self._pending = read, []
            self._remember()

    def _log_metrics(self, run_id: str, values: Iterable[Value]) -> None:
        client = self.store.client
        from mlflow.entities import Metric

        for chunk in batches([Metric(v.key, v.value, int(v.time * 1000), v.step) for v in values], METRICS_A_CALL):
            client.log_batch(run_id, metrics=chunk)

    def _publish_end(self, run_id: str, record: RunRecord, result: RunResult) -> None:
        finals = [Value(result.step, key, float(value), result.ended) for key, value in result.final_metrics.items()]
        self._log_metrics(run_id, finals)
        if not self.is_copy and result.run_id != run_id:
            self.directory.amend_result(run_id=run_id)
        assert self._tags is not None
        parent = {} if PARENT in self._tags else self._parent(record)
        note = _note(record, result, run_id)
        self.store.tag(run_id, {**note, **result.tags, **parent})
        self._upload(run_id)
        if served := self._served(record):
            values, _ = HistoryReader(self.directory.path).new_values()
            last = {value.key: value for value in [*values, *finals]}
            params, values = params_of(record), list(last.values())
            publish_model(self.store, self.directory, served, run_id, params, values, result.step)
        self._drop_doubles(run_id, record.uid)
        self._end(run_id, record, result)
        if _is_to_be_described(result):
            return  # its figures could not be made; they may be, later
        self.complete = True
        self._remember()
        self._leave_ledger()

    def _leave_ledger(self) -> None:
        if not self.is_copy and (entered := ledger_of(self.directory)) is not None:
            backlog.leave(entered, self.directory)

    def _served(self, record: RunRecord) -> ServedModel | None:
        """The model that MLflow can serve; damaged weights are told, and no model is made of them."""
        served = tasks.recorded(record.task).presentation.model(record)
        try:
            return served if served is not None and read_arrays(self.directory.path / served.file) else None
        except FileNotFoundError:
            return None
        except RecordError as error:
            tell_once(f"{error}; published without a model")
            return None

    def _end(self, run_id: str, record: RunRecord, result: RunResult) -> None:
        """Give the run its status; where another run of its key is finished already, it ends as superseded by that."""
        if not result.is_finished or not self._is_the_only_one(record):
            self.store.terminate(run_id, str(result.status), result.ended)
            return
        resume, tags = record.tracking.resume, record.tags
        board = StoreBoard(
            self.store,
            record.run_key or "",
            record.uid,
            me=run_id,
            end=result.ended,
            stands=lambda run: arithmetic.stands(resume, run.tags, tags),
        )
        try:
            other = arbitration.end(board, patience=END_SECONDS)
        except (UndecidedError, FencedError) as error:
            raise StoreError(str(error)) from error
        if other is None:
            return
        message = f"superseded by run {other}"
        tags = {STATUS_MESSAGE: message}
        result = self.directory.amend_result(status=RunStatus.KILLED, message=message, superseded_by=other, tags=tags)
        self.store.tag(run_id, {CLAIM: SUPERSEDED, **_note(record, result, run_id), **tags})
        self._upload(run_id)  # the result, which is another now
        self.store.terminate(run_id, "KILLED", result.ended)

    def _is_the_only_one(self, record: RunRecord) -> bool:
        """Whether the run is a job of a sweep that is done once, and not a repetition that somebody has asked for."""
        tracking = record.tracking
        return bool(tracking.sweep) and bool(tracking.resume) and not self.is_copy

    def _enter_ledger(self, record: RunRecord) -> None:
        if not self.is_copy and (entered := ledger_of(self.directory)) is not None:
            backlog.enter(entered, self.directory)

    def _upload(self, run_id: str) -> None:
        """Every artifact, but none twice in this process; to a server a few at a time."""
        client = self.store.client
        self.store.remove_half_uploads(run_id)

        def upload(path: Path) -> None:
            stat = path.stat()
            seen = (str(path), stat.st_size, stat.st_mtime_ns)
            if seen not in self._uploaded:
                folder = path.parent.relative_to(self.directory.path).as_posix()
                client.log_artifact(run_id, str(path), artifact_path=None if folder == "." else folder)
                self._uploaded.add(seen)

        with ThreadPoolExecutor(UPLOADS if self.store.is_server else 1) as pool:
            for _ in pool.map(upload, self.directory.artifacts()):
                pass

    def _drop_doubles(self, run_id: str, uid: str) -> None:
        """Delete what a request that was sent twice made: runs of the same id that nobody ever filled."""
        if self.store.is_server:
            for run in self.store.tagged(UID, uid):
                if run.run_id != run_id and run.status == "RUNNING" and not run.metrics:
                    self.store.client.delete_run(run.run_id)


def params_of(record: RunRecord) -> dict[str, str]:
    """The params of a run as text."""
    return {
        key: json.dumps(value) if isinstance(value, list | dict) else str(value) for key, value in record.params.items()
    }


def _is_to_be_described(result: RunResult) -> bool:
    """Whether its reports and figures are still to be made; of a run that has nothing to show none are."""
    has_weights = "saved" in result.values or "theta_digest" in result.values
    return has_weights and not (result.described or result.not_described)


def _note(record: RunRecord, result: RunResult | None, run_id: str | None = None) -> dict[str, str]:
    """The note for the UI; a record of another version that it cannot be made of is published without."""
    try:
        return {NOTE: run_note(tasks.recorded(record.task).presentation, record, result, run_id)}
    except (KeyError, TypeError, ValueError):
        return {}


def sweep_uid(sweep: str) -> str:
    """The own id of the parent run of a sweep."""
    return f"sweep-{sweep}"
