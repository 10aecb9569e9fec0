"""Whether a tracking server is there, and if not, why: asked before the server is used.

MLflow repeats what fails for minutes and tells in the end of a retry; this asks once and names the cause.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nnexp.errors import one_line

ENDPOINT = "/api/2.0/mlflow/experiments/get-by-name"
TOO_MANY, SERVER_ERROR = 429, 500
REASONS = {
    401: "it requires a user and a password: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    403: "this user lacks the permission",
    429: "too many requests",
}


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a server, to be read after its address.

    Attributes
    ----------
    is_lasting
        Whether asking again is no use.
    is_answer
        Whether the server said so, and not the network.
    """

    text: str
    is_lasting: bool
    is_answer: bool = False


def trouble_of(uri: str, experiment: str, patience: float) -> Trouble | None:
    """What is wrong with the server at `uri`; None where it answers as MLflow does, within `patience` seconds."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    try:
        answer = http_request(
            get_default_host_creds(uri),
            ENDPOINT,
            "GET",
            params={"experiment_name": experiment},
            timeout=patience,
            max_retries=0,
            raise_on_status=False,
        )
    except MlflowException as error:
        return _unanswered(error, patience)
    return None if answer is None else judged(answer.status_code, answer.text)


def judged(status: int, body: str) -> Trouble | None:
    """Whether an answer is one that MLflow gives to whoever may ask."""
    said = _said(body)
    if "experiment" in said or said.get("error_code") == "RESOURCE_DOES_NOT_EXIST":
        return None
    reason = REASONS.get(status)
    if reason or status >= SERVER_ERROR:
        is_passing = status == TOO_MANY or status >= SERVER_ERROR
        return Trouble(f"answers with error {status}" + (f": {reason}" if reason else ""), not is_passing, True)
    if said.get("message"):
        return Trouble(f"answers with error {status}: {one_line(ValueError(said['message']))}", True, True)
    what = f"error {status}" if status >= 300 else "something other than MLflow's JSON"
    return Trouble(f"is not an MLflow server: it answers with {what}", True, True)


def _said(body: str) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _unanswered(error: Exception, patience: float) -> Trouble:
    """Why there was no answer, from the innermost cause that says it."""
    import requests
    import urllib3

    causes = list(_causes(error))

    def first(*kinds: type[BaseException]) -> Any:
        return next((cause for cause in causes if isinstance(cause, kinds)), None)

    if (refused := first(ssl.SSLCertVerificationError)) is not None:
        return Trouble(f"cannot be reached: its TLS certificate is not accepted: {refused.verify_message}", True)
    if (broken := first(ssl.SSLError)) is not None:
        said = (broken.reason or one_line(broken)).lower().replace("_", " ")
        return Trouble(f"cannot be reached: TLS failed: {said}", True)
    if first(requests.exceptions.SSLError) is not None:
        return Trouble(f"cannot be reached: TLS failed: {one_line(error)}", True)
    through = " through the proxy" if first(requests.exceptions.ProxyError) is not None else ""
    if first(socket.gaierror) is not None:
        return Trouble(f"cannot be reached{through}: its host name is not known", False)
    # urllib3 calls a refused connection a timeout, too.
    is_refused = first(urllib3.exceptions.NewConnectionError) is not None
    is_late = first(requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) is not None
    if is_late and not is_refused:
        return Trouble(f"did not answer within {patience:g} s", True)
    systems = next((c for c in causes if isinstance(c, OSError) and c.errno and c.strerror), None)
    if systems is not None:
        return Trouble(f"cannot be reached{through}: {str(systems.strerror).lower()}", False)
    if first(requests.exceptions.ConnectionError) is not None:
        return Trouble(f"cannot be reached{through}: the connection was closed without an answer", False)
    return Trouble(f"cannot be used: {one_line(error)}", True)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that it was made of, whichever way the libraries link them."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [getattr(cause, "reason", None), *cause.args, cause.__cause__, cause.__context__]
