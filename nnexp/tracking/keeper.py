"""The keeper: a companion process that publishes runs while this one trains.

Training and MLflow do not share an interpreter. The keeper imports MLflow on another core, looks every few seconds at
the directories of open runs and brings the store up to date, draws the pictures of a run that has ended, and answers
questions about the store. A store that is slow, down or gone holds up the keeper only; a trainer that is killed leaves
a keeper behind that closes its run with a true status and ends; a keeper that is killed is started again.

The two speak JSON lines over pipes; this is the trainer's side, :mod:`nnexp.tracking.keeper_process` the other.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import IO, Any

from nnexp.errors import one_line
from nnexp.runs import lease
from nnexp.runs.directory import RunDirectory
from nnexp.runs.temporary import system_folder
from nnexp.tracking.store import StoreError, sqlite_path

BRIEFLY = 1.0  # seconds to wait for a store, once all the patience with it is used up
NOT_OF_THE_STORE = ("draw",)  # what the keeper does without the store, however silent that is
RESTARTS = 5  # times a keeper that dies of itself is started again for the runs that are open
RESTART_PAUSE = 1.0  # seconds before the first restart, doubled at each


class KeeperDiedError(StoreError):
    """The keeper ended before it had answered."""


class Line:
    """One keeper process and the questions that it has not answered yet."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.waiting: dict[int, Future] = {}
        self._errors: IO[bytes] = tempfile.TemporaryFile(dir=system_folder())
        self._last_words = "no message"
        self._lock = threading.Lock()
        self._number = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nnexp.tracking.keeper_process", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )

    def send(self, operation: str, **arguments: Any) -> Future:
        """Send a request; the future holds the answer, or a :class:`StoreError`.

        Raises
        ------
        OSError
            Where the process is gone.
        """
        assert self.process.stdin is not None
        future: Future = Future()
        with self._lock:
            self._number += 1
            self.waiting[self._number] = future
            request = {"number": self._number, "operation": operation, **arguments}
            try:
                self.process.stdin.write(json.dumps(request).encode() + b"\n")
                self.process.stdin.flush()
            except (OSError, ValueError):
                self.waiting.pop(self._number, None)
                raise BrokenPipeError(self.obituary) from None
        return future

    def listen(self) -> None:
        """Hand out answers until the process ends; what it leaves unanswered is answered with its last words."""
        assert self.process.stdout is not None
        for text in self.process.stdout:
            try:
                answer = json.loads(text)
            except json.JSONDecodeError:
                continue  # cut off by the death of the process
            future = self.waiting.pop(answer["number"], None)
            if future is None:
                continue
            if "error" in answer:
                future.set_exception(StoreError(answer["error"]))
            else:
                future.set_result(answer["result"])
        self.process.wait()
        self._errors.seek(0)
        if lines := self._errors.read().decode(errors="replace").strip().splitlines():
            self._last_words = lines[-1]
        while self.waiting:
            _, future = self.waiting.popitem()
            future.set_exception(KeeperDiedError(self.obituary))
        self.cut()
        self.process.stdout.close()
        self._errors.close()

    @property
    def obituary(self) -> str:
        """That the process ended, and the last line of what it wrote as an error, once it has been heard out."""
        return f"the publishing process ended: {self._last_words}"

    def cut(self) -> None:
        """Let the process finish what it has and end, without waiting for it."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except OSError:
            pass


class Keeper:
    """The trainer's end of the line to one keeper process, which it starts at the first use and restarts if it dies."""

    def __init__(self, uri: str | None, experiment: str, heartbeat: float = 10.0) -> None:
        self.uri, self.experiment, self.heartbeat = uri, experiment, heartbeat
        self._line: Line | None = None
        self._lock = threading.RLock()
        self._open: dict[str, None] = {}
        self._waited = 0.0  # seconds for answers that took longer than BRIEFLY
        self._restarts = 0

    @property
    def is_remote(self) -> bool:
        """Whether the store is behind a network."""
        return self.uri is not None and sqlite_path(self.uri) is None

    def start(self) -> Keeper:
        """Start the process, so that it can import while this one does something else."""
        self._ready_line()
        return self

    def _ready_line(self) -> Line:
        with self._lock:
            if self._line is None or self._line.process.poll() is not None:
                settings = {"uri": self.uri, "experiment": self.experiment, "heartbeat": self.heartbeat}
                settings["owner"] = lease.owner()
                self._line = Line(settings)
                threading.Thread(target=self._listen, args=(self._line,), daemon=True).start()
                for path in self._open:
                    self._line.send("open", path=path)
            return self._line

    def _listen(self, line: Line) -> None:
        """Hear a process out; where it dies in the middle of a run, start another, which goes on where it was."""
        line.listen()
        while self._line is line and self._open and self._restarts < RESTARTS:
            time.sleep(RESTART_PAUSE * 2**self._restarts)
            self._restarts += 1
            try:
                self._ready_line()
            except OSError:
                continue

    def ask(self, operation: str, **arguments: Any) -> Future:
        """Send a request; the future holds the answer, or a :class:`StoreError`."""
        if operation == "finish":
            self._open.pop(arguments["path"], None)
        problem: Exception | None = None
        for _ in range(2):
            try:
                return self._ready_line().send(operation, **arguments)
            except OSError as error:
                problem = error
                if self._line is not None:
                    self._line.process.wait()
        failed: Future = Future()
        failed.set_exception(StoreError(one_line(problem or OSError())))
        return failed

    def answer(self, operation: str, timeout: float | None = None, **arguments: Any) -> Any:
        """Send a request and wait for the answer.

        The waits for a slow store do not add up over the runs of this process: together they take `timeout` seconds,
        and then each of them :data:`BRIEFLY`.

        Raises
        ------
        StoreError
            Where the store cannot do it or does not answer in time.
        """
        asks_store = operation not in NOT_OF_THE_STORE
        if asks_store and timeout is not None:
            timeout = min(timeout, max(timeout - self._waited, BRIEFLY))
        try:
            return self._wait(operation, timeout, asks_store, arguments)
        except KeeperDiedError:
            return self._wait(operation, timeout, asks_store, arguments)

    def _wait(self, operation: str, timeout: float | None, asks_store: bool, arguments: dict[str, Any]) -> Any:
        future, began = self.ask(operation, **arguments), time.monotonic()
        try:
            return future.result(timeout)
        except FutureTimeout:
            who = "the tracking store" if asks_store else "the publishing process"
            raise StoreError(f"{who} did not answer within {timeout:.0f} s") from None
        finally:
            if asks_store and self.is_remote:
                self._waited += max(time.monotonic() - began - BRIEFLY, 0.0)

    def open(self, directory: RunDirectory) -> None:
        """Follow a run directory from now on."""
        self._open[str(directory.path)] = None
        self.ask("open", path=str(directory.path))

    def close(self) -> None:
        """Let the keeper finish what it has and end, without waiting for it."""
        with self._lock:
            line, self._line = self._line, None
            self._open.clear()
        if line is not None:
            line.cut()


_keepers: dict[tuple[str | None, str, int], Keeper] = {}


def keeper_for(uri: str | None, experiment: str, heartbeat: float = 10.0) -> Keeper:
    """The keeper of this process for a store; the same for all its runs."""
    key = (uri, experiment, os.getpid())
    if key not in _keepers:
        _keepers[key] = Keeper(uri, experiment, heartbeat)
        atexit.register(_keepers[key].close)
    return _keepers[key]
