"""The import of MLflow: once, quiet, and with our settings."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
import threading
import warnings

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
LOOPBACK = ("127.0.0.1", "localhost")

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
