"""A file of a tracking server, of which no more is read than it can have, whatever the server says and sends.

MLflow's client reads until the server ends, and unpacks on the way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

PIECE = 2**16  # bytes


def download(address: str, name: str, folder: Path, most: int) -> Path:
    """Download a file from the artifacts at an address into a folder.

    Raises
    ------
    ValueError
        If it has more than `most` bytes, of which it reads one more, or comes packed.
    OSError
        If it does not come.
    """
    import requests
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    login, plain = get_default_host_creds(address), {"Accept-Encoding": "identity"}
    answer: Any = http_request(login, f"/{quote(name)}", "GET", stream=True, extra_headers=plain, raise_on_status=False)
    with answer:
        if not answer.ok:  # without a look at its page, which may have no end
            raise requests.HTTPError(f"{name}: the server answers with error {answer.status_code}", response=answer)
        if (packed := answer.headers.get("Content-Encoding", "identity")) != "identity":
            raise ValueError(f"{name}: expected a file as it is, got one that is packed by {packed[:20]}")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        n_read = 0
        with path.open("wb") as file:
            while piece := answer.raw.read(min(PIECE, most + 1 - n_read)):
                n_read += len(piece)
                if n_read > most:
                    raise ValueError(f"{name}: expected at most {most:,} bytes, got more")
                file.write(piece)
    return path
