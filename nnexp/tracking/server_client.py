"""MLflow's client of a tracking server: each answer is a sign of life, and a refusal is told in one line.

MLflow tells that a user may not do something by whatever the server's page says, and cuts it off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnexp.tracking.server import EDIT, FORBIDDEN, READ, UNAUTHENTICATED

READING = ("get_", "search_", "list_", "download_")


class ServerClient:
    """A client, or an artifact repository, whose calls are listened to.

    Parameters
    ----------
    heard
        Is called after each answer.
    refused
        Gives the error for an HTTP status, 401 or 403, and the permission that the call needs.
    """

    def __init__(self, client: Any, heard: Callable[[], None], refused: Callable[[int, str], Exception]) -> None:
        self._client, self._heard, self._refused = client, heard, refused

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        if name.startswith("_") or not callable(value):
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            try:
                result = value(*arguments, **named)
            except Exception as error:
                status = refused_by(error)
                if status is None:
                    raise
                raise self._refused(status, READ if name.startswith(READING) else EDIT) from error
            self._heard()
            return result

        return call


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
