"""A file of a tracking server, of which no more is read than it can have, whatever the server says and sends.

MLflow's client reads until the server ends, and unpacks on the way.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nnexp.errors import one_line

PIECE = 2**16  # bytes
ATTEMPTS = 3  # where a file breaks off; MLflow's client repeats what is answered with an error


def download(address: str, name: str, folder: Path, most: int) -> Path:
    """Download a file from the artifacts at an address into a folder.

    Raises
    ------
    ValueError
        If it has more than `most` bytes, of which it reads one more, or comes packed.
    OSError
        If it does not come, or breaks off at each attempt.
    """
    import urllib3

    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _download(address, name, path, most)
            break
        except urllib3.exceptions.HTTPError as error:
            is_late = isinstance(error, urllib3.exceptions.TimeoutError)  # what hangs would hang as long again
            if is_late or attempt == ATTEMPTS:
                why = one_line(OSError(*error.args[:1]))  # the second is the same again
                raise OSError(f"{name}: the server's answer breaks off: {why}") from error
            time.sleep(0.1 * attempt)
    return path


def _download(address: str, name: str, path: Path, most: int) -> None:
    import requests
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    login, plain = get_default_host_creds(address), {"Accept-Encoding": "identity"}
    try:
        answer: Any = http_request(
            login, f"/{quote(name)}", "GET", stream=True, extra_headers=plain, raise_on_status=False
        )
    except MlflowException as error:
        raise OSError(f"{name}: {one_line(error)}") from error
    with answer:
        if not answer.ok:  # without a look at its page, which may have no end
            raise requests.HTTPError(f"{name}: the server answers with error {answer.status_code}", response=answer)
        if (packed := answer.headers.get("Content-Encoding", "identity")) != "identity":
            raise ValueError(f"{name}: expected a file as it is, got one that is packed by {packed[:20]}")
        n_read = 0
        with path.open("wb") as file:
            while piece := answer.raw.read(min(PIECE, most + 1 - n_read)):
                n_read += len(piece)
                if n_read > most:
                    raise ValueError(f"{name}: expected at most {most:,} bytes, got more")
                file.write(piece)
