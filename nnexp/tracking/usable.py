"""Whether a store can be used at all, asked before any work and without MLflow, whose import takes seconds.

Only what no waiting mends is refused: a library that is missing, a server that is none of MLflow's, a user who may not
write there. A server that is slow or down stops no run, which is published later.
"""

from __future__ import annotations

import json
import logging
import threading
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote, urlsplit

from nnexp.config import ConfigError, TrackingConfig
from nnexp.credentials import Login, with_password
from nnexp.errors import one_line
from nnexp.paths import POSTGRESQL_DRIVERS, sqlalchemy_uri, sqlite_path
from nnexp.timeline import span
from nnexp.tracking.server import CREATE, EDIT, ENDPOINT, FORBIDDEN, ask, judged, refusal

SECONDS = 2.0  # to wait for a server's first answer
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@span("store")
def check_store(tracking: TrackingConfig, *, writes: bool = True) -> None:
    """See that the store can be used, as far as that can be known beforehand.

    Parameters
    ----------
    writes
        Whether runs are to be published there.

    Raises
    ------
    ConfigError
        If it cannot, whatever happens, or MLflow's file of credentials cannot be read; the line says why.
    """
    if tracking.backend != "mlflow" or sqlite_path(tracking.uri) is not None:
        return
    uri, scheme = tracking.uri, urlsplit(tracking.uri).scheme
    if scheme in ("http", "https"):
        problem = _server_problem(uri, tracking.experiment, writes=writes)
    elif scheme.startswith("databricks") or uri == "databricks":
        problem = _databricks_problem(uri)
    else:
        problem = _driver_problem(uri)
    if problem is not None:
        raise ConfigError(f"`tracking.uri` {uri} cannot be used: {problem}")


def _driver_problem(uri: str) -> str | None:
    """What is missing to talk to a database."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(sqlalchemy_uri(with_password(uri))).get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        install = ": pip install psycopg2-binary" if error.name in POSTGRESQL_DRIVERS else ""
        return f"its driver is not installed, the Python module {error.name}{install}"
    except (ArgumentError, ImportError) as error:
        return one_line(error)
    return None


def _databricks_problem(uri: str) -> str | None:
    if find_spec("databricks") is None or find_spec("databricks.sdk") is None:
        return "the package databricks-sdk is not installed"
    from nnexp.tracking.mlflow_import import import_mlflow

    import_mlflow()
    from mlflow.utils.databricks_utils import get_databricks_host_creds

    logging.getLogger("mlflow.utils.databricks_utils").setLevel(logging.CRITICAL)
    try:
        get_databricks_host_creds(uri)
    except Exception:  # of which MLflow makes a paragraph
        return "no access is configured: DATABRICKS_HOST and DATABRICKS_TOKEN, or `databricks auth login`"
    return None


def _server_problem(uri: str, experiment: str, *, writes: bool) -> str | None:
    """Why a server that answers is no use. One that MLflow would be answered by differently is asked by MLflow."""
    Login.known()  # in this thread, where its error is heard
    path = f"{ENDPOINT}?experiment_name={quote(experiment)}"
    said = _answer(uri, path)
    if said is None:
        return None
    answer = judged(*said, experiment)
    if answer.trouble is not None:
        trouble = ask(uri, experiment, SECONDS).trouble
        return (
            f"the server {trouble.text}" if trouble is not None and trouble.is_lasting and trouble.is_answer else None
        )
    return _writing_problem(uri, experiment, answer.experiment) if writes else None


def _writing_problem(uri: str, name: str, experiment: dict[str, Any] | None) -> str | None:
    """Why this user may not write: he is asked for his permission before what he sends is found to be nonsense."""
    if experiment is None:
        path, nonsense = "experiments/create", {"name": ""}
    else:
        path, nonsense = "runs/create", {"experiment_id": experiment["experiment_id"], "start_time": "never"}
    said = _answer(uri, f"/api/2.0/mlflow/{path}", nonsense)
    if said is None or said[0] != FORBIDDEN:
        return None
    return f"the server {refusal(FORBIDDEN, name, CREATE if experiment is None else EDIT)}"


def _answer(uri: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, str] | None:
    """Status and body of what a server says to a small request; None where it says nothing in time.

    A timeout of the request would begin anew with each byte of the answer, and not hold for the name of the host.
    """
    found: list[tuple[int, str] | None] = []
    asking = threading.Thread(target=lambda: found.append(_request(uri, path, body)), daemon=True)
    asking.start()
    asking.join(SECONDS)
    return found[0] if found else None


def _request(uri: str, path: str, body: dict[str, Any] | None) -> tuple[int, str] | None:
    import urllib.error
    import urllib.request
    from http.client import HTTPException

    data, login = None if body is None else json.dumps(body).encode(), Login.known()
    request = urllib.request.Request(uri.rstrip("/") + path, data, {"Content-Type": "application/json"})
    if login.header is not None:  # of no use to a server to which this one leads on
        request.add_unredirected_header("Authorization", login.header)
    # No proxy reaches the loopback of this host.
    proxies = {} if urlsplit(uri).hostname in LOOPBACK else None
    send = urllib.request.build_opener(urllib.request.ProxyHandler(proxies)).open
    try:
        try:
            response: Any = send(request, timeout=SECONDS)
        except urllib.error.HTTPError as error:
            response = error  # which is an answer all the same
        with response:
            return response.status, response.read().decode(errors="replace")
    except (OSError, HTTPException, ValueError):
        return None
