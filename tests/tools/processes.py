"""The processes that tests have started: known, on Linux, by marks in their environment, which their children inherit.

Run as a program it waits until its standard input is closed, which the system does however the tests' process ends,
and then ends all processes of that session: ``python processes.py SESSION``.
"""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SESSION, TEST = (
    "NNEXP_TEST_SESSION",
    "NNEXP_TEST",
)  # of all that one pytest starts; of a test or its fixtures


def marked(name: str, value: str) -> list[int]:
    """The processes that were started with this variable."""
    found, wanted = [], f"{name}={value}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def end_marked(name: str, value: str) -> None:
    """Kill them until there are none: one that is killed may have started another since they were listed."""
    for _ in range(1000):
        left = [pid for pid in marked(name, value) if pid != os.getpid()]
        if not left:
            return
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


@contextmanager
def ended_on_failure() -> Iterator[None]:
    """End all that was started within, if it fails: it would slow the tests that follow for as long as it runs."""
    os.environ[TEST] = mark = f"{os.getpid()}-{time.monotonic_ns()}"
    try:
        yield
    except BaseException:
        end_marked(TEST, mark)
        _collect_ended()
        raise


def _collect_ended() -> None:
    """Close the pipes of processes that have ended: else a later test, which is not to blame, fails by the warning."""
    for process in gc.get_objects():
        if isinstance(process, subprocess.Popen) and process.returncode is None and process.poll() is not None:
            for pipe in filter(None, (process.stdin, process.stdout, process.stderr)):
                with suppress(OSError):
                    pipe.close()


def end_with_this_process() -> subprocess.Popen:
    """Mark all that this process starts from now on, and have it ended when this process ends, be it by a kill.

    The watcher that does it is returned; closing its standard input ends the session earlier.
    """
    environment = {name: value for name, value in os.environ.items() if name not in (SESSION, TEST)}
    os.environ[SESSION] = f"{os.getpid()}-{time.monotonic_ns()}"
    words = [sys.executable, "-I", "-S", __file__, os.environ[SESSION]]
    # A session of its own: Ctrl-C in the terminal must not end the watcher before it has done its work.
    return subprocess.Popen(words, stdin=subprocess.PIPE, env=environment, start_new_session=True)


if __name__ == "__main__":
    sys.stdin.read()
    end_marked(SESSION, sys.argv[1])
