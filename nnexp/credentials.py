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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nnexp.readers import ConfigError
from nnexp.terminal import say
from nnexp.uris import UnclearError, take_apart, without_password, written

URI, USERNAME, PASSWORD = "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
TOKEN = "MLFLOW_TRACKING_TOKEN"
DATABASE_URIS = "NNEXP_DATABASE_URIS"  # JSON: for each URI without its password the whole one
MLFLOWS_FILE = "~/.mlflow/credentials"  # of user and password, in MLflow's own format
_STORE, _COPIES = "tracking.uri", "--to"  # what is given the URI of a store
_WORD_WITH_STORE = re.compile(r"\+{0,2}tracking\.uri=|--to(=|$)")


def extract_password(uri: str, where: str = "`tracking.uri`") -> str:
    """The URI without its password, which is put into the environment for whoever opens the store.

    Parameters
    ----------
    where
        What holds the URI, for the line that is told where its password is not used.

    Raises
    ------
    ConfigError
        If it may hold a password that cannot be told from the rest.
    """
    try:
        parts = take_apart(uri)
    except UnclearError as error:
        raise ConfigError(f"{where} {error}") from None
    if parts.whole != parts.bare:
        os.environ[DATABASE_URIS] = json.dumps(_databases() | {parts.bare: parts.whole})
    if parts.user is None or parts.password is None:
        return parts.bare
    given = {USERNAME: parts.user, PASSWORD: parts.password}
    known = {name: os.environ[name] for name in given if name in os.environ}
    if known and known != given:
        say(f"{where}: its user and password are ignored in favour of {' and '.join(known)} in the environment.")
    else:
        os.environ.update(given)
    return parts.bare


def with_password(uri: str) -> str:
    """The URI with its password, for the library that opens the store and nobody else."""
    return _databases().get(uri, uri)


def credentials() -> dict[str, str]:
    """The variables by which a process on another machine opens the store: those of this one, or of MLflow's file."""
    found = {name: os.environ[name] for name in (USERNAME, PASSWORD, TOKEN, DATABASE_URIS) if name in os.environ}
    in_file = {}
    with suppress(ConfigError):  # which is told where a server is asked
        in_file = {name.upper(): value for name, value in _credentials_file().items()}
    return in_file | found


def extract_passwords(arguments: Sequence[str]) -> list[str]:
    """Take the passwords out of a command line, which is returned without them, and out of `MLFLOW_TRACKING_URI`.

    A store that the command line names is another than that of the environment, which must not get its password.

    Raises
    ------
    ConfigError
        As :func:`extract_password` does.
    """
    words = extract_from_words(arguments)
    if words != list(arguments):
        say(
            "The password on the command line is visible in the list of processes to every user of this machine; "
            f"set {USERNAME} and {PASSWORD}, or {URI}."
        )
    if uri := os.environ.get(URI, "").strip():
        is_used = not any(_WORD_WITH_STORE.match(word) for word in words)
        os.environ[URI] = extract_password(uri, URI) if is_used or not uri.startswith("http") else written(uri)
    return words


def extract_from_words(words: Sequence[str]) -> list[str]:
    """Take the passwords out of overrides or arguments, which are returned without them; errors as above."""
    return [_taken(word, before) for before, word in zip(("", *words), words, strict=False)]


def _taken(word: str, before: str) -> str:
    key, _, uri = word.partition("=") if "=" in word.partition("://")[0] else ("", "", word)
    name, start = key.lstrip("+"), f"{key}=" if key else ""
    quote = uri[:1] if uri[:1] in ("'", '"') and uri[1:].endswith(uri[:1]) else ""
    value = uri[1:-1].replace(f"\\{quote}", quote) if quote else uri
    if name in (_STORE, _COPIES) or before == _COPIES or (not key and "://" in word.partition("=")[0]):
        bare = value if "${" in value else extract_password(value, f"`{name}`" if name else "the URI")
    elif name.partition(".")[0] == "tracking" and without_password(word) != word:
        raise ConfigError(f"`{name}`: a URI with a password must be given by itself, as {_STORE}=URI")
    else:
        bare = written(value)
    return word if bare == value else start + quote + bare + quote


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
        """That of MLflow's variables, or of its credentials file, which must be of its format (ConfigError)."""
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
    """User and password of MLflow's file.

    Raises
    ------
    ConfigError
        If it is not of its format; the errors of the parser, as MLflow shows them, quote it.
    """
    import configparser

    parser, names = configparser.ConfigParser(), (USERNAME.lower(), PASSWORD.lower())
    try:
        parser.read(Path(MLFLOWS_FILE).expanduser(), encoding="utf-8")
        return {name: parser["mlflow"][name] for name in names if parser.has_option("mlflow", name)}
    except configparser.InterpolationError:
        raise ConfigError(f"{MLFLOWS_FILE} cannot be read: a % in it must be written %%") from None
    except configparser.Error:
        raise ConfigError(
            f"{MLFLOWS_FILE} cannot be read: it must have a line [mlflow] and then, once each, the lines "
            f"{USERNAME.lower()} = USER and {PASSWORD.lower()} = PASSWORD"
        ) from None
    except (OSError, ValueError, RuntimeError):  # MLflow says what is wrong with it
        return {}
