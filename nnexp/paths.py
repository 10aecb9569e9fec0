"""Paths and store addresses as a person gives them, made absolute once, when the config is read.

A path is what is written: `~` is the home folder, and nothing else in it is changed, neither unquoted nor cut off at a
`?` or `#`. What SQLAlchemy would make of such a name is no matter of ours until MLflow is handed the address.
"""

from __future__ import annotations

import os
import re
import tempfile
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlsplit

SQLITE = "sqlite:///"
DATABASES = ("postgresql", "mysql", "mssql")
POSTGRESQL_DRIVERS = ("psycopg2", "psycopg")
FORMS = "sqlite:///FILE, http://HOST:PORT, https://HOST or postgresql://USER@HOST/DATABASE"
_MAGIC = b"SQLite format 3\0"
_SQLALCHEMY_OPTIONS = re.compile(r"\?\w+=[^/?]*$")  # sqlite:///FILE?timeout=60; a folder may have a ? in its name


def absolute(path: str | Path, folder: str | Path | None = None) -> str:
    """The path from the root, `~` expanded; a relative one is in `folder`, by default the current one."""
    return os.path.normpath(os.path.join(folder or os.getcwd(), os.path.expanduser(path)))


def relative(path: str | Path, folder: str | Path | None = None) -> str:
    """The path as it is shown: from a folder, by default the current one, if it is in there; else from the root."""
    path, folder = Path(path), Path(folder or Path.cwd())
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def sqlite_path(uri: str) -> Path | None:
    """The database file of a SQLite address, None for any other."""
    if not uri.startswith(SQLITE):
        return None
    return Path(absolute(_parts(uri)[0]))


def absolute_uri(uri: str, folder: str | Path | None = None) -> str:
    """The address with a relative SQLite path made absolute, so that it means the same from everywhere."""
    if not uri.startswith(SQLITE):
        return uri
    file, options = _parts(uri)
    return SQLITE + absolute(file, folder) + options if file else uri


def _parts(uri: str) -> tuple[str, str]:
    """A SQLite address as the file and SQLAlchemy's options."""
    name = uri.removeprefix(SQLITE)
    options = _SQLALCHEMY_OPTIONS.search(name)
    return (name[: options.start()], options.group()) if options else (name, "")


def default_uri(directory: str) -> str:
    """The store where the config names none: MLflow's variable, where it says something, or else a file."""
    return os.environ.get("MLFLOW_TRACKING_URI", "").strip() or f"{SQLITE}{directory}/mlflow.db"


def default_experiment() -> str:
    """The experiment where the config names none: MLflow's variable, where it says something."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME", "").strip() or "nnexp"


def default_run_name() -> str | None:
    """The name of a single run where the config gives none: MLflow's variable, where it says something."""
    return os.environ.get("MLFLOW_RUN_NAME", "").strip() or None


def sqlalchemy_uri(uri: str) -> str:
    """The address as MLflow must be given it, so that SQLAlchemy opens the very file that `uri` names.

    SQLAlchemy ends the file's name at a ``?``, and unquotes it since 2.1. With the driver's name in the address MLflow
    does not make the quoted folders.
    """
    path = sqlite_path(uri)
    if path is None:
        return _with_driver(uri)
    from sqlalchemy import make_url

    options, explicit = _parts(uri)[1], "sqlite+pysqlite:///"
    for candidate in (SQLITE + str(path), explicit + str(path), explicit + quote(str(path))):
        if make_url(candidate).database == str(path):
            return candidate + options
    return f"{explicit}file:{quote(str(path))}?uri=true" + options.replace("?", "&")


def _with_driver(uri: str) -> str:
    """The address with the driver that is installed, where it names none: SQLAlchemy 2.1 assumes another than 2.0."""
    if not uri.startswith("postgresql://"):
        return uri
    driver = next((f"+{name}" for name in POSTGRESQL_DRIVERS if find_spec(name) is not None), "")
    return uri.replace("postgresql://", f"postgresql{driver}://", 1)


def uri_problem(uri: str) -> str | None:
    """What is wrong with the absolute address of a store, if anything, as its text and a look at the folder tell."""
    parts = urlsplit(uri)
    path = sqlite_path(uri)
    if path is None:
        is_server = parts.scheme in ("http", "https") and parts.hostname
        is_database = parts.scheme.split("+")[0] in DATABASES and "://" in uri
        is_databricks = parts.scheme.startswith("databricks") or uri == "databricks"
        return None if is_server or is_database or is_databricks else FORMS
    if uri.removeprefix(SQLITE) in ("", ":memory:") or path.name == ":memory:":
        return f"{FORMS}; a store has a file"
    if path.is_dir():
        return f"{FORMS}; {path} is a folder"
    return f"{FORMS}; {path} is not a regular file" if path.exists() and not path.is_file() else None


def is_other_file(path: Path) -> bool:
    """Whether there is a file that is no SQLite database."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) not in (b"", _MAGIC)
    except OSError:
        return False  # the error of who opens it says more


def folder_problem(path: str | Path) -> str | None:
    """Why a folder can neither be made nor written into; None where it can. Leaves nothing behind."""
    place = Path(path)
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        return f"{place} is not a folder"
    try:
        with tempfile.TemporaryFile(dir=place):
            return None
    except OSError as error:
        return f"{place} cannot be written: {error.strerror or error}"
