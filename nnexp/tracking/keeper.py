"""The keeper: a companion process that publishes runs while this one trains.

Training and MLflow do not share an interpreter. The keeper imports MLflow on another core, looks every few seconds at
the directories of open runs and brings the store up to date, draws the pictures of a run that has ended, and answers
questions about the store. A store that is slow, down or gone holds up the keeper only; a trainer that is killed leaves
a keeper behind that closes its run with a true status and ends.

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
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from nnexp.tracking.rundir import RunDirectory
from nnexp.tracking.store import StoreError, sqlite_path

BRIEFLY = 1.0  # seconds to wait for a store that was silent the last time


class Keeper:
    """The trainer's end of the line to one keeper process, which it starts at the first use and restarts if it dies."""

    def __init__(self, uri: str | None, experiment: str, heartbeat: float = 10.0) -> None:
        self.uri, self.experiment, self.heartbeat = uri, experiment, heartbeat
        self._process: subprocess.Popen | None = None
        self._waiting: dict[int, Future] = {}
        self._lock = threading.Lock()
        self._number = 0
        self._silent = False
        self._errors: Any = None

    @property
    def is_remote(self) -> bool:
        """Whether the store is behind a network."""
        return self.uri is not None and sqlite_path(self.uri) is None

    def start(self) -> Keeper:
        """Start the process, so that it can import while this one does something else."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._spawn()
        return self

    def _spawn(self) -> None:
        settings = {"uri": self.uri, "experiment": self.experiment, "heartbeat": self.heartbeat}
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nnexp.tracking.keeper_process", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            answer = json.loads(line)
            future = self._waiting.pop(answer["number"], None)
            if future is None:
                continue
            if "error" in answer:
                future.set_exception(StoreError(answer["error"]))
            else:
                future.set_result(answer["result"])
        process.wait()
        for number in list(self._waiting):
            future = self._waiting.pop(number, None)
            if future is not None:
                future.set_exception(StoreError(f"the publishing process ended: {self._last_words()}"))

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no message"

    def ask(self, operation: str, **arguments: Any) -> Future:
        """Send a request; the future holds the answer, or a :class:`StoreError`."""
        future: Future = Future()
        for attempt in (1, 2):
            self.start()
            with self._lock:
                assert self._process is not None
                assert self._process.stdin is not None
                self._number += 1
                self._waiting[self._number] = future
                request = {"number": self._number, "operation": operation, **arguments}
                try:
                    self._process.stdin.write(json.dumps(request).encode() + b"\n")
                    self._process.stdin.flush()
                    return future
                except BrokenPipeError:
                    self._waiting.pop(self._number, None)
                    self._process.wait()
                    if attempt == 2:
                        future.set_exception(StoreError(f"the publishing process ended: {self._last_words()}"))
        return future

    def answer(self, operation: str, timeout: float | None = None, **arguments: Any) -> Any:
        """Send a request and wait for the answer, only briefly if the last one did not come in time either.

        Raises
        ------
        StoreError
            Where the store cannot do it or does not answer in time.
        """
        if self._silent and timeout is not None:
            timeout = min(timeout, BRIEFLY)
        try:
            result = self.ask(operation, **arguments).result(timeout)
        except FutureTimeout:
            self._silent = True
            raise StoreError(f"the tracking store did not answer within {timeout:g} s") from None
        self._silent = False
        return result

    def open(self, directory: RunDirectory) -> None:
        """Follow a run directory from now on."""
        self.ask("open", path=str(directory.path))

    def close(self) -> None:
        """Let the keeper finish what it has and end, without waiting for it."""
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                try:
                    self._process.stdin.close()
                except BrokenPipeError:
                    pass
                self._process = None


_keepers: dict[tuple[str | None, str, int], Keeper] = {}


def keeper_for(uri: str | None, experiment: str, heartbeat: float = 10.0) -> Keeper:
    """The keeper of this process for a store; the same for all its runs."""
    key = (uri, experiment, os.getpid())
    if key not in _keepers:
        _keepers[key] = Keeper(uri, experiment, heartbeat)
        atexit.register(_keepers[key].close)
    return _keepers[key]
