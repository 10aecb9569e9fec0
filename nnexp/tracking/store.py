"""The tracking store: the one place that opens MLflow.

Opening is the delicate part. Processes that touch a new SQLite store at the same time break its migrations, and the
loser of a race to create an experiment is silently sent to the experiment Default. So the first touch happens under a
file lock, and every call names the experiment by its id.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import logging
import os
import secrets
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from filelock import FileLock
from filelock import Timeout as LockTimeout

from nnexp.credentials import extract_password, with_password
from nnexp.errors import FailureError, UsageError, one_line
from nnexp.paths import SQLITE, absolute_uri, sqlalchemy_uri, sqlite_path
from nnexp.runs.records import RunStatus
from nnexp.runs.tags import HEARTBEAT, KIND, REQUEST, STATUS_MESSAGE, SWEEP, SWEEP_KIND, UID, checked, equals
from nnexp.runs.temporary import system_folder
from nnexp.tracking import database
from nnexp.tracking.server import FORBIDDEN, ask, refusal
from nnexp.tracking.server_client import ServerClient
from nnexp.tracking.system_metrics import PREFIX

CONFLICT = ("UNIQUE constraint", "unique constraint", "Duplicate entry")  # as SQLite, PostgreSQL and MySQL say it
# Said before MLflow is imported, where the user has not said otherwise.
MLFLOW_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0.5",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",  # a server may ask for an hour
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
QUIET_LOGGERS = ("mlflow", "alembic", "mlflow.store.db.utils")
atexit.register(gc.freeze)  # MLflow's many objects are not taken apart one by one at the exit, which takes 0.7 s

LATEST = 2.0**33  # seconds since the epoch: the year 2242
LOCK_SECONDS = 120
UI_ADDRESS = "http://127.0.0.1:5000"
LOOPBACK = ("127.0.0.1", "localhost")
PAGE = 1000
WITHDRAWN = "withdrawn: another run has the job"
ANSWER_SECONDS = 3.0  # a tracking server that takes longer is done without while runs train
FRESH_SECONDS = 20.0  # so long any answer is taken as a sign that the next one will come, if late
PING_ATTEMPTS = 3
LONGEST_NAME, LONGEST_TAG = 250, 8000  # characters; MLflow cuts a longer tag without a word
HALF_UPLOADS = ".artifact.uploading.*"  # MLflow's name for what it copies


class StoreError(FailureError):
    """The store cannot be used; the message says which and why in one line."""


class RefusedError(StoreError):
    """A server does not let this user do it.

    Attributes
    ----------
    status
        401 or 403, as in HTTP.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class StoredRun:
    """What the store knows of a run."""

    run_id: str
    name: str
    status: str
    start: float
    end: float | None
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    artifact_uri: str
    experiment_id: str
    deleted: bool = False


_importing = threading.RLock()


def import_mlflow():
    """MLflow, imported once, quiet and with our settings."""
    with _importing:  # garbage collection is off meanwhile, which one thread must not leave to another
        return _import_mlflow()


def _import_mlflow():
    for name, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(name, value)
    _spare_the_loopback()
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    collects, is_first = gc.isenabled(), "mlflow" not in sys.modules
    gc.disable()  # a fifth of the import's time goes into looking for garbage among what stays
    try:
        with warnings.catch_warnings():
            # In a notebook tqdm, which MLflow imports, wants widgets; we have a bar of our own.
            warnings.filterwarnings("ignore", message="IProgress not found")
            import mlflow
            import mlflow.tracking
    finally:
        if is_first:
            gc.freeze()  # what an import made stays, and no later collection has to look at it: 0.1 s each
        if collects:
            gc.enable()
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return mlflow


def _spare_the_loopback() -> None:
    """Have no server on this very host looked for through a proxy, which would look on its own."""
    spared = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if spared != "*" and not set(LOOPBACK) <= set(spared.split(",")):
        os.environ["no_proxy"] = ",".join([*filter(None, [spared]), *LOOPBACK])


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
        return urlparse(self.uri).scheme in ("http", "https")

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
        """MLflow's artifact repository at an address that the store gave for artifacts."""
        _ = self.client
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return self._listened_to(get_artifact_repository(uri, tracking_uri=sqlalchemy_uri(with_password(self.uri))))

    def _listened_to(self, client: Any) -> Any:
        return ServerClient(client, self._hear, self._refused) if self.is_server else client

    def _hear(self) -> None:
        self._heard_at = time.monotonic()
        self.on_answer()

    def _refused(self, status: int, permission: str) -> RefusedError:
        return RefusedError(
            f"the tracking server {self.shown_uri} {refusal(status, self.experiment, permission)}", status
        )

    def ping(self) -> None:
        """See that a tracking server answers a small question; do nothing where the store is no server.

        Raises
        ------
        StoreError
            If no answer comes within `patience` seconds, or only errors, or none of MLflow's.
        """
        if not self.is_server:
            return
        import_mlflow()
        for attempt in range(1, PING_ATTEMPTS + 1):
            answer = ask(self.uri, self.experiment, self.patience)
            trouble = answer.trouble
            if trouble is None:
                self._heard_at, self._found = time.monotonic(), answer.experiment
                return
            if trouble.is_late and self.silence < FRESH_SECONDS:
                return  # it is slow: what it is asked for in earnest may take as long
            if trouble.is_lasting or attempt == PING_ATTEMPTS:
                self._heard_at = float("-inf")
                raise StoreError(f"the tracking server {self.shown_uri} {trouble.text}")
            time.sleep(0.1 * attempt)

    def _open(self) -> tuple[Any, str]:
        with self._lock:
            if self._opened is None:
                self._opened = self._first_touch()
            return self._opened

    def _first_touch(self) -> tuple[Any, str]:
        """Open the store; a process that finds it complete, as nearly all do, waits for no other."""
        mlflow = import_mlflow()
        path = sqlite_path(self.uri)
        self.settle()
        is_ready = self.is_server or (path is not None and database.has_experiment(path, self.experiment))
        try:
            if path is not None and not is_ready:
                database.examine(path)  # a file that is no store gets no lock beside it
            with nullcontext() if is_ready else self._guard(path):
                if path is not None and not is_ready:
                    database.prepare(path, lambda new: self._build(mlflow, new))
                client = self._listened_to(mlflow.MlflowClient(sqlalchemy_uri(with_password(self.uri))))
                return client, self._ensure_experiment(client, path)
        except StoreError:
            raise
        except Exception as error:
            raise self._unusable(error) from error

    def settle(self) -> None:
        """Let a SQLite store that was moved or copied name its artifacts where they are now, and say so.

        Raises
        ------
        StoreError
            If its database cannot be written.
        """
        path = sqlite_path(self.uri)
        try:
            if path is not None and database.moved_from(path):
                with self._guard(path):
                    database.settle(path)
        except Exception as error:
            raise self._unusable(error) from error

    def has_experiment(self) -> bool:
        """Whether the experiment is there; a store that lacks it is left as it is.

        Raises
        ------
        StoreError
            If the store cannot be used.
        """
        self.ping()
        if self.is_server:
            return self._found is not None
        self.settle()
        path = sqlite_path(self.uri)
        try:
            if path is not None and database.examine(path).is_empty:
                return False
            client = import_mlflow().MlflowClient(sqlalchemy_uri(with_password(self.uri)))
            return client.get_experiment_by_name(self.experiment) is not None
        except Exception as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> StoreError:
        """The error of a store that cannot be opened; for a database file it says what is wrong with the file."""
        path = sqlite_path(self.uri)
        if path is not None and not isinstance(error, database.DatabaseError | LockTimeout):
            try:
                database.check(path)
            except database.DatabaseError as wrong:
                error = wrong
        reason = one_line(error)
        if isinstance(error, LockTimeout):
            reason = f"another process has held {error.lock_file} for {LOCK_SECONDS} s"
        return StoreError(f"the tracking store {self.shown_uri} cannot be used: {reason}")

    def _build(self, mlflow: Any, path: Path) -> None:
        """Make a new store, complete with the experiment, in a file that nobody else knows."""
        client = mlflow.MlflowClient(sqlalchemy_uri(f"{SQLITE}{path}"))
        self._ensure_experiment(client, sqlite_path(self.uri))
        client._tracking_client.store._dispose_engine()  # the file gets another name

    @property
    def shown_uri(self) -> str:
        """The URI as messages name it."""
        return self.uri

    def _guard(self, path: Path | None) -> FileLock:
        if path is None:
            lock = system_folder() / f"nnexp-{hashlib.sha256(self.uri.encode()).hexdigest()[:16]}.lock"
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.with_name(path.name + ".lock")
            lock.touch()  # where it cannot be made, that is an error at once and not after a wait
        return FileLock(lock, timeout=LOCK_SECONDS)

    def _ensure_experiment(self, client: Any, path: Path | None) -> str:
        location = (path.parent / "artifacts").as_uri() if path else None
        if self._found is not None and self._found.get("lifecycle_stage") != "deleted":
            return self._found["experiment_id"]
        found = client.get_experiment_by_name(self.experiment)
        if found is None:
            try:
                return client.create_experiment(self.experiment, artifact_location=location)
            except Exception:
                found = client.get_experiment_by_name(self.experiment)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            raise StoreError(
                f"`tracking.experiment` {self.experiment!r} is deleted in {self.shown_uri}; "
                "restore it or give another name"
            )
        return found.experiment_id

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


def stored_run(run: Any) -> StoredRun:
    """MLflow's run as ours, its tags checked: what is not what it should be is left out."""
    info, data = run.info, run.data
    return StoredRun(
        run_id=info.run_id,
        name=info.run_name or "",
        status=info.status,
        start=_seconds(info.start_time),
        end=_seconds(info.end_time) if info.end_time else None,
        tags=checked(data.tags),
        params=dict(data.params),
        metrics={key: value for key, value in data.metrics.items() if not key.startswith(PREFIX)},
        artifact_uri=info.artifact_uri or "",
        experiment_id=info.experiment_id,
        deleted=info.lifecycle_stage == "deleted",
    )


def past_conflict(work: Callable[[], object]) -> None:
    """Do something with a store; once more where another has made in the same moment what it makes too."""
    try:
        work()
    except Exception as error:
        if not any(words in str(error) for words in CONFLICT):
            raise
        work()


def digest_of(text: str) -> str:
    """What stands for a text that is longer than a store takes."""
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
    return f"sha256:{digest} of {len(text):,} characters"


def tag_of(value: object) -> str:
    """A tag as a store takes it; of one that is longer its beginning, and that it is cut."""
    text = str(value)
    if len(text) <= LONGEST_TAG:
        return text
    cut = f" ... (cut: {digest_of(text)})"
    return text[: LONGEST_TAG - len(cut)] + cut


def _seconds(milliseconds: int | None) -> float:
    return min(max((milliseconds or 0) / 1000, 0.0), LATEST)


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


def batches(items: Sequence[Any], size: int):
    """Slices of at most `size` items."""
    return (items[i : i + size] for i in range(0, len(items), size))
