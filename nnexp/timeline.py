"""Where the time of each process goes, where the environment variable NNEXP_TIMELINE names a folder; else nothing.

    with span("fit"): ...        or, above a function, @span("fit")

Each process appends a line of JSON to a file of its own, PID.jsonl, at the end of each span. Spans may be nested;
imports are noted by themselves. `python -m benchmarks timeline` makes a table and a picture of it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

FOLDER = os.environ.get("NNEXP_TIMELINE")
SHORTEST_IMPORT = 0.001  # CPU seconds; there are thousands of shorter ones


class _Nothing:
    """What a span is where nobody asks: it costs a fifth of a microsecond."""

    def __call__(self, function: Any) -> Any:
        return function

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class _Span(_Nothing):
    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, function: Any) -> Any:
        from functools import wraps

        @wraps(function)
        def spanned(*arguments: Any, **named: Any) -> Any:
            with _Span(self.name):  # one for each call, of whatever thread
                return function(*arguments, **named)

        return spanned

    def __enter__(self) -> None:
        self.begin, self.cpu = time.time(), time.thread_time()

    def __exit__(self, *_: object) -> None:
        write(self.name, self.begin, time.time(), time.thread_time() - self.cpu)


_NOTHING = _Nothing()


def span(name: str) -> _Nothing:
    """A part of the work of this process, by a name that says what is done: fit, drawing, waiting."""
    return _NOTHING if FOLDER is None else _Span(name)


def write(name: str, begin: float, end: float, cpu: float, **more: Any) -> None:
    """Append a span: seconds since the epoch, and the CPU seconds of its thread.

    ``process`` is the CPU time of the process so far: what is in no span is seen by it, whatever way the process ends.
    """
    if FOLDER is None:
        return
    import json
    from contextlib import suppress

    line = {"name": name, "begin": begin, "end": end, "cpu": cpu, "thread": threading.get_ident()}
    line |= {"process": time.process_time()} | more
    path = os.path.join(FOLDER, f"{os.getpid()}.jsonl")
    with suppress(OSError), open(path, "a", encoding="utf-8") as file:  # as on a full disk
        file.write(json.dumps(line) + "\n")


def _started() -> float:
    """When this process was started, in seconds since the epoch; /proc has it to 10 ms."""
    try:
        with open("/proc/self/stat", encoding="utf-8") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        age = time.process_time()
    return time.time() - age


def _note_imports() -> None:
    """Note each import that takes a while, with all that it imports in its turn."""
    import builtins

    importing, imported = builtins.__import__, threading.local()

    def noting(*arguments: Any, **named: Any) -> Any:
        if getattr(imported, "is_inside", False):
            return importing(*arguments, **named)
        imported.is_inside = True
        begin, cpu = time.time(), time.thread_time()
        try:
            return importing(*arguments, **named)
        finally:
            imported.is_inside = False
            if (used := time.thread_time() - cpu) > SHORTEST_IMPORT:
                write("imports", begin, time.time(), used)

    builtins.__import__ = noting


def end() -> None:
    """Note the end of this process, also where it ends in a way that Python does not see."""
    write("end", time.time(), time.time(), 0.0)


if FOLDER is not None:
    write("imports", _started(), time.time(), time.process_time(), argv=sys.orig_argv)
    import atexit

    _note_imports()
    atexit.register(end)
