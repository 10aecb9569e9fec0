"""Publishing: bring a store up to date with a run directory.

One operation serves while the run trains, at its end and afterwards. It may be cut off anywhere and repeated any number
of times: the run is found by its own id, a metric keeps the time at which it was measured (the store holds equal values
once), artifacts have fixed names, and the model is made once. `published.json` only saves work; without it the store
comes out the same. A lock in the directory lets one process at a time publish it.

What a short run costs is asking the store what of it is there already. Nothing is, of a run that this very process made
there while nobody else has published it since: who publishes a run that another has made, or may have made, puts its
own mark into `published.json` first.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock
from filelock import Timeout as LockTimeout

from nnexp import tasks
from nnexp.paths import absolute_uri
from nnexp.runs import backlog
from nnexp.runs.arbitration import Claim, ClaimState
from nnexp.runs.directory import PUBLISHED, RunDirectory
from nnexp.runs.files import RecordError
from nnexp.runs.history import SYSTEM, HistoryReader, Value
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
from nnexp.tracking.errors import StoreError
from nnexp.tracking.models import (
    about_model,
    ensure_model,
    finish_model,
    is_ready,
    link_model,
    load_model,
    upload_model,
)
from nnexp.tracking.notes import NOTE, run_note
from nnexp.tracking.store import Store
from nnexp.tracking.stored_run import StoredRun
from nnexp.tracking.transaction import one_transaction, together
from nnexp.tracking.uploads import Artifacts, log_all, log_data_set, metric_of, params_of, remove_half_uploads

LOCK, LOCK_SECONDS = ".publishing.lock", 30.0
LIVE_AFTER = 5.0  # seconds of training: a shorter run is published in one piece


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
        self._artifact_uri = ""  # as the tags
        self._mark = secrets.token_hex(4)
        self._is_new = False  # the run was made here, and nothing of it is in the store but what was sent from here
        self._has_uploaded = False
        self._history, self._system = HistoryReader(directory.path), HistoryReader(directory.path, (SYSTEM,))
        self._pending: list[Value] = []  # values that were read and are not in the store yet
        self._has_inputs = False
        self.superseded_by: str | None = None  # the other run in the store that has finished the job
        self._artifacts = Artifacts(store, directory)

    def claim(self, close: store_arbiter.Close) -> Claim:
        """Try to get the job of the run's key in this store, for the run of this directory.

        Who publishes the run meanwhile, because its trainer has given up the claim, would make it a second time.

        Raises
        ------
        StoreError
            If another claimant neither decides nor dies.
        """
        record = self.directory.record
        create = lambda state: self._make(record, state)  # noqa: E731 - the claim sees by itself whether it is there
        with self._alone():
            claim = store_arbiter.claim(self.store, record, create=create, close=close)
        if claim.is_mine:
            self.run_id = claim.run_id
        return claim

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
                self._tags, self._is_new = None, False
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
        is_known = self._known().get(self.store.uri, {}).get("mark") == self._mark
        if not is_known:
            self._tags, self._is_new = None, False
        run_id = self.ensure_run(record)
        if self.complete:
            self._leave_backlog()  # where the process that completed it was killed before it did
            return True
        if not (is_known or self._is_new):
            self._remember()  # before anything is done that is not to be done twice
        if result is None:
            self._publish_live(run_id, record)
        elif to_the_end:
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
                return self._make(record, claim)
            self.run_id = found.run_id
            self._saw(found)
            self._remember()
        return self.run_id

    def _make(self, record: RunRecord, claim: ClaimState | None = None) -> str:
        """Make the run in the store, which has none; its id."""
        views.keep_default(self.store, tasks.recorded(record.task).presentation)
        tags = self._first_tags(record, claim)
        with one_transaction(self.store.client):
            made = self.store.make(record.name, record.started, tags)
        self.run_id, self._is_new = made.run_id, True
        self._saw(made)
        self._remember()
        return made.run_id

    def _saw(self, run: StoredRun) -> None:
        self._tags, self._artifact_uri = run.tags, run.artifact_uri

    def _check_known(self, run: StoredRun | None) -> None:
        """What was remembered holds only while the store still has the run; a whole one that was deleted stays so."""
        if run is not None and (not run.deleted or self.complete):
            self._saw(run)
        else:
            self.run_id, self.rows, self.complete = None, 0, False
            self._pending, self._has_inputs, self._is_new = [], False, False
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
        if sweep and sweep not in self.store.parents and (parent := self.store.find_uid(sweep_uid(sweep))):
            self.store.parents[sweep] = parent.run_id
        return {PARENT: self.store.parents[sweep]} if sweep in self.store.parents else {}

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

    # Its history and its end.

    def _publish_live(self, run_id: str, record: RunRecord) -> None:
        """What is new of a run that trains; of one that has only begun nothing yet, for it may be over in a moment."""
        if self._is_new and not self.rows and 0 <= time.time() - record.started < LIVE_AFTER:
            return
        values, read = self._new_values()
        is_bid = self._run_tags.get(CLAIM) == ClaimState.BID  # one that is trained is nobody's undecided bid any more
        tags = {CLAIM: ClaimState.HELD.value} if is_bid else {}
        if self._has_inputs and not values and not tags:
            return

        def send(*, is_new: bool) -> None:
            self._send(run_id, record, [metric_of(value) for value in values], tags, is_new=is_new)

        together(self.store.client, lambda: send(is_new=self._is_new), lambda: send(is_new=False))
        self._sent(read, tags)
        if values:
            self._remember()

    def _new_values(self) -> tuple[list[Value], int]:
        """The values that the store does not have, and the lines of the history with which it has them."""
        values, read = self._history.new_values(skip=self.rows)
        self._pending += [*values, *self._system.new_values()[0]]  # these are few and may be sent again
        return list(self._pending), read

    def _send(
        self, run_id: str, record: RunRecord, metrics: Sequence[Any], tags: Mapping[str, str], *, is_new: bool
    ) -> None:
        params = {} if self._has_inputs else params_of(record)
        log_all(self.store, run_id, metrics, params, tags, is_new=is_new)
        if not self._has_inputs:
            log_data_set(self.store, run_id, record)

    def _sent(self, read: int, tags: Mapping[str, str]) -> None:
        self.rows, self._pending, self._has_inputs = read, [], True
        self._tags = {**self._run_tags, **tags}

    def _publish_end(self, run_id: str, record: RunRecord, result: RunResult) -> None:
        if not self.is_copy and result.run_id != run_id:
            result = self.directory.amend_result(run_id=run_id)
        if not (self._is_new or self._has_uploaded):
            remove_half_uploads(self._artifact_uri)
        self._artifacts.upload(self._artifact_uri)
        self._has_uploaded = True
        model = self._send_end(run_id, record, result)
        self._end(run_id, record, result, model)
        if _is_to_be_described(result):
            return  # its reports and figures could not be made yet; they are published with it when they are
        self.complete = True
        self._remember()
        self._leave_backlog()

    def _send_end(self, run_id: str, record: RunRecord, result: RunResult) -> Any:
        """All that the database gets of an ended run but its status; its model there, which is to be said complete."""
        client, (values, read) = self.store.client, self._new_values()
        finals = [Value(result.step, key, float(value), result.ended) for key, value in result.final_metrics.items()]
        history = HistoryReader(self.directory.path).new_values()[0]  # all of it, and nothing of the machine's load
        trained = load_model(self.directory, record, result, history)
        new, last = [*values, *finals], {value.key: value for value in [*history, *finals]}  # the last are the model's
        tags = {**_note(record, result, run_id), **result.tags}
        tags |= {} if PARENT in self._run_tags else self._parent(record)
        tags |= {CLAIM: ClaimState.HELD.value} if self._run_tags.get(CLAIM) == ClaimState.BID else {}

        def send(*, is_new: bool) -> tuple[Any, dict[str, Any]]:
            model, about = None, dict[str, Any]()
            if trained is not None:
                model = ensure_model(self.store, run_id, params_of(record), is_new=is_new)
                about = {} if is_ready(model) else about_model(record, model, run_id)
            # Sent again by themselves, MLflow would look which of the last values the run has already.
            metrics = [metric_of(value, **(about if value == last.get(value.key) else {})) for value in new]
            self._send(run_id, record, metrics, tags, is_new=is_new)
            if about:
                link_model(self.store, model, run_id, result.step, is_new=is_new)
            return model, about

        model, about = together(client, lambda: send(is_new=self._is_new), lambda: send(is_new=False))
        self._is_new = False
        self._sent(read, tags)
        if trained is None or not about:
            return None
        older = set(last.values()) - set(new)  # published while it trained
        log_all(self.store, run_id, [metric_of(value, **about) for value in older], {}, {})
        upload_model(self.store, model, trained, run_id)
        return model

    def _end(self, run_id: str, record: RunRecord, result: RunResult, model: Any) -> None:
        """Give the run its status; where another run of its key is finished already, it ends as superseded by that.

        Its model, where there is one to finish, is complete before.
        """

        def end(status: RunStatus) -> None:
            if model is not None:
                finish_model(self.store, model)
            self.store.terminate(run_id, status, result.ended)

        is_for_a_job = bool(record.sweep and record.tracking.resume)  # and no repetition that somebody asked for
        if not (result.is_finished and is_for_a_job):
            self._drop_doubles(run_id, record.uid)
            together(self.store.client, lambda: end(result.status))
            return
        finish = None if model is None else lambda: finish_model(self.store, model)
        other = store_arbiter.end(self.store, record, run_id, result.ended, finish)
        if other is None:
            return
        self.superseded_by = other
        message = f"superseded by run {other}"
        tags = {STATUS_MESSAGE: message}
        amend = result.amended if self.is_copy else self.directory.amend_result
        result = amend(status=RunStatus.KILLED, message=message, superseded_by=other, tags=tags)
        self.store.tag(run_id, {CLAIM: SUPERSEDED, **_note(record, result, run_id), **tags})
        self._artifacts.upload(self._artifact_uri)  # the result, which is another now
        self.store.terminate(run_id, RunStatus.KILLED, result.ended)

    def _drop_doubles(self, run_id: str, uid: str) -> None:
        """Delete what a request that was sent twice made: runs of the same id that nobody ever filled."""
        if self.store.is_server:  # those of a job are met among its rivals
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
            "mark": self._mark,
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
    root = root_of(directory)
    if root is not None and backlog.folder(root).is_dir():  # last: who finds the entry of a whole run takes it away
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
