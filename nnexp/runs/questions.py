"""What a trainer wants to know of its companion process: an empty file in the run directory for each question.

    .claim      may this run have its job?
    .draw       is all that people look at made of the ended run?
    .publish    has the store all of it?

The file is touched while what it asks for advances. The answer is that the file is gone. Where there is more to say
than "done", it is written into the file, which is renamed to `.claim.answer` (and so on) then. So a question that was
withdrawn, because nobody waits any more, cannot be answered; one that was not answered when the companion died is found
by the next; and all this works on a full disk too, on which an empty file can still be made, renamed and removed.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from nnexp.runs.directory import RunDirectory
from nnexp.runs.files import as_object

ANSWER = ".answer"
_answering = threading.Lock()


class Question(StrEnum):
    """The name of a question's file."""

    CLAIM = ".claim"
    DRAW = ".draw"
    PUBLISH = ".publish"


def ask(directory: RunDirectory, *questions: Question) -> None:
    """Ask questions.

    Raises
    ------
    OSError
        If the directory is gone or cannot be written to.
    """
    for question in questions:
        path = directory.path / question
        _answer_of(path).unlink(missing_ok=True)
        path.touch()


def is_asked(directory: RunDirectory, question: Question) -> bool:
    """Whether somebody waits for an answer."""
    return (directory.path / question).exists()


def is_open(directory: RunDirectory, question: Question) -> bool:
    """Whether a question is asked, or its answer not yet forgotten."""
    path = directory.path / question
    return path.exists() or _answer_of(path).exists()


def attempt(directory: RunDirectory, question: Question) -> int:
    """Note in a question that its answer is attempted; how often it was. On a full disk it is always the first time."""
    path = directory.path / question
    with suppress(OSError, ValueError), path.open("r+", encoding="utf-8") as file:
        number = 1 + int(file.read() or 0)
        file.seek(0)
        file.write(str(number))
        return number
    return 1


def renew(directory: RunDirectory, question: Question) -> None:
    """Say that the answer to a question, if it is asked, is on its way."""
    with suppress(OSError):
        os.utime(directory.path / question)


def renewed(directory: RunDirectory, question: Question) -> int | None:
    """When that was said last; None where the question is not asked."""
    try:
        return (directory.path / question).stat().st_mtime_ns
    except OSError:
        return None


def answer(directory: RunDirectory, question: Question, **said: Any) -> None:
    """Answer a question, if it is still asked."""
    path = directory.path / question
    with suppress(FileNotFoundError), _answering:  # by two at once the next question might be renamed
        if not said:
            path.unlink()
            return
        try:
            with path.open("r+", encoding="utf-8") as file:
                json.dump(said, file)
        except FileNotFoundError:  # nobody asks, or not yet
            return
        except OSError:  # on a full disk the answer is empty
            pass
        os.replace(path, _answer_of(path))


def withdraw(directory: RunDirectory, question: Question) -> None:
    """Wait for an answer no more."""
    (directory.path / question).unlink(missing_ok=True)


def said(directory: RunDirectory, question: Question) -> dict[str, Any]:
    """The answer to a question, empty where there was nothing to say."""
    try:
        return as_object(json.loads(_answer_of(directory.path / question).read_text(encoding="utf-8"))) or {}
    except (OSError, ValueError):
        return {}


def forget(directory: RunDirectory) -> None:
    """Remove all questions and answers."""
    for question in Question:
        for path in (directory.path / question, _answer_of(directory.path / question)):
            path.unlink(missing_ok=True)


def _answer_of(path: Path) -> Path:
    return path.with_name(path.name + ANSWER)
