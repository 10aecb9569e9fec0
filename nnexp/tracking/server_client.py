"""MLflow's client of a tracking server: each answer is a sign of life, and what it refuses is told in one line.

MLflow tells that a user may not do something, or that a file is not kept, by whatever the server's page says.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from nnexp.tracking.server import EDIT, FORBIDDEN, READ, UNAUTHENTICATED, status_of

SENDING = ("log_artifact", "log_text")
READING = ("get_", "search_", "list_", "download_")


class ServerClient:
    """A client, or an artifact repository, whose calls are listened to.

    Parameters
    ----------
    heard
        Is called after each answer.
    refused
        Gives the error for an HTTP status, 401 or 403, and the permission that the call needs.
    not_kept
        Gives the error for a file and the HTTP status with which its upload was answered.
    """

    def __init__(
        self,
        client: Any,
        heard: Callable[[], None],
        refused: Callable[[int, str], Exception],
        not_kept: Callable[[str, int], Exception],
    ) -> None:
        self._client, self._heard, self._refused, self._not_kept = client, heard, refused, not_kept

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        if name.startswith("_") or not callable(value):
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            try:
                result = value(*arguments, **named)
            except Exception as error:
                if (status := refused_by(error)) is not None:
                    raise self._refused(status, READ if name.startswith(READING) else EDIT) from error
                if name in SENDING and (status := status_of(error)) is not None:
                    raise self._not_kept(_sent(value, arguments, named), status) from error
                raise
            self._heard()
            return result

        return call


def _sent(upload: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> str:
    """The file that a call uploads, as it is named in the store."""
    given = inspect.signature(upload).bind(*arguments, **named).arguments
    if "artifact_file" in given:
        return given["artifact_file"]
    local = given["local_file"] if "local_file" in given else given["local_path"]  # of a repository or a client
    return PurePath(given.get("artifact_path") or "", os.path.basename(local)).as_posix()


def refused_by(error: Exception) -> int | None:
    """The HTTP status by which a server refused a user something; None for any other error."""
    import requests
    from mlflow.exceptions import MlflowException

    status = None
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
    elif isinstance(error, requests.HTTPError) and error.response is not None:
        status = error.response.status_code
    return status if status in (UNAUTHENTICATED, FORBIDDEN) else None
