"""Passwords in the URIs of stores: taken apart at the front door, handed on by the environment, written nowhere.

`http://alice:secret@host` becomes `http://host`, and MLflow gets user and password as `MLFLOW_TRACKING_USERNAME` and
`MLFLOW_TRACKING_PASSWORD`. A database needs its password in the URI: `postgresql://alice:secret@host/db` is known as
`postgresql://alice@host/db`, and only who opens the store puts the two together.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from nnexp.terminal import say

URI, USERNAME, PASSWORD = "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
TOKEN = "MLFLOW_TRACKING_TOKEN"
DATABASE_URIS = "NNEXP_DATABASE_URIS"  # JSON: for each URI without its password the whole one
MLFLOWS_FILE = "~/.mlflow/credentials"  # of user and password, in MLflow's own format
# A password holds no slash: there, too, it is to be written as %2F.
_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*)://(?P<user>[^\s/:@'\"]*):(?P<password>[^\s/'\"]*)@")
_PARAMETER = re.compile(r"(?P<key>://[^\s'\"/][^\s'\"]*[?&](?:password|passwd|pwd|token)=)[^&\s'\"]+", re.IGNORECASE)
_WORD_WITH_STORE = re.compile(r"\+{0,2}tracking\.uri=|--to(=|$)")


def without_password(text: str) -> str:
    """The text with each URI in it as it may be written; a user stays only with a database."""
    bare = _USERINFO.sub(lambda m: f"{m['scheme']}://" + ("" if _is_http(m["scheme"]) else f"{m['user']}@"), text)
    return _PARAMETER.sub(r"\g<key>***", bare)


def extract_password(uri: str, where: str = "`tracking.uri`") -> str:
    """The URI without its password, which is put into the environment for whoever opens the store.

    Parameters
    ----------
    where
        What holds the URI, for the line that is told where its password is not used.
    """
    bare = without_password(uri)
    if bare == uri:
        return uri
    found = _USERINFO.search(uri)
    if found is None or not _is_http(found["scheme"]):
        os.environ[DATABASE_URIS] = json.dumps(_databases() | {bare: uri})
        return bare
    given = {USERNAME: unquote(found["user"]), PASSWORD: unquote(found["password"])}
    known = {name: os.environ[name] for name in given if name in os.environ}
    if known and known != given:
        say(f"{where}: its user and password are ignored in favour of {' and '.join(known)} in the environment.")
    else:
        os.environ.update(given)
    return bare


def with_password(uri: str) -> str:
    """The URI with its password, for the library that opens the store and nobody else."""
    return _databases().get(uri, uri)


def credentials() -> dict[str, str]:
    """The variables by which a process on another machine opens the store: those of this one, or of MLflow's file."""
    found = {name: os.environ[name] for name in (USERNAME, PASSWORD, TOKEN, DATABASE_URIS) if name in os.environ}
    of_file = _credentials_file()
    in_file = {name: of_file[name.lower()] for name in (USERNAME, PASSWORD) if name.lower() in of_file}
    return in_file | found


def extract_passwords(arguments: Sequence[str]) -> list[str]:
    """Take the passwords out of a command line, which is returned without them, and out of `MLFLOW_TRACKING_URI`.

    A store that the command line names is another than that of the environment, which must not get its password.
    """
    words = [_taken(word) for word in arguments]
    if words != list(arguments):
        say(
            "The password on the command line is visible in the list of processes to every user of this machine; "
            f"set {USERNAME} and {PASSWORD}, or {URI}."
        )
    if uri := os.environ.get(URI):
        is_used = not any(_WORD_WITH_STORE.match(word) for word in words)
        os.environ[URI] = extract_password(uri, URI) if is_used or not uri.startswith("http") else without_password(uri)
    return words


def _taken(word: str) -> str:
    if without_password(word) == word:
        return word
    key, _, uri = word.partition("=") if "=" in word.partition("://")[0] else ("", "", word)
    quote = uri[:1] if uri[:1] in ("'", '"') else ""
    bare = extract_password(uri.strip(quote) if quote else uri, f"`{key.lstrip('+')}`" if key else "the URI")
    return (f"{key}=" if key else "") + quote + bare + quote


def _is_http(scheme: str) -> bool:
    return scheme.lower() in ("http", "https")


def _databases() -> dict[str, str]:
    return json.loads(os.environ.get(DATABASE_URIS, "{}"))


@dataclass(frozen=True)
class Login:
    """Who asks a tracking server, as MLflow's client finds it out.

    Attributes
    ----------
    header
        What is sent as ``Authorization``; None where nothing is known.
    source
        Where to look if that is wrong.
    """

    user: str | None = None
    header: str | None = None
    source: str = f"{USERNAME} and {PASSWORD}"

    @classmethod
    def known(cls) -> Login:
        """That of MLflow's variables, or of its credentials file."""
        of_file = _credentials_file()
        user, password = (os.environ.get(name) or of_file.get(name.lower()) for name in (USERNAME, PASSWORD))
        if user and password:
            coded = base64.b64encode(f"{user}:{password}".encode()).decode()
            is_of_file = not (os.environ.get(USERNAME) or os.environ.get(PASSWORD))
            return cls(user, f"Basic {coded}", MLFLOWS_FILE if is_of_file else cls.source)
        if token := os.environ.get(TOKEN):
            return cls(None, f"Bearer {token}", TOKEN)
        return cls()


def _credentials_file() -> dict[str, str]:
    import configparser

    parser = configparser.ConfigParser()
    try:
        parser.read(Path(MLFLOWS_FILE).expanduser(), encoding="utf-8")
        return dict(parser["mlflow"]) if "mlflow" in parser else {}
    except (OSError, ValueError, RuntimeError, configparser.Error):  # MLflow says what is wrong with it
        return {}
