"""The trainer's side of the companion process that publishes its runs while it trains (:mod:`nnexp.publisher`).

Training and MLflow do not share an interpreter: a store that is slow, down or gone holds up the companion only, which
closes the run of a trainer that is killed with a true status. All that the two know of each other is on the disk: runs
in the backlog, their results, and the questions beside them (:mod:`nnexp.runs.questions`). A companion that is killed
is therefore just started again. One pipe to it is the life-line, which closes when the trainer ends, in whatever way;
what goes through it is a line to say "look now", which is no loss when it is lost, and the end of a run that the disk
cannot hold.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from nnexp.calls import Line
from nnexp.config import TrackingConfig
from nnexp.errors import one_line
from nnexp.paths import sqlite_path
from nnexp.runs import backlog, lease, questions
from nnexp.runs.directory import RunDirectory
from nnexp.runs.files import tell_once
from nnexp.runs.questions import Question
from nnexp.runs.records import Destination
from nnexp.standby import take
from nnexp.terminal import say
from nnexp.timeline import span
from nnexp.tracking.errors import StoreError
from nnexp.tracking.store import open_store

SHORTEST_POLL, LONGEST_POLL = 0.005, 0.05  # seconds between two looks for an answer: a twentieth of the wait so far
BRIEFLY = 1.0  # seconds to wait for a store, once all the patience with it is used up
RESTARTS = 5  # times in a row that a companion which dies of itself is started again, though nobody waits for it
HEALTHY_SECONDS = 60.0  # of life, after which the count of restarts begins anew
RESTART_PAUSE = 1.0  # seconds before the first of them, doubled at each
BELL_SECONDS = 30.0  # in which a companion that has died is started again and hears its bell
DEATHS_PER_QUESTION = 3  # after which the question is taken for what kills it


@dataclass(frozen=True)
class Settings:
    """What a companion process is given: whose runs it publishes, and where to."""

    owner: str
    root: str
    uri: str | None
    experiment: str
    heartbeat: float
    bell: str | None = None  # a named pipe, by which the workers of the owner ring


class Companion:
    """A companion process of this one, started at the first use and again when it dies.

    Parameters
    ----------
    root
        The output directory.
    uri
        The store; None where no store is to get the runs, which are drawn only.
    """

    def __init__(self, root: str | Path, uri: str | None, experiment: str, heartbeat: float = 10.0) -> None:
        self.settings = Settings(lease.owner(), str(Path(root).resolve()), uri, experiment, heartbeat)
        self.process: subprocess.Popen[bytes] | None = None
        self._line: Line | None = None
        self._lock, self._pid = threading.RLock(), os.getpid()
        self._runs = self._is_closed = False
        self._last_words = ""
        self._deaths = self._restarts = 0
        self._waited = 0.0  # seconds for answers that took longer than BRIEFLY

    @property
    def is_remote(self) -> bool:
        """Whether the store is behind a network."""
        uri = self.settings.uri
        return uri is not None and sqlite_path(uri) is None

    # The process.

    def start(self) -> Companion:
        """Start the process where none runs, so that it can import while this one does something else."""
        with self._lock:
            if self._runs and not self._is_closed:
                return self
            if self.settings.bell is None:
                self.settings = replace(self.settings, bell=_new_bell())
            spawned = take(needs_mlflow=self.settings.uri is not None)
            self.process, self._line = spawned.process, Line(spawned.connection)
            self._write(json.dumps(asdict(self.settings)).encode())
            self._runs, self._is_closed = True, False
            threading.Thread(target=self._attend, args=(self.process, spawned.errors), daemon=True).start()
        return self

    def _attend(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        """Note what a process said when it died, and start another: this one may train and ask nothing for hours."""
        began = time.monotonic()
        process.wait()
        with errors:
            errors.seek(0)
            lines = errors.read().strip().splitlines()
        with self._lock:
            _close(process)
            if process is not self.process:
                return
            self._last_words = lines[-1].decode(errors="replace") if lines else "no message"
            self._runs = False
            if time.monotonic() - began > HEALTHY_SECONDS:
                self._restarts = 0  # what killed it is not what kills it at once
            self._deaths += not self._is_closed
            if self._is_closed or self._restarts == RESTARTS:
                return
            self._restarts += 1
        time.sleep(RESTART_PAUSE * 2 ** (self._restarts - 1))
        with suppress(OSError), self._lock:
            if not self._is_closed:
                self.start()

    def _write(self, line: bytes) -> None:
        with suppress(OSError, ValueError), self._lock:  # a process that is gone is missed by who waits for it
            if self.process is not None and self.process.stdin is not None:
                self.process.stdin.write(line + b"\n")

    def ring(self) -> None:
        """Have the process look at the disk now, and not only at its next look."""
        self.start()
        self._write(b"")

    def close(self) -> None:
        """Let the process finish what there is and end, without waiting for it."""
        if os.getpid() != self._pid:
            return  # a child that was forked ends, and not the trainer
        with self._lock:
            self._is_closed = True
            if self.process is not None:
                _close(self.process)
            if self.settings.bell is not None:
                Path(self.settings.bell).unlink(missing_ok=True)
                self.settings = replace(self.settings, bell=None)

    # What it is asked.

    @span("waiting")
    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function of a module returns for the store and these arguments.

        The process calls it, which has MLflow; where none lives, it is called here. So it must bear to be called twice.

        Raises
        ------
        StoreError
            If it cannot be done.
        """
        for _ in range(DEATHS_PER_QUESTION):
            process, line = self.start().process, self._line
            try:
                answer = line.call(function, arguments) if line is not None else None
            except (EOFError, OSError):
                answer = None
            if answer is None:
                while self._runs and self.process is process:  # until it is known that it is gone
                    time.sleep(SHORTEST_POLL)
                continue
            for text, about in answer.said:
                tell_once(text, about) if about else say(text)
            if answer.problem is not None:
                raise StoreError(answer.problem)
            return answer.value
        return function(open_store(self.settings.uri or "", self.settings.experiment), *arguments)

    def ask(self, directory: RunDirectory, *asked: Question) -> None:
        """Ask something about a run that is in the backlog; what to wait for then is :meth:`answer`.

        Raises
        ------
        StoreError
            If the directory is gone or cannot be written to.
        """
        try:
            questions.ask(directory, *asked)
        except OSError as error:
            raise StoreError(one_line(error)) from error
        self.ring()

    def answer(self, directory: RunDirectory, question: Question, seconds: float) -> dict[str, Any]:
        """Wait for the answer to what was asked. A claim that is refused stays asked until the trainer forgets it.

        It is waited for as long as publishing advances, and `seconds` from when it stands still.

        The waits for a slow store do not add up over the runs of this process: together they take `seconds`, and then
        each of them :data:`BRIEFLY`.

        Raises
        ------
        StoreError
            If it cannot be done, or there is no answer in time.
        """
        asks_store = question is not Question.DRAW
        if asks_store:
            seconds = min(seconds, max(seconds - self._waited, BRIEFLY))
        began, deaths, renewed = time.monotonic(), self._deaths, questions.renewed(directory, question)
        asked, entry = directory.path / question, backlog.entry_of(self.settings.root, directory)
        try:
            while asked.exists() and entry.exists():
                if self._deaths - deaths >= DEATHS_PER_QUESTION:
                    raise StoreError(f"the publishing process ended: {self._last_words}")
                self.start()
                if asks_store and (now := questions.renewed(directory, question)) != renewed:
                    began, renewed, self._waited = time.monotonic(), now, 0.0
                waited = time.monotonic() - began
                if waited > seconds:
                    who = "the tracking store" if asks_store else "the publishing process"
                    raise StoreError(f"{who} did not answer within {seconds:.0f} s")
                time.sleep(min(max(waited / 20, SHORTEST_POLL), LONGEST_POLL))
            self._restarts = 0
        except OSError as error:
            raise StoreError(one_line(error)) from error
        finally:
            if question is not Question.CLAIM:
                questions.withdraw(directory, question)
            if asks_store and self.is_remote:
                self._waited += max(time.monotonic() - began - BRIEFLY, 0.0)
        said = questions.said(directory, question)
        if "problem" in said:
            raise StoreError(said["problem"])
        return said

    def has_something_of(self, directory: RunDirectory) -> bool:
        """Whether there is something of a run that the store does not have."""
        return backlog.has(self.settings.root, directory)

    def fail(self, directory: RunDirectory, message: str) -> None:
        """Close a run as FAILED in the store whose directory cannot be written to any more."""
        self.start()
        self._write(json.dumps({"path": str(directory.path), "message": message}).encode())


class ParentsCompanion(Companion):
    """The companion of the process that started this one: a sweep has one for all its workers on a machine."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.root, None, settings.experiment)
        self.settings = settings

    def start(self) -> Companion:
        """Do nothing: whose it is starts it, also when it dies."""
        return self

    def _write(self, line: bytes) -> None:
        """Write; only an empty line may be lost, for a companion that is being started looks by itself."""
        until = time.monotonic() + BELL_SECONDS * bool(line)
        while True:
            with suppress(OSError):
                bell = os.open(str(self.settings.bell), os.O_WRONLY | os.O_NONBLOCK)
                with open(bell, "wb") as pipe:
                    pipe.write(line + b"\n")
                return
            if time.monotonic() >= until:
                return
            time.sleep(LONGEST_POLL)

    def close(self) -> None:
        """Do nothing."""


def _new_bell() -> str | None:
    """A named pipe for workers; None where there are none, and each worker starts a companion of its own."""
    path = Path(tempfile.gettempdir()) / f"nnexp-bell-{secrets.token_hex(8)}"
    try:
        os.mkfifo(path, 0o600)
        return str(path)
    except (AttributeError, OSError):
        return None


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()


_companions: dict[tuple[str, str | None, str, int], Companion] = {}


def companion_of(tracking: TrackingConfig) -> Companion:
    """The companion that publishes runs of a config; one for all the runs of this process that go to one store."""
    destination = destination_of(tracking)
    if _parents is not None and _is_for(_parents.settings, tracking):
        return _parents
    key = (tracking.directory, destination.uri, tracking.experiment, os.getpid())
    if key not in _companions:
        _companions[key] = Companion(tracking.directory, destination.uri, tracking.experiment, tracking.heartbeat)
        atexit.register(_companions[key].close)
    return _companions[key]


_parents: ParentsCompanion | None = None


def use_parents(settings: Settings) -> None:
    """Have the runs of this process published by the companion of the process that started it."""
    global _parents
    _parents = ParentsCompanion(settings)


def parent_of(tracking: TrackingConfig) -> str | None:
    """The process whose companion publishes runs of a config, where it is not this one."""
    return _parents.settings.owner if _parents is not None and _is_for(_parents.settings, tracking) else None


def _is_for(settings: Settings, tracking: TrackingConfig) -> bool:
    destination, root = destination_of(tracking), str(Path(tracking.directory).resolve())
    return (settings.root, settings.uri, settings.experiment) == (root, destination.uri, tracking.experiment)


def destination_of(tracking: TrackingConfig, resume: bool | str = True) -> Destination:
    """The store that a run of a config is made for."""
    uri = tracking.uri if tracking.backend == "mlflow" else None
    return Destination(uri, tracking.experiment, tracking.sweep, resume)
