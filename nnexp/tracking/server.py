"""Whether a tracking server is there, and if not, why: asked before the server is used.

MLflow repeats what fails for minutes and tells in the end of a retry; this asks once and names the cause. What a server
refuses to a user (401, 403) is said here in one way, whoever asked.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from nnexp.credentials import PASSWORD, USERNAME, Login
from nnexp.errors import one_line

ENDPOINT = "/api/2.0/mlflow/experiments/get-by-name"
UNAUTHENTICATED, FORBIDDEN, TOO_MANY, SERVER_ERROR = 401, 403, 429, 500
READ, EDIT = "READ", "EDIT"  # MLflow's permissions on an experiment: to look at runs, and to write them
CREATE = "CREATE"  # none of MLflow's by this name: to make the experiment
_NOT_KEPT = {413: "too large", 507: "no space left"}
_TOO_MANY = re.compile(r"too many (\d{3}) error responses")  # of urllib3
_REFUSAL = re.compile(rf"\(({UNAUTHENTICATED}|{FORBIDDEN})\): ")


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a server, to be read after its address.

    Attributes
    ----------
    is_lasting
        Whether asking again is no use.
    is_answer
        Whether the server said so, and not the network.
    is_late
        Whether there was no answer in time, which a slow server may still give.
    """

    text: str
    is_lasting: bool
    is_answer: bool = False
    is_late: bool = False


@dataclass(frozen=True)
class Answer:
    """What came of asking for an experiment: what is wrong with the server, or what it has (None: no such experiment).

    Attributes
    ----------
    experiment
        As in MLflow's API, with its id and its tags.
    """

    trouble: Trouble | None = None
    experiment: dict[str, Any] | None = None


def ask(uri: str, experiment: str, patience: float) -> Answer:
    """Ask the server at `uri` for an experiment, once, for `patience` seconds."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    Login.known()  # MLflow would quote a file of credentials that it cannot read
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
        return Answer(_unanswered(error, patience))
    return judged(answer.status_code, answer.text, experiment) if answer is not None else Answer()


def judged(status: int, body: str, experiment: str) -> Answer:
    """What an answer says, and whether it is one that MLflow gives to whoever may ask."""
    said = _said(body)
    if isinstance(said.get("experiment"), dict):
        return Answer(None, said["experiment"])
    if said.get("error_code") == "RESOURCE_DOES_NOT_EXIST":
        return Answer()
    if status in (UNAUTHENTICATED, FORBIDDEN):
        return Answer(Trouble(refusal(status, experiment, READ), True, True))
    if status == TOO_MANY or status >= SERVER_ERROR:
        reason = ": too many requests" if status == TOO_MANY else ""
        return Answer(Trouble(f"answers with error {status}{reason}", False, True))
    if said.get("message"):
        return Answer(Trouble(f"answers with error {status}: {one_line(ValueError(said['message']))}", True, True))
    what = f"error {status}" if status >= 300 else "something other than MLflow's JSON"
    return Answer(Trouble(f"is not an MLflow server: it answers with {what}", True, True))


def refusal(status: int, experiment: str, permission: str) -> str:
    """How a server refuses this user what needs a permission on an experiment, to be read after its address."""
    login = Login.known()
    if status == FORBIDDEN:
        who = f"user {login.user!r}" if login.user else "this user"
        missing = f"experiment {experiment!r} needs the permission {permission}"
        if permission == CREATE:
            missing = f"experiment {experiment!r} is not there, and may not be made"
        return f"refuses {who} ({status}): {missing}"
    if login.header is None:
        return f"requires a user and a password ({status}): set {USERNAME} and {PASSWORD}"
    return f"refuses these credentials ({status}): check {login.source}"


def not_kept(file: str, status: int) -> str:
    """How a server answers the upload of a file that it does not keep, to be read after its address."""
    does = "could not keep" if status >= SERVER_ERROR else "refuses"
    return f"{does} {file} ({status}: {_NOT_KEPT.get(status) or _phrase(status)})"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase.lower()
    except ValueError:
        return "an error"


def status_of(error: Exception) -> int | None:
    """The HTTP status that an error is about, whichever library made it; None where none came."""
    import requests
    import urllib3

    for cause in _causes(error):
        if isinstance(cause, requests.HTTPError) and cause.response is not None:
            return cause.response.status_code
        if isinstance(cause, urllib3.exceptions.ResponseError) and (said := _TOO_MANY.search(str(cause))):
            return int(said[1])  # which came at each attempt
    return None


def is_refusal(problem: str) -> bool:
    """Whether a problem is one that asking again with the same credentials does not mend."""
    return _REFUSAL.search(problem) is not None


def publishes(problem: str | None, what: str) -> str:
    """Which command publishes `what` that a problem has kept back, and when."""
    if problem is not None and is_refusal(problem):
        return f"once the server lets this user, `nnexp sync` publishes {what}"
    return f"`nnexp sync` publishes {what}"


def _said(body: str) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
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
        return Trouble(f"did not answer within {patience:g} s", True, is_late=True)
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
