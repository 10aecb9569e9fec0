"""The tracking store: all that is asked of MLflow goes through here."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from nnexp.credentials import extract_password, with_password
from nnexp.errors import UsageError
from nnexp.paths import absolute_uri, sqlalchemy_uri, sqlite_path
from nnexp.runs.records import RunStatus
from nnexp.runs.tags import HEARTBEAT, KIND, REQUEST, STATUS_MESSAGE, SWEEP, SWEEP_KIND, UID, equals
from nnexp.tracking.errors import NotKeptError, RefusedError, StoreError
from nnexp.tracking.limits import LONGEST_NAME, tag_of
from nnexp.tracking.mlflow_import import import_mlflow
from nnexp.tracking.opening import has_experiment, is_server, open_client, refuse_elsewhere, settle
from nnexp.tracking.server import FORBIDDEN, ask, not_kept, refusal
from nnexp.tracking.server_client import ServerClient
from nnexp.tracking.stored_run import StoredRun, stored_run

CONFLICT = ("UNIQUE constraint", "unique constraint", "Duplicate entry")  # as SQLite, PostgreSQL and MySQL say it
UI_ADDRESS = "http://127.0.0.1:5000"
PAGE = 1000
WITHDRAWN = "withdrawn: another run has the job"
ANSWER_SECONDS = 3.0  # a tracking server that takes longer is done without while runs train
FRESH_SECONDS = 20.0  # so long any answer is taken as a sign that the next one will come, if late
PING_ATTEMPTS = 3


class Store:
    """An MLflow tracking store and one experiment in it. Opened at the first use; safe among threads.

    A tracking server is asked for a sign of life before it is used, so that one that hangs costs `patience` seconds
    and not a request's whole timeout with all its repetitions.
    """

    def __init__(self, uri: str, experiment: str, patience: float = ANSWER_SECONDS) -> None:
        self.uri, self.experiment, self.patience = absolute_uri(extract_password(uri)), experiment, patience
        self._heard_at = self.advanced_at = float("-inf")  # when it answered, and when publishing advanced
        self.on_answer: Callable[[], None] = lambda: None  # called after each answer of a server but those to pings
        self._lock = threading.Lock()
        self._opened: tuple[Any, str] | None = None
        self._found: dict[str, Any] | None = None  # the experiment, as the last ping found it
        # What is not asked for again at each run: parent runs, by their sweeps, and whether the view is there.
        self.parents: dict[str, str] = {}
        self.has_view = False

    @property
    def is_server(self) -> bool:
        """Whether the store is behind a tracking server."""
        return is_server(self.uri)

    @property
    def silence(self) -> float:
        """Seconds since a server answered last."""
        return time.monotonic() - self._heard_at

    @property
    def client(self) -> Any:
        """The MLflow client of this store."""
        if self.is_server and self.silence > FRESH_SECONDS:
            self.ping()
        return self._open()[0]

    @property
    def experiment_id(self) -> str:
        """The id of the experiment, which is made where it is missing."""
        _ = self.client
        return self._open()[1]

    def was_tagged(self, key: str) -> bool:
        """Whether the experiment is known to have had a tag, without asking for it."""
        return any(tag["key"] == key for tag in (self._found or {}).get("tags", ()))

    def artifacts(self, uri: str) -> Any:
        """MLflow's artifact repository at an address that the store gave for artifacts.

        Raises
        ------
        StoreError
            If that is at a server which is not to get this user's credentials.
        """
        refuse_elsewhere(self.uri, uri)
        _ = self.client
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return self._listened_to(get_artifact_repository(uri, tracking_uri=sqlalchemy_uri(with_password(self.uri))))

    def _listened_to(self, client: Any) -> Any:
        return ServerClient(client, self._hear, self._refused, self._not_kept) if self.is_server else client

    def _hear(self) -> None:
        self._heard_at = time.monotonic()
        self.on_answer()

    def _refused(self, status: int, permission: str) -> RefusedError:
        return RefusedError(
            f"the tracking server {self.shown_uri} {refusal(status, self.experiment, permission)}", status
        )

    def _not_kept(self, file: str, status: int) -> NotKeptError:
        return NotKeptError(f"the tracking server {self.shown_uri} {not_kept(file, status)}")

    def ping(self) -> bool:
        """See that a tracking server answers a small question; do nothing where the store is no server.

        Returns
        -------
        bool
            False where one that has just answered something else takes longer for it: it is slow, and what it is asked
            for in earnest may take as long.

        Raises
        ------
        StoreError
            If no answer comes within `patience` seconds, or only errors, or none of MLflow's.
        """
        if not self.is_server:
            return True
        import_mlflow()
        for attempt in range(1, PING_ATTEMPTS + 1):
            answer = ask(self.uri, self.experiment, self.patience)
            trouble = answer.trouble
            if trouble is None:
                self._heard_at, self._found = time.monotonic(), answer.experiment
                return True
            self._found = None  # what it was before it may be no longer
            if trouble.is_late and self.silence < FRESH_SECONDS:
                return False
            if trouble.is_lasting or attempt == PING_ATTEMPTS:
                self._heard_at = float("-inf")
                raise StoreError(f"the tracking server {self.shown_uri} {trouble.text}")
            time.sleep(0.1 * attempt)
        return False

    def _open(self) -> tuple[Any, str]:
        with self._lock:
            if self._opened is None:
                self._opened = open_client(self.uri, self.experiment, self._found, self._listened_to)
            return self._opened

    def settle(self) -> None:
        """Let a SQLite store that was moved or copied name its artifacts where they are now, and say so.

        Raises
        ------
        StoreError
            If its database cannot be written.
        """
        settle(self.uri)

    def has_experiment(self) -> bool:
        """Whether the experiment is there; a store that lacks it is left as it is.

        Raises
        ------
        StoreError
            If the store cannot be used.
        """
        if self.is_server and self.ping():
            return self._found is not None
        return has_experiment(self.uri, self.experiment, self._listened_to)

    @property
    def shown_uri(self) -> str:
        """The URI as messages name it."""
        return self.uri

    def search(
        self,
        filter_string: str = "",
        *,
        newest_first: bool = False,
        limit: int | None = None,
        all_experiments: bool = False,
    ) -> list[StoredRun]:
        """The runs of the experiment that match an MLflow filter, oldest first, read page by page."""
        experiments = [self.experiment_id]
        if all_experiments:
            experiments = [e.experiment_id for e in self.client.search_experiments()]
        found: list[StoredRun] = []
        order, token = [f"attributes.start_time {'DESC' if newest_first else 'ASC'}"], None
        while limit is None or len(found) < limit:
            wanted = PAGE if limit is None else min(PAGE, limit - len(found))
            page = self.client.search_runs(
                experiments, filter_string=filter_string, max_results=wanted, order_by=order, page_token=token
            )
            found += [stored_run(run) for run in page]
            token = page.token
            if not token:
                break
        return found

    def tagged(self, key: str, value: str, **settings: Any) -> list[StoredRun]:
        """The runs of the experiment that have a tag of this very value, oldest first; settings as in `search`."""
        return [run for run in self.search(equals(key, value), **settings) if run.tags.get(key) == value]

    def sweeps(self, **settings: Any) -> list[StoredRun]:
        """The parent runs of sweeps, oldest first, each with the id of its sweep; settings as in `search`."""
        return [run for run in self.tagged(KIND, SWEEP_KIND, **settings) if SWEEP in run.tags]

    def get(self, run_id: str) -> StoredRun | None:
        """A run by its id, None where the store has none."""
        client = self.client
        from mlflow.exceptions import MlflowException

        try:
            return stored_run(client.get_run(run_id))
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def find_uid(self, uid: str) -> StoredRun | None:
        """The run that was published under a run directory's own id; of several always the same one."""
        return min(self.tagged(UID, uid), key=lambda run: run.run_id, default=None)

    def create(self, name: str, start: float, tags: Mapping[str, str]) -> str:
        """Make a run and return its id; what a request that was sent twice made is deleted."""
        request = {REQUEST: secrets.token_hex(8)} if self.is_server else {}
        made = self.make(name, start, {**tags, **request})
        for double in self.tagged(REQUEST, request[REQUEST]) if request else ():
            if double.run_id != made.run_id:
                self.delete(double.run_id)
        return made.run_id

    def make(self, name: str, start: float, tags: Mapping[str, str]) -> StoredRun:
        """Make a run.

        A request to a server whose answer is lost is sent again and may make a run twice.
        """
        made = self.client.create_run(
            self.experiment_id,
            start_time=int(start * 1000),
            tags={key: tag_of(value) for key, value in tags.items()},
            run_name=name[:LONGEST_NAME],
        )
        return stored_run(made)

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run in one call."""
        past_conflict(lambda: self._tag(run_id, tags))

    def _tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        if len(tags) == 1:  # which costs a third
            [(key, value)] = tags.items()
            self.client.set_tag(run_id, key, tag_of(value))
            return
        self.client.log_batch(run_id, tags=[RunTag(key, tag_of(value)) for key, value in tags.items()])

    def beat(self, run_id: str) -> None:
        """Say that the run is alive."""
        self.client.set_tag(run_id, HEARTBEAT, f"{time.time():.1f}")

    def terminate(self, run_id: str, status: str, end: float | None = None, message: str | None = None) -> None:
        """Close a run with a true status."""
        if message:
            self.tag(run_id, {STATUS_MESSAGE: message})
        self.client.set_terminated(run_id, status, end_time=int((end or time.time()) * 1000))

    def delete(self, run_id: str) -> None:
        """Delete a run, which can then be neither seen by a search nor ended, whoever holds it.

        For a user who may write runs but not delete them it is closed, which leaves it to be seen.
        """
        try:
            self.client.delete_run(run_id)
        except RefusedError as error:
            if error.status != FORBIDDEN:
                raise
            self.terminate(run_id, RunStatus.KILLED, message=WITHDRAWN)

    def address(self, run_id: str | None = None) -> str:
        """What to open in a browser, once `nnexp ui` serves the store where it is no server itself."""
        return ui_address(self.uri if self.is_server else UI_ADDRESS, self.experiment_id, run_id)


def ui_address(base: str, experiment_id: str, run_id: str | None = None) -> str:
    """The address of an experiment or a run in the MLflow UI, in the view for machine learning."""
    runs = f"{base.rstrip('/')}/#/experiments/{experiment_id}/runs"
    return f"{runs}/{run_id}" if run_id else f"{runs}?workflowType=machine_learning"


def past_conflict(work: Callable[[], object]) -> None:
    """Do something with a store; once more where another has made in the same moment what it makes too."""
    try:
        work()
    except Exception as error:
        if not any(words in str(error) for words in CONFLICT):
            raise
        work()


_stores: dict[tuple[str, str, int], Store] = {}


def open_store(uri: str, experiment: str) -> Store:
    """The store of this process for a URI and an experiment; one for all runs, so that it is opened once."""
    key = (absolute_uri(extract_password(uri)), experiment, os.getpid())
    return _stores.setdefault(key, Store(uri, experiment))


def open_existing(uri: str, experiment: str) -> Store:
    """The same, of a store that must be there: looking into it makes none.

    Raises
    ------
    UsageError
        If there is no such file.
    """
    path = sqlite_path(absolute_uri(uri))
    if path is not None and not path.exists():
        raise UsageError(
            f"there is no store at {path} yet; train something first, for example with `nnexp` (what was trained with "
            "tracking=none is in no store)"
        )
    return open_store(uri, experiment)
