"""URIs and the passwords in them: a URI as a whole is taken apart, in any other text they are found by patterns.

A database's URI is read as SQLAlchemy reads it, whose password ends at the first ``@`` and may hold a slash; that of a
server as ``urllib`` does, where the slash ends the name of the host. What each of them would take for a part of a host
or a path, though it may be of a password, is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus

HIDDEN = "***"
_URI = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*)://(?P<rest>.*)", re.DOTALL)
_SQLALCHEMYS_LOGIN = re.compile(r"(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@(?P<rest>.*)", re.DOTALL)
_SECRET = r"(?:pass(?!file)|pwd|token|secret|credential|(?:api|access|account)[_-]?key)"
_SECRET_KEY = re.compile(_SECRET, re.IGNORECASE)
_SECRET_INSIDE = re.compile(rf"(?:^|[;\s{{]){_SECRET}\w*\s*=", re.IGNORECASE)  # in the value of ODBC's parameters
# In texts. What looks like a port is none of a password, and a line has no more than one @ that ends this one.
_LOGIN = re.compile(
    r"(?P<scheme>[A-Za-z][\w+.-]*)://(?:"
    r"(?P<user>[^\s/:@?#'\"\[]*):(?!\d*(?:[/?#\s'\",;.)\]}]|$))(?!\s)(?:(?!://)[^\n])*"
    r"|(?P<only>[^\s/:@?#'\"\[]*))@"
)
_PARAMETER = re.compile(rf"(?P<key>(?:[?&;]|%3B)[\w.%-]*{_SECRET}[\w.-]*(?:=|%3D))[^&;\s'\"]+", re.IGNORECASE)


class UnclearError(ValueError):
    """A URI whose password cannot be told from the rest; the message, which does not show it, goes after its name."""


@dataclass(frozen=True)
class Parts:
    """A URI taken apart.

    Attributes
    ----------
    bare
        As it may be written: without its password, for a server without its user too.
    whole
        As the library that opens it must have it.
    user, password
        Of a server, to be sent as a header; None where it has none.
    """

    bare: str
    whole: str
    user: str | None = None
    password: str | None = None


def take_apart(uri: str) -> Parts:
    """Take a URI apart.

    Raises
    ------
    UnclearError
        If what may be a password would stay in it.
    """
    found = _URI.fullmatch(uri)
    if found is None:
        if "@" in uri and ":" in uri and not uri.startswith(("sqlite:", "file:")):
            raise UnclearError("must begin with SCHEME://, and is not shown, since it may hold a password")
        return Parts(uri, uri)
    scheme, rest = found["scheme"], found["rest"]
    if scheme.lower().startswith(("sqlite", "file")) and rest.startswith("/"):
        return Parts(uri, uri)
    return _server(scheme, rest) if _is_http(scheme) else _database(scheme, rest)


def _server(scheme: str, rest: str) -> Parts:
    end = re.search(r"[/?#]|$", rest)
    authority, path = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    login, at, host = authority.rpartition("@")
    if "@" in path:
        raise UnclearError("may hold a password, and is not shown: write /, ?, # and @ in it as %2F, %3F, %23 and %40")
    user, _, password = login.partition(":")
    if at and not (user and password):
        raise UnclearError(
            "must have both a user and a password before its @, or neither, and is not shown; a token goes into "
            "MLFLOW_TRACKING_TOKEN"
        )
    bare, whole = f"{scheme}://{host}{_without_secrets(path)}", f"{scheme}://{host}{path}"
    return Parts(bare, whole, unquote(user), unquote(password)) if at else Parts(bare, whole)


def _database(scheme: str, rest: str) -> Parts:
    login = _SQLALCHEMYS_LOGIN.match(rest)
    place = rest if login is None else login["rest"]
    has_password = login is not None and login["password"] is not None
    if "@" in (place if has_password else place.partition("?")[0]):
        raise UnclearError("may hold a password, and is not shown: write @ in it as %40, and / in a user as %2F")
    user = "" if login is None else f"{login['user']}@"
    return Parts(f"{scheme}://{user}{_without_secrets(place)}", f"{scheme}://{rest}")


def _without_secrets(place: str) -> str:
    """What follows the login, without the values of those parameters that are secret."""
    before, mark, query = place.partition("?")
    parameters = [parameter.partition("=") for parameter in query.split("&")]
    return before + mark + "&".join(
        f"{key}={HIDDEN}" if value and _is_secret(key, value) else f"{key}{equals}{value}"
        for key, equals, value in parameters
    )  # fmt: skip


def _is_secret(key: str, value: str) -> bool:
    return _SECRET_KEY.search(unquote(key)) is not None or _SECRET_INSIDE.search(unquote_plus(value)) is not None


def without_password(text: str) -> str:
    """Any text with each URI in it as it may be written; a user stays only with a database."""
    if "://" not in text and "=" not in text:
        return text

    def bare(found: re.Match[str]) -> str:
        user = "" if _is_http(found["scheme"]) else f"{found['only'] or found['user'] or ''}@"
        return f"{found['scheme']}://{user}"

    return _PARAMETER.sub(rf"\g<key>{HIDDEN}", _LOGIN.sub(bare, text))


def written(value: str) -> str:
    """A value as it may be written into a file: a URI without its password, any other text as by the patterns."""
    if _URI.fullmatch(value) is None:
        return without_password(value)
    try:
        return take_apart(value).bare
    except UnclearError:
        return without_password(value)


def _is_http(scheme: str) -> bool:
    return scheme.lower() in ("http", "https")
