"""What a user's function reads while it runs: the files that Python is seen to open, and whether that can be all.

Files that a C library opens by itself are not seen, nor what was decided by the environment or the clock.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nnexp.own.places import State, is_own_file, state_of

ELSEWHERE = ("socket.connect", "subprocess.Popen", "os.system", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn")
OPENED, LISTED, CONNECTED = ("open",), ("os.listdir", "os.scandir"), ("sqlite3.connect",)
SYSTEM, MEMORY = ("/proc/", "/dev/", "/sys/"), "/dev/shm/"  # whose files are no data, and are


@dataclass
class Seen:
    """What was seen.

    Attributes
    ----------
    files
        What was read, by absolute path, with its state when it was read first.
    is_all
        False where other machines or processes were asked, whose answers have no state.
    """

    files: dict[str, State] = field(default_factory=dict[str, State])
    is_all: bool = True

    def event(self, name: str, arguments: tuple[object, ...]) -> None:
        """Take note of an audit event."""
        if name in ELSEWHERE:
            self.is_all = False
        elif name in OPENED and _reads(*arguments):
            self._note(arguments[0])
        elif name in LISTED:
            self._note("." if arguments[0] is None else arguments[0])
        elif name in CONNECTED and isinstance(arguments[0], str):
            path = arguments[0].removeprefix("file:").partition("?")[0]
            for suffix in ("", "-wal"):
                self._note(path + suffix)

    def _note(self, path: object) -> None:
        if not isinstance(path, str | bytes):
            return  # a descriptor, of what was opened before
        try:
            found = os.path.abspath(os.fsdecode(path))
        except OSError:  # the current folder is gone; whatever is raised here, the user's own call would raise
            return
        is_system = found.startswith(SYSTEM) and not found.startswith(MEMORY)
        if found not in self.files and not is_system and is_own_file(found) and not found.endswith(".pyc"):
            self.files[found] = state_of(found)


def _reads(path: object, mode: object = None, flags: object = 0) -> bool:
    if isinstance(mode, str):
        return "r" in mode or "+" in mode
    return not (isinstance(flags, int) and flags & os.O_WRONLY)


_observers: dict[int, tuple[Seen, frozenset[int]]] = {}  # by thread: what it sees, and threads that are none of its own


def _hook(name: str, arguments: tuple[object, ...]) -> None:
    if not _observers or (name not in _EVENTS):
        return
    thread = threading.get_ident()
    for seen, others in list(_observers.values()):
        if thread not in others:
            seen.event(name, arguments)


_EVENTS = frozenset((*ELSEWHERE, *OPENED, *LISTED, *CONNECTED))
_is_installed = False


@contextmanager
def observed() -> Generator[Seen]:
    """See what this thread, and those that it starts, read meanwhile."""
    global _is_installed
    if not _is_installed:  # at the first use: a hook stays, and every event of the process costs a call
        sys.addaudithook(_hook)
        _is_installed = True
    mine, seen = threading.get_ident(), Seen()
    others = {thread.ident for thread in threading.enumerate() if thread.ident is not None} - {mine}
    _observers[mine] = seen, frozenset(others)
    try:
        yield seen
    finally:
        del _observers[mine]
