"""Python processes that begin where the imports end: forked from one that has imported what they need.

`python -m MODULE ...` is run as its own main module in a process of its own. What it starts as `python -m ...` itself
(a companion, joblib's workers) is forked too, from spare children that it got before its first line: they have neither
its threads nor its connections. Whatever else it starts is started in the usual way.
"""

import _posixsubprocess
import atexit
import gc
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

SPARES = {"parent": 8, "worker": 3, "companion": 0}
HIGH = 200  # number of the first descriptor that no process of ours uses for something else
MODULES = (
    "hydra", "joblib", "matplotlib.pyplot", "mlflow", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracking", "numpy", "pandas", "scipy.io", "scipy.optimize", "sklearn.datasets", "sklearn.metrics",
    "PIL.WebPImagePlugin", "PIL.PngImagePlugin", "hydra_plugins.hydra_joblib_launcher.joblib_launcher",
    "joblib.externals.loky", "nnexp.figures", "nnexp.compose", "nnexp.hydra_app", "nnexp.report",
    "nnexp.tasks.network.description", "nnexp.summary",
    "nnexp.sweeps.job", "nnexp.sweeps.sweeper", "nnexp.tracking.publication", "nnexp.recovery", "nnexp.execute",
    "hydra._internal.hydra", "hydra._internal.utils", "hydra.plugins.sweeper",
    "hydra._internal.core_plugins.basic_launcher",
)  # fmt: skip

Install = Callable[[str], None]  # gets the role of a new process, in that process, before its first line


def preload() -> None:
    """Import what the processes will need; what is not there any more is left out."""
    from nnexp.tracking.store import import_mlflow

    import_mlflow()
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError:
            print(f"not preloaded: {name}", file=sys.stderr)
    gc.collect()
    gc.freeze()


def role_of(module: str) -> str:
    """What a process that runs a module is to us."""
    if module == "nnexp":
        return "parent"
    return "worker" if "loky" in module else "companion"


def start(words: Sequence[str], enter: Callable[[], None], install: Install) -> int:
    """Run `python -m WORDS` in a new process, whose folder, streams and environment `enter` sets; return its id."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            enter()
        except BaseException:
            os._exit(99)
        _become(list(words), install)
    return pid


def _become(words: list[str], install: Install) -> None:
    """Be the main process of a module until its end, and of nothing else after."""
    status = 1
    try:
        role = role_of(words[0])
        spares = _Spares(SPARES[role], install)
        install(role)
        _posixsubprocess.fork_exec = subprocess._fork_exec = spares.fork_exec
        sys.argv = ["", *words[1:]]
        try:
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except KeyboardInterrupt:
            status = 130
        except BaseException:
            import traceback

            traceback.print_exc()
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


class _Spares:
    """Children that wait to become what this process starts."""

    def __init__(self, number: int, install: Install) -> None:
        self._usual, self._lock = _posixsubprocess.fork_exec, threading.Lock()
        self._ready: list[tuple[int, socket.socket]] = []
        for _ in range(number):
            here, there = socket.socketpair()
            pid = os.fork()
            if pid == 0:
                for _, other in self._ready:
                    other.close()
                here.close()
                self._wait(there, install)
            there.close()
            self._ready.append((pid, here))

    def fork_exec(self, arguments, executables, close_fds, pass_fds, cwd, env, *rest) -> int:
        """In place of the function of that name of `_posixsubprocess`."""
        words = [os.fsdecode(word) for word in arguments]
        with self._lock:
            spare = self._ready.pop(0) if words[1:2] == ["-m"] and self._ready else None
        if spare is None:
            return self._usual(arguments, executables, close_fds, pass_fds, cwd, env, *rest)
        pid, line = spare
        p2cread, _, _, c2pwrite, _, errwrite, _, told_of_exec = rest[:8]
        streams = [(fd, number) for number, fd in enumerate((p2cread, c2pwrite, errwrite)) if fd != -1]
        fds = [*streams, *((fd, fd) for fd in pass_fds if fd != told_of_exec)]
        message = {
            "words": words[2:],
            "fds": [number for _, number in fds],
            "env": None if env is None else [os.fsdecode(item) for item in env],
            "session": rest[9],
        }
        content = json.dumps(message).encode()
        # The answer to the length says that it has come, so that the descriptors and it do not mix.
        socket.send_fds(line, [len(content).to_bytes(4, "big")], [fd for fd, _ in fds])
        line.recv(1)
        line.sendall(content)
        line.recv(1)
        line.close()
        return pid

    def _wait(self, line: socket.socket, install: Install) -> None:
        """In a spare: until it is wanted, or its parent is gone."""
        try:
            length, received, _, _ = socket.recv_fds(line, 4, 32)
            if not length:
                os._exit(0)
            line.sendall(b".")
            with line.makefile("rb") as reader:
                message = json.loads(reader.read(int.from_bytes(length, "big")))
            high = [_move_up(fd) for fd in received]
            line.sendall(b".")
            line.close()
            for fd, number in zip(high, message["fds"], strict=True):
                os.dup2(fd, number)
                os.close(fd)
            if message["env"] is not None:
                os.environ.clear()
                os.environ.update(item.split("=", 1) for item in message["env"])
            if message["session"]:
                os.setsid()
        except BaseException:
            os._exit(1)
        _become(message["words"], install)


def _move_up(fd: int) -> int:
    import fcntl

    moved = fcntl.fcntl(fd, fcntl.F_DUPFD, HIGH)
    os.close(fd)
    return moved
