"""Runs a command that must not outlive the process which starts it, however that one ends.

    python -m nnexp.lifeline COMMAND...     with a pipe as standard input, in a session of its own

The pipe closes with the starting process, after `kill -9` too; then the command is ended with all that it has started.
The signal that Linux sends at a parent's death would reach the command only, not its own children.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

GRACE = 5.0  # seconds to end by itself, before it is killed


def start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen:
    """Start a command that ends with this process, or when the standard input of what is returned is closed."""
    words = [sys.executable, "-P", "-m", "nnexp.lifeline", *command]
    return subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, start_new_session=True)


def end(process: subprocess.Popen) -> None:
    """End what :func:`start` has started, and wait until it is gone."""
    if process.stdin is not None:
        process.stdin.close()
    process.wait()


def main() -> None:
    """Run the command to its end or to that of the pipe, and leave nothing of it behind, this process included."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # it sends that to its own group; the command does not inherit this
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_the_pipe, daemon=True).start()
    child.wait()
    os.killpg(0, signal.SIGKILL)


def _end_with_the_pipe() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
