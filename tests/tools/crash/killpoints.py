"""Counts the durable operations of a process and kills it, or all processes of its folder, before the k-th.

Durable is what outlives the process: a file made, written, renamed, removed; a folder made or removed; a SQLite
statement that ends a transaction; a request to a server that changes something. Files count below one folder only.
The processes of one role (the parent, a worker, a companion) count together, in a file.
"""

import builtins
import faulthandler
import io
import os
import signal
import sqlite3
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
FILES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")
ENDS = ("COMMIT", "CREATE", "ALTER", "DROP")  # of a transaction; what defines tables is one of its own
READS = (b"GET ", b"HEAD ")
ROLES = "roles"  # the file of who is what
WIDTH = 200  # bytes of a line in a file of operations


@dataclass(frozen=True)
class Kill:
    """Whom to kill before which operation."""

    role: str = ""
    number: int = 0  # of the operation, from 1; none where it is 0
    victims: str = "self"  # or "all": every process of the folder

    def __str__(self) -> str:
        return f"{self.role} at {self.number}, {self.victims}"


def trace_of(traces: Path, role: str) -> list[str]:
    """The operations that the processes of a role have done."""
    path = traces / role
    return [line.strip() for line in path.read_text().splitlines()] if path.exists() else []


def processes_of(folder: Path) -> list[int]:
    """The processes whose current folder is this one or below it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                where = os.readlink(entry / "cwd").removesuffix(" (deleted)")
                is_dead = (entry / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
            except OSError:
                continue
            if not is_dead and (where == str(folder) or where.startswith(f"{folder}/")):
                found.append(int(entry.name))
    return found


class Counter:
    """The operations of this process."""

    def __init__(self, folder: Path, traces: Path, role: str, kill: Kill) -> None:
        self.folder, self.role, self.kill = str(folder), role, kill
        data = folder / "work/data"  # where it is a link, all points have the same data sets
        self.shared = f"{data}/" if data.is_symlink() else "\0"
        self._lock = threading.RLock()
        self._trace = os.open(traces / role, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def is_below(self, path: object) -> bool:
        """Whether a path is one of those that count."""
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        absolute = os.path.abspath(os.fsdecode(path))
        return absolute.startswith(self.folder + "/") and not absolute.startswith(self.shared)

    def count(self, what: str, half=lambda: None) -> None:
        """Note an operation that is about to happen; `half` does the half of it before the kill."""
        with self._lock:
            line = f"{os.getpid()} {what}".replace("\n", " ").replace(self.folder + "/", "")
            os.write(self._trace, line.encode()[: WIDTH - 1].ljust(WIDTH - 1) + b"\n")
            number = os.lseek(self._trace, 0, os.SEEK_CUR) // WIDTH
            if self.role == self.kill.role and number == self.kill.number:
                half()
                if self.kill.victims == "all":
                    for pid in processes_of(Path(self.folder)):
                        if pid != os.getpid():
                            os.kill(pid, signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()  # it takes a moment

    def does_something(self, event: str, path) -> bool:
        """Whether a folder is not there yet, or what is to be removed is there."""
        return os.path.lexists(path) != (event == "os.mkdir") or event not in ("os.mkdir", "os.remove", "os.rmdir")

    def hook(self, event: str, arguments: tuple) -> None:
        """An audit hook of the interpreter."""
        if event == "open":
            path, _, flags = arguments
            if flags & WRITES and self.is_below(path):
                self.count(f"open {os.fsdecode(path)}")
        elif event in FILES:
            relative_to_a_descriptor = event in ("os.remove", "os.rmdir") and arguments[1] != -1
            if relative_to_a_descriptor or (self.is_below(arguments[0]) and self.does_something(event, arguments[0])):
                self.count(" ".join([event, *(os.fsdecode(a) for a in arguments if isinstance(a, str | bytes))]))
        elif event == "http.client.send":
            self.request(arguments[1])

    def connect(self, *arguments, **settings) -> sqlite3.Connection:
        """`sqlite3.connect` whose transactions count."""
        connection = CONNECT(*arguments, **settings)
        connection.set_trace_callback(self.statement)
        return connection

    def statement(self, sql: str) -> None:
        """A statement of SQLite that is about to be executed."""
        if sql.lstrip()[:6].upper().startswith(ENDS):
            self.count("sqlite " + " ".join(sql.split())[:80])

    def request(self, data: object) -> None:
        """Bytes that are about to be sent to a server; questions do not count."""
        if not isinstance(data, bytes) or b" HTTP/1." not in data[:2000] or data.startswith(READS):
            return
        line = data.split(b"\r\n", 1)[0].decode(errors="replace")
        if "/search" not in line:
            self.count("http " + line)

    def open(self, file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        """`open` whose writes count, each as the system call that it becomes."""
        raw_mode = mode.replace("t", "").replace("b", "")
        is_plain = raw_mode in ("w", "x", "a", "w+", "x+") and opener is None and buffering == -1
        if not (is_plain and self.is_below(file)):
            return OPEN(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = _Raw(file, raw_mode, closefd)
        raw.counter = self
        buffered = io.BufferedRandom(raw) if "+" in raw_mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, io.text_encoding(encoding), errors, newline)


class _Raw(io.FileIO):
    counter: Counter

    def write(self, data) -> int:
        self.counter.count(f"write {self.name}", half=lambda: io.FileIO.write(self, bytes(data)[: len(data) // 2]))
        return super().write(data)


OPEN, CONNECT = io.open, sqlite3.connect


def install(folder: Path, traces: Path, role: str, kill: Kill) -> None:
    """Count from now on in this process, for good."""
    with open(traces / ROLES, "a") as roles:
        roles.write(f"{role} {os.getpid()}\n")
    faulthandler.register(signal.SIGUSR1, file=open(traces / f"stacks-{role}-{os.getpid()}", "w"))
    counter = Counter(folder, traces, role, kill)
    io.open = builtins.open = counter.open
    sqlite3.connect = sqlite3.dbapi2.connect = counter.connect
    sys.addaudithook(counter.hook)
