"""Errors in the user's code, told from his file on."""

from __future__ import annotations

import traceback
from types import TracebackType

from nnexp.own.places import is_own_file


def own_traceback(error: BaseException) -> str | None:
    """The traceback of an error from the first frame in a user's own file on; None where there is no such frame."""
    start: TracebackType | None = error.__traceback__
    while start is not None and not is_own_file(start.tb_frame.f_code.co_filename):
        start = start.tb_next
    if start is None:
        return None
    return "".join(traceback.TracebackException(type(error), error, start).format())


def last_own_place(error: BaseException) -> str:
    """The user's file and line that were executed when an error was raised; "" where there is none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_own_file(frame.filename)]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else ""
