"""Whether a store can be used at all, asked before any work and without MLflow, whose import takes seconds.

Only what no waiting mends is refused: a library that is missing, a server that is none of MLflow's. A server that is
slow or down stops no run, which is published later.
"""

from __future__ import annotations

import base64
import logging
import os
import threading
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote, urlsplit

from nnexp.config import ConfigError, TrackingConfig
from nnexp.credentials import PASSWORD, USERNAME, with_password
from nnexp.errors import one_line
from nnexp.paths import sqlite_path
from nnexp.timeline import span
from nnexp.tracking.server import ENDPOINT, judged, trouble_of

SECONDS = 2.0  # to wait for a server's first answer
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@span("store")
def check_store(tracking: TrackingConfig) -> None:
    """See that the store can be used, as far as that can be known beforehand.

    Raises
    ------
    ConfigError
        If it cannot, whatever happens; the line says why.
    """
    if tracking.backend != "mlflow" or sqlite_path(tracking.uri) is not None:
        return
    uri, scheme = tracking.uri, urlsplit(tracking.uri).scheme
    if scheme in ("http", "https"):
        problem = _server_problem(uri, tracking.experiment)
    elif scheme.startswith("databricks") or uri == "databricks":
        problem = _databricks_problem(uri)
    else:
        problem = _driver_problem(uri)
    if problem is not None:
        raise ConfigError(f"`tracking.uri` {uri} cannot be used: {problem}")


def _driver_problem(uri: str) -> str | None:
    """What is missing to talk to a database."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        make_url(with_password(uri)).get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        return f"its driver is not installed, the Python module {error.name}"
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        return one_line(error)
    return None


def _databricks_problem(uri: str) -> str | None:
    if find_spec("databricks") is None or find_spec("databricks.sdk") is None:
        return "the package databricks-sdk is not installed"
    from nnexp.tracking.store import import_mlflow

    import_mlflow()
    from mlflow.utils.databricks_utils import get_databricks_host_creds

    logging.getLogger("mlflow.utils.databricks_utils").setLevel(logging.CRITICAL)
    try:
        get_databricks_host_creds(uri)
    except Exception:  # of which MLflow makes a paragraph
        return "no access is configured: DATABRICKS_HOST and DATABRICKS_TOKEN, or `databricks auth login`"
    return None


def _server_problem(uri: str, experiment: str) -> str | None:
    """Why a server that answers is no use. One that MLflow would be answered by differently is asked by MLflow."""
    answer = _answer(uri, experiment)
    if answer is None or judged(*answer) is None:
        return None
    trouble = trouble_of(uri, experiment, SECONDS)
    return f"the server {trouble.text}" if trouble is not None and trouble.is_lasting and trouble.is_answer else None


def _answer(uri: str, experiment: str) -> tuple[int, str] | None:
    """Status and body of what a server says when it is asked for the experiment; None where it says nothing in time.

    A timeout of the request would begin anew with each byte of the answer, and not hold for the name of the host.
    """
    found: list[tuple[int, str] | None] = []
    asking = threading.Thread(target=lambda: found.append(_ask(uri, experiment)), daemon=True)
    asking.start()
    asking.join(SECONDS)
    return found[0] if found else None


def _ask(uri: str, experiment: str) -> tuple[int, str] | None:
    import urllib.error
    import urllib.request
    from http.client import HTTPException

    headers = {}
    if USERNAME in os.environ:
        login = f"{os.environ[USERNAME]}:{os.environ.get(PASSWORD, '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    address = f"{uri.rstrip('/')}{ENDPOINT}?experiment_name={quote(experiment)}"
    # No proxy reaches the loopback of this host.
    proxies = {} if urlsplit(uri).hostname in LOOPBACK else None
    ask = urllib.request.build_opener(urllib.request.ProxyHandler(proxies)).open
    try:
        try:
            response: Any = ask(urllib.request.Request(address, headers=headers), timeout=SECONDS)
        except urllib.error.HTTPError as error:
            response = error  # which is an answer all the same
        with response:
            return response.status, response.read().decode(errors="replace")
    except (OSError, HTTPException, ValueError):
        return None
