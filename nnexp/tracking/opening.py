"""The first touch of a store, which is the delicate part.

Processes that touch a new SQLite store at the same time break its migrations, and the loser of a race to create an
experiment is silently sent to the experiment Default. So the first touch happens under a file lock, and every call
names the experiment by its id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from filelock import FileLock
from filelock import Timeout as LockTimeout

from nnexp.credentials import Login, with_password
from nnexp.errors import one_line
from nnexp.paths import SQLITE, sqlalchemy_uri, sqlite_path
from nnexp.runs.temporary import system_folder
from nnexp.tracking import database
from nnexp.tracking.errors import StoreError
from nnexp.tracking.mlflow_import import import_mlflow

LOCK_SECONDS = 120
DEFAULT = "0"  # the experiment that MLflow makes with a database
SERVERS, PROXIED = ("http", "https"), "mlflow-artifacts"  # schemes


def is_server(uri: str) -> bool:
    """Whether a store is behind a tracking server."""
    return urlparse(uri).scheme in SERVERS


def open_client(
    uri: str, experiment: str, found: Mapping[str, Any] | None, listened_to: Callable[[Any], Any]
) -> tuple[Any, str]:
    """Open a store; a process that finds it complete, as nearly all do, waits for no other.

    Parameters
    ----------
    found
        The experiment as a server has just told it, if it has.
    listened_to
        Is given MLflow's client and gives the one to use.

    Returns
    -------
    The client, and the id of the experiment, which is made where it is missing.

    Raises
    ------
    StoreError
        If it cannot be used.
    """
    mlflow = import_mlflow()
    path = sqlite_path(uri)
    settle(uri)
    is_ready = is_server(uri) or (path is not None and database.has_experiment(path, experiment))
    try:
        if path is not None and not is_ready:
            database.examine(path)  # a file that is no store gets no lock beside it
        with nullcontext() if is_ready else _guard(uri, path):
            if path is not None and not is_ready:
                database.prepare(path, lambda new: _build(mlflow, new, uri, experiment))
            client = listened_to(mlflow.MlflowClient(sqlalchemy_uri(with_password(uri))))
            return client, _ensure_experiment(client, uri, experiment, found)
    except StoreError:
        raise
    except Exception as error:
        raise _unusable(uri, error) from error


def refuse_elsewhere(uri: str, place: str) -> None:
    """Refuse artifacts at a server that is not the tracking server: MLflow would send this user's credentials there.

    Whoever may make an experiment says where its artifacts are.

    Raises
    ------
    StoreError
        If this user has credentials, and `place` is at another server than `uri`.
    """
    there = urlparse(place)
    if there.scheme not in (*SERVERS, PROXIED) or not there.netloc or Login.known().header is None:
        return
    if (there.hostname, there.port) != ((home := urlparse(uri)).hostname, home.port):
        raise StoreError(
            f"artifacts at {there.netloc.rpartition('@')[2]} are not used: that is not the tracking server {uri}, and "
            "would get your credentials"
        )


def settle(uri: str) -> None:
    """Let a SQLite store that was moved or copied name its artifacts where they are now, and say so.

    Raises
    ------
    StoreError
        If its database cannot be written.
    """
    path = sqlite_path(uri)
    try:
        if path is not None and database.moved_from(path):
            with _guard(uri, path):
                database.settle(path)
    except Exception as error:
        raise _unusable(uri, error) from error


def has_experiment(uri: str, experiment: str, listened_to: Callable[[Any], Any]) -> bool:
    """Whether a store has an experiment; one that lacks it is left as it is. `listened_to` as in :func:`open_client`.

    Raises
    ------
    StoreError
        If the store cannot be used.
    """
    settle(uri)
    path = sqlite_path(uri)
    try:
        if path is not None and database.examine(path).is_empty:
            return False
        client = listened_to(import_mlflow().MlflowClient(sqlalchemy_uri(with_password(uri))))
        return client.get_experiment_by_name(experiment) is not None
    except StoreError:
        raise
    except Exception as error:
        raise _unusable(uri, error) from error


def _unusable(uri: str, error: Exception) -> StoreError:
    """The error of a store that cannot be opened; for a database file it says what is wrong with the file."""
    path = sqlite_path(uri)
    if path is not None and not isinstance(error, database.DatabaseError | LockTimeout):
        try:
            database.check(path)
        except database.DatabaseError as wrong:
            error = wrong
    reason = one_line(error)
    if isinstance(error, LockTimeout):
        reason = f"another process has held {error.lock_file} for {LOCK_SECONDS} s"
    return StoreError(f"the tracking store {uri} cannot be used: {reason}")


def _build(mlflow: Any, path: Path, uri: str, experiment: str) -> None:
    """Make a new store, complete with the experiment, in a file that nobody else knows."""
    client = mlflow.MlflowClient(sqlalchemy_uri(f"{SQLITE}{path}"))
    _ensure_experiment(client, uri, experiment, None)
    client._tracking_client.store._dispose_engine()  # the file gets another name


def _guard(uri: str, path: Path | None) -> FileLock:
    if path is None:
        lock = system_folder() / f"nnexp-{hashlib.sha256(uri.encode()).hexdigest()[:16]}.lock"
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock")
        lock.touch()  # where it cannot be made, that is an error at once and not after a wait
    return FileLock(lock, timeout=LOCK_SECONDS)


def _ensure_experiment(client: Any, uri: str, experiment: str, found: Mapping[str, Any] | None) -> str:
    if found is not None and found.get("lifecycle_stage") != "deleted":
        refuse_elsewhere(uri, found.get("artifact_location", ""))
        return found["experiment_id"]
    there = client.get_experiment_by_name(experiment)
    if there is None:
        path = sqlite_path(uri)
        location = (path.parent / "artifacts").as_uri() if path else None
        try:
            made = client.create_experiment(experiment, artifact_location=location)
            if _is_database(uri) and (folder := _folder(client.get_experiment(made))) is not None:
                folder.mkdir(parents=True, exist_ok=True)
            return made
        except Exception:
            there = client.get_experiment_by_name(experiment)
            if there is None:
                raise
    if there.lifecycle_stage == "deleted":
        raise StoreError(f"`tracking.experiment` {experiment!r} is deleted in {uri}; restore it or give another name")
    refuse_elsewhere(uri, there.artifact_location)
    if _is_database(uri) and (folder := _folder(there)) is not None and not folder.is_dir():
        raise StoreError(
            f"the artifacts of experiment {experiment!r} are kept in {folder}, which is not on this machine: several "
            f"machines need a tracking server before {uri}"
        )
    return there.experiment_id


def _is_database(uri: str) -> bool:
    """Whether it is a database server, beside which MLflow has artifacts where an experiment was made."""
    return not is_server(uri) and sqlite_path(uri) is None


def _folder(experiment: Any) -> Path | None:
    """The folder of the artifacts of an experiment; None where they are elsewhere, or it is MLflow's own."""
    place = urlparse(experiment.artifact_location)
    if place.scheme not in ("", "file") or experiment.experiment_id == DEFAULT:
        return None
    return Path(unquote(place.path))
