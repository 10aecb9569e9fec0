"""Publishing: bring a store up to date with a run directory.

One operation serves while the run trains, at its end and afterwards. It may be cut off anywhere and repeated any number
of times: the run is found by its own id, a metric keeps the time at which it was measured (the store holds equal values
once), artifacts have fixed names, and the model is made once. `published.json` only saves work; without it the store
comes out the same. A lock in the directory lets one process at a time publish it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock
from filelock import Timeout as LockTimeout

from nnexp import tasks
from nnexp.errors import one_line
from nnexp.runs import backlog
from nnexp.runs.arbitration import Claim, ClaimState
from nnexp.runs.directory import PUBLISHED, SOURCES, RunDirectory
from nnexp.runs.files import RecordError, read_arrays, tell_once
from nnexp.runs.history import SYSTEM, HistoryReader, Value, columns_of, rows_of
from nnexp.runs.places import root_of, store_of
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
from nnexp.tracking import store_arbiter, views
from nnexp.tracking.models import publish_model, trained_model
from nnexp.tracking.notes import NOTE, run_note
from nnexp.tracking.store import Store, StoredRun, StoreError, absolute_uri
from nnexp.tracking.uploads import Artifacts, log_inputs, log_values, params_of

LOCK, LOCK_SECONDS = ".publishing.lock", 30.0


class Publication:
    """One run directory in one store, and how far it has got there.

    Parameters
    ----------
    run_id
        The run in the store, where the caller knows it.
    is_copy
        Whether the store is another than the one that the run was made for: then the directory's own result and the
        backlog are left as they are, and the run is tagged with the id that it has at home.
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
        self._history, self._system = HistoryReader(directory.path), HistoryReader(directory.path, (SYSTEM,))
        self._pending: list[Value] = []  # values that were read and are not in the store yet
        self._has_inputs = False
        self._artifacts = Artifacts(store, directory)

    def claim(self, close: store_arbiter.Close) -> Claim:
        """Try to get the job of the run's key in this store, for the run of this directory.

        Raises
        ------
        StoreError
            If another claimant neither decides nor dies.
        """
        record = self.directory.record
        create = lambda state: self.ensure_run(record, state)  # noqa: E731
        return store_arbiter.claim(self.store, record, create=create, close=close)

    def advance(self, *, to_the_end: bool = True) -> bool:
        """Publish all that is new; say whether the run is ended and complete in the store.

        Parameters
        ----------
        to_the_end
            Publish the end of a run that has ended; otherwise only its history.

        Raises
        ------
        StoreError
            If the store cannot be used, or another process does not stop publishing the run.
        """
        _ = self.directory.record  # one that is gone is not made again for its lock
        with self._alone():
            try:
                return self._advance(to_the_end)
            except Exception:
                # Somebody may have deleted the run, which MLflow tells by errors that say all kinds of things. So
                # whatever it was, the run is looked at before the next attempt, and made anew where it is gone.
                self._tags = None
                raise

    def close_vanished(self, reason: str) -> None:
        """Give the run in the store a true status, once its directory is gone; what the store has of it stays."""
        run = self.store.get(self.run_id) if self.run_id and not self.complete else None
        if run is not None and run.status == RunStatus.RUNNING:
            self.store.terminate(run.run_id, RunStatus.KILLED, message=reason)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            with FileLock(self.directory.path / LOCK, timeout=LOCK_SECONDS):
                yield
        except LockTimeout:
            raise StoreError("another process is publishing it") from None

    def _advance(self, to_the_end: bool) -> bool:
        record, result = self.directory.record, self.directory.result
        run_id = self.ensure_run(record)
        if self.complete:
            self._leave_backlog()  # where the process that completed it was killed before it did
            return True
        if self._run_tags.get(CLAIM) == ClaimState.BID:
            self._tag(run_id, {CLAIM: ClaimState.HELD.value})  # one that is trained is nobody's undecided bid any more
        if not self._has_inputs:
            log_inputs(self.store, run_id, record)
            self._has_inputs = True
        self._publish_history(run_id)
        if result is not None and to_the_end:
            self._publish_end(run_id, record, result)
        return self.complete

    # The run in the store.

    def ensure_run(self, record: RunRecord, claim: ClaimState | None = None) -> str:
        """The id of the run in the store, which is made where it is missing."""
        if self.run_id is not None and self._tags is None:
            self._check_known(self.store.get(self.run_id))
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

    def _check_known(self, run: StoredRun | None) -> None:
        """What was remembered holds only while the store still has the run; a whole one that was deleted stays so."""
        if run is not None and (not run.deleted or self.complete):
            self._tags = run.tags
        else:
            self.run_id, self.rows, self.complete = None, 0, False
            self._pending, self._has_inputs = [], False
            self._history = HistoryReader(self.directory.path)
            self._system = HistoryReader(self.directory.path, (SYSTEM,))

    def _first_tags(self, record: RunRecord, claim: ClaimState | None) -> dict[str, str]:
        origin = self._origin(record) if self.is_copy else None
        return {
            **record.tags,
            DIRECTORY: str(self.directory.path),
            UID: record.uid,
            OWNER: record.owner,
            HEARTBEAT: f"{time.time():.1f}",
            HEARTBEAT_EVERY: str(record.heartbeat),
            **_note(record, None),
            **self._parent(record),
            **({CLAIM: claim.value} if claim is not None else {}),
            **({COPIED_FROM: origin} if origin is not None else {}),
        }

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

    @property
    def _run_tags(self) -> dict[str, str]:
        return self._tags if self._tags is not None else {}

    def _tag(self, run_id: str, tags: dict[str, str]) -> None:
        self.store.tag(run_id, tags)
        self._tags = {**self._run_tags, **tags}

    # Its history and its end.

    def _publish_history(self, run_id: str) -> None:
        values, read = self._history.new_values(skip=self.rows)
        self._pending += [*values, *self._system.new_values()[0]]  # these are few and may be sent again
        if self._pending:
            log_values(self.store, run_id, self._pending)
            self.rows, self._pending = read, []
            self._remember()

    def _publish_end(self, run_id: str, record: RunRecord, result: RunResult) -> None:
        finals = [Value(result.step, key, float(value), result.ended) for key, value in result.final_metrics.items()]
        log_values(self.store, run_id, finals)
        if not self.is_copy and result.run_id != run_id:
            result = self.directory.amend_result(run_id=run_id)
        parent = {} if PARENT in self._run_tags else self._parent(record)
        self._tag(run_id, {**_note(record, result, run_id), **result.tags, **parent})
        self._artifacts.upload(run_id)
        self._publish_model(run_id, record, result, finals)
        self._drop_doubles(run_id, record.uid)
        self._end(run_id, record, result)
        if _is_to_be_described(result):
            return  # its reports and figures could not be made yet; they are published with it when they are
        self.complete = True
        self._remember()
        self._leave_backlog()

    def _publish_model(self, run_id: str, record: RunRecord, result: RunResult, finals: list[Value]) -> None:
        """The model that MLflow can serve; damaged weights are told, and no model is made of them."""
        source = tasks.recorded(record.task).presentation.model(record)
        if source is None:
            return
        path = self.directory.path / source.file
        values, _ = HistoryReader(self.directory.path).new_values()
        about = record.params, {**result.values, "message": result.message}, columns_of(rows_of(values))
        try:
            trained = trained_model(source, read_arrays(path), *about, sources=self.directory.path / SOURCES)
        except FileNotFoundError:
            return
        except RecordError as error:
            tell_once(f"{error}; published without a model")
            return
        except Exception as error:
            tell_once(f"{path} is no trained model: {type(error).__name__}: {one_line(error)}; published without one")
            return
        last = {value.key: value for value in [*values, *finals]}
        publish_model(self.store, self.directory, trained, run_id, params_of(record), list(last.values()), result.step)

    def _end(self, run_id: str, record: RunRecord, result: RunResult) -> None:
        """Give the run its status; where another run of its key is finished already, it ends as superseded by that."""
        is_for_a_job = bool(record.sweep and record.tracking.resume)  # and no repetition that somebody asked for
        if not (result.is_finished and is_for_a_job) or self.is_copy:
            self.store.terminate(run_id, result.status, result.ended)
            return
        other = store_arbiter.end(self.store, record, run_id, result.ended)
        if other is None:
            return
        message = f"superseded by run {other}"
        tags = {STATUS_MESSAGE: message}
        result = self.directory.amend_result(status=RunStatus.KILLED, message=message, superseded_by=other, tags=tags)
        self._tag(run_id, {CLAIM: SUPERSEDED, **_note(record, result, run_id), **tags})
        self._artifacts.upload(run_id)  # the result, which is another now
        self.store.terminate(run_id, RunStatus.KILLED, result.ended)

    def _drop_doubles(self, run_id: str, uid: str) -> None:
        """Delete what a request that was sent twice made: runs of the same id that nobody ever filled."""
        if self.store.is_server:
            for run in self.store.tagged(UID, uid):
                if run.run_id != run_id and run.status == RunStatus.RUNNING and not run.metrics:
                    self.store.delete(run.run_id)

    # What the disk says of it.

    def _known(self) -> dict[str, Any]:
        return _known(self.directory)

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

    def _root(self) -> Path | None:
        """The output directory in whose backlog the run is entered; None for a copy, which leaves that as it is."""
        return None if self.is_copy else root_of(self.directory)

    def _leave_backlog(self) -> None:
        if (root := self._root()) is not None:
            backlog.leave(root, self.directory)


def reopen(directory: RunDirectory) -> None:
    """Have the end of a run published again wherever it has been published, because something was added to it."""
    known = {uri: state | {"complete": False} for uri, state in _known(directory).items()}
    directory.write_json(PUBLISHED, known)
    if (root := root_of(directory)) is not None:  # last: who finds the entry of a whole run takes it away
        backlog.enter(root, directory)


def _known(directory: RunDirectory) -> dict[str, Any]:
    """What `published.json` has, by the address of the store; damaged, it saves no work."""
    try:
        return directory.read_json(PUBLISHED)
    except (OSError, RecordError):
        return {}


def _is_to_be_described(result: RunResult) -> bool:
    """Whether its reports and figures are still to be made; what failed has none."""
    return result.status is not RunStatus.FAILED and not (result.described or result.not_described)


def _note(record: RunRecord, result: RunResult | None, run_id: str | None = None) -> dict[str, str]:
    """The note for the UI; a record of another version that it cannot be made of is published without."""
    try:
        return {NOTE: run_note(tasks.recorded(record.task).presentation, record, result, run_id)}
    except (KeyError, TypeError, ValueError):
        return {}


def sweep_uid(sweep: str) -> str:
    """The own id of the parent run of a sweep."""
    return f"sweep-{sweep}"
