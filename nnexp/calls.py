"""Functions of the store that another process calls, which has MLflow: a trainer needs not import it.

Both ends of one connection. A request is a function of a module and its arguments; the answer is what it returns, or
why it cannot, and what it has said to the person meanwhile. Requests are answered in their order, one at a time.
"""

from __future__ import annotations

import pickle
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from nnexp.errors import one_line
from nnexp.terminal import overheard


@dataclass(frozen=True)
class Answer:
    """What came of a call; `problem` says why nothing did."""

    value: Any
    said: list[tuple[str, str]]  # lines, each with what it is about where that is to be told once
    problem: str | None = None


class Line:
    """The end of a connection that calls."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream: Any = connection.makefile("rwb")
        self._turn = threading.Lock()
        connection.close()  # the stream keeps it open

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Answer:
        """The answer to a request.

        Raises
        ------
        EOFError, OSError
            If the other end is gone.
        """
        request, answer = pickle.dumps((function, arguments)), Future[Answer]()
        # In a thread, for a Ctrl-C may end the wait for an answer, but not leave half of it to the next.
        threading.Thread(target=self._exchange, args=(request, answer), daemon=True).start()
        return answer.result()

    def _exchange(self, request: bytes, answer: Future[Answer]) -> None:
        try:
            with self._turn:
                pickle.dump(request, self._stream)
                self._stream.flush()
                answer.set_result(pickle.load(self._stream))
        except (EOFError, OSError) as error:
            answer.set_exception(error)
        except Exception as error:  # what came back cannot be read here
            answer.set_result(Answer(None, [], one_line(error)))


def serve(stream: Any, store: object) -> None:
    """Answer the requests of a connection until its other end is gone; each function gets the store first."""
    while True:
        try:
            request = pickle.load(stream)
        except (EOFError, OSError):
            return
        reply = _answered(request, store)
        try:
            stream.write(reply)
            stream.flush()
        except OSError:
            return


def _answered(request: bytes, store: object) -> bytes:
    with overheard() as said:
        try:
            function, arguments = pickle.loads(request)
            return pickle.dumps(Answer(function(store, *arguments), said))
        except (Exception, SystemExit) as error:  # a user's module may do that where it is imported
            return pickle.dumps(Answer(None, said, one_line(error)))
