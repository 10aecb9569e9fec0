"""Exit statuses, and errors as one line for the person who typed the command. Imports nothing heavy."""

from __future__ import annotations

import os
import re
import textwrap
from enum import IntEnum

from nnexp.terminal import say
from nnexp.uris import without_password

LONGEST = 300  # characters of an error's message
FULL_ERROR = "HYDRA_FULL_ERROR"  # Hydra's own switch: with 1, errors come with their traceback
# What is about the statement and not about the error: SQLAlchemy's, and where it is explained.
STATEMENT = re.compile(r"\s*(\[SQL: .*|\(Background on this error at: .*)", re.DOTALL)
NOISE = re.compile(
    r"\((?:sqlite3|psycopg2(?:\.\w+)?|pymysql(?:\.\w+)?)\.\w+\)\s*"
    r"|\(raised as a result of Query-invoked autoflush[^)]*\)\s*"
    r"|\[Errno \d+\] "
)
LIBRARIES_OF_THE_STORE = ("mlflow", "sqlalchemy", "sqlite3", "alembic", "requests", "urllib3")


class ExitStatus(IntEnum):
    """What the process says to its caller."""

    DONE = 0
    FAILED = 1
    BAD_USAGE = 2  # wrong usage or config; nothing was done
    DIFFERENT = 3  # done, but `rerun --check` or `gradcheck` finds a difference, or some runs failed
    NOT_PUBLISHED = 4  # done, but not all of it is in the store
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class UsageError(ValueError):
    """What was asked for cannot be done as it was said; the message is one line for the user."""


class FailureError(RuntimeError):
    """What could not be done, though it was asked for as it should be; the message is one line for the user."""


def one_line(error: BaseException) -> str:
    """An exception's message on one line, without the SQL that failed; its type where it has no message."""
    text = str(error).encode("utf-8", "backslashreplace").decode()  # the name of a file may be no text
    text = without_password(NOISE.sub("", STATEMENT.sub("", text)))
    short = textwrap.shorten(text, LONGEST, placeholder=" ...")
    if short == "...":  # one word, longer than all
        return f"{text[:LONGEST]}..."
    return short or type(error).__name__


def wants_traceback() -> bool:
    """Whether the user asked for tracebacks."""
    return os.environ.get(FULL_ERROR) == "1"


def explain_failure(error: Exception) -> tuple[str, ExitStatus]:
    """What to tell of an error that ended a command, and the exit status."""
    if isinstance(error, UsageError):
        return without_password(str(error)), ExitStatus.BAD_USAGE
    if isinstance(error, FailureError):  # which was made one line of, with its cause shortened and its path not
        return without_password(str(error)), ExitStatus.FAILED
    if isinstance(error, OSError) and error.filename is not None:
        return f"failed: {error.filename}: {error.strerror}", ExitStatus.FAILED
    if isinstance(error, OSError):
        return f"failed: {error.strerror or one_line(error)}", ExitStatus.FAILED
    if type(error).__module__.partition(".")[0] in LIBRARIES_OF_THE_STORE:
        return f"the tracking store cannot be used: {one_line(error)}", ExitStatus.FAILED
    if isinstance(error, MemoryError):
        return f"failed: not enough memory: {one_line(error)}", ExitStatus.FAILED
    told = f"failed: {type(error).__name__}: {one_line(error)}"
    return f"{told} ({FULL_ERROR}=1 shows where)", ExitStatus.FAILED


def tell_failure(error: Exception) -> ExitStatus:
    """Tell an error that ended a command in one line; return the exit status."""
    text, status = explain_failure(error)
    say(text)
    return status
