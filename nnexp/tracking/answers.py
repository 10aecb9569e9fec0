"""Requests of the trainer as its keeper holds them until they are answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from nnexp.errors import one_line

Request = dict[str, Any]
Reply = Callable[[dict[str, Any]], None]


class Answers:
    """Questions that wait for an answer; each is answered once."""

    def __init__(self, reply: Reply) -> None:
        self._reply, self._lock = reply, threading.Lock()
        self._waiting: dict[int, float] = {}

    def expect(self, number: int) -> None:
        """Note a question."""
        with self._lock:
            self._waiting[number] = time.monotonic()

    def longest_wait(self) -> float:
        """Seconds since the oldest question that has no answer."""
        with self._lock:
            return time.monotonic() - min(self._waiting.values(), default=time.monotonic())

    def is_waiting(self, number: int) -> bool:
        """Whether the trainer still waits for this answer."""
        return number in self._waiting

    def give(self, number: int, **answer: Any) -> None:
        """Answer a question that has not been answered."""
        with self._lock:
            if self._waiting.pop(number, None) is not None:
                self._reply({"number": number, **answer})

    def refuse_all(self, problem: str) -> None:
        """Answer all questions in the negative."""
        for number in list(self._waiting):
            self.give(number, error=problem)


def serve(request: Request, answers: Answers, operations: Any) -> None:
    """Do what a request asks and answer it."""
    number, operation = request.pop("number"), request.pop("operation")
    try:
        result = getattr(operations, f"do_{operation}")(**request)
    except Exception as error:
        answers.give(number, error=one_line(error))
    else:
        answers.give(number, result=result)
