"""Python processes that begin where the imports end: forked from one that has imported what they need.

`python -m MODULE ...` is run as its own main module in a process of its own, `python -c CODE` too. What it starts as
`python -m ...` itself (a companion, joblib's workers) is forked too, from spare children that it got before its first
line: they have neither its threads nor its connections. Whatever else it starts is started in the usual way.
"""

import _posixsubprocess
import atexit
import ctypes
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import ModuleType

PATH = tuple(sys.path[1:])  # without the folder of this program
SPARES = {"parent": 8, "worker": 3, "companion": 0}
HIGH = 200  # number of the first descriptor that no process of ours uses for something else
MODULES = (
    "hydra", "joblib", "matplotlib.pyplot", "mlflow", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracking", "numpy", "pandas", "scipy.io", "scipy.optimize", "sklearn.datasets", "sklearn.metrics",
    "scipy.stats", "pyarrow.parquet", "pandas.io.parquet", "sqlalchemy.dialects.sqlite", "alembic.command",
    "mlflow.store.artifact.local_artifact_repo", "nnexp.optim", "nnexp.nn.engine", "nnexp.evaluation",
    "PIL.WebPImagePlugin", "PIL.PngImagePlugin", "hydra_plugins.hydra_joblib_launcher.joblib_launcher",
    "joblib.externals.loky", "nnexp.figures", "nnexp.compose", "nnexp.hydra_app", "nnexp.report",
    "nnexp.tasks.network.description", "nnexp.summary",
    "nnexp.sweeps.job", "nnexp.sweeps.sweeper", "nnexp.tracking.publication", "nnexp.recovery", "nnexp.execute",
    "hydra._internal.hydra", "hydra._internal.utils", "hydra.plugins.sweeper",
    "hydra._internal.core_plugins.basic_launcher",
)  # fmt: skip

Install = Callable[[str], None]  # gets the role of a new process, in that process, before its first line


def preload(*, forget: str = "") -> None:
    """Import what the processes will need; what is not there any more is left out, and so is a package to `forget`."""
    from nnexp.tracking.mlflow_import import import_mlflow

    import_mlflow()
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError:
            print(f"not preloaded: {name}", file=sys.stderr)
    if forget:
        _forget(forget)
    gc.collect()
    gc.freeze()


def _forget(package: str) -> None:
    """Have each process import a package by itself, from wherever it finds it."""
    from omegaconf import OmegaConf

    OmegaConf.clear_resolvers()
    for name in [name for name in sys.modules if name.partition(".")[0] == package or name.endswith(".nnexp_sweeper")]:
        del sys.modules[name]


def role_of(words: Sequence[str]) -> str:
    """What a process is to us, by the words of Python."""
    if "nnexp.publisher" in words:
        return "companion"
    return "worker" if any("loky" in word for word in words[:3]) else "parent"


def start(
    words: Sequence[str],
    enter: Callable[[], Sequence[int] | None],
    install: Install,
    spares: Mapping[str, int] = SPARES,
) -> int:
    """Run `python WORDS` in a new process, set up by `enter` (folder, streams, environment, session); return its id.

    `enter` may return the descriptors that are for this process and for none that it starts.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        try:
            own = enter() or ()
        except BaseException:
            os._exit(99)
        _become(list(words), install, spares, own)
    return pid


def _run(words: list[str]) -> None:
    """Do `python WORDS` in this process: [-P] -m MODULE ... or -c CODE ...."""
    is_safe = words[0] == "-P"
    kind, what, *arguments = words[is_safe:]
    sys.orig_argv, sys.argv = [sys.executable, *words], [kind, *arguments]
    first = [] if is_safe else [os.getcwd() if kind == "-m" else ""]
    sys.path[:] = [*first, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *PATH]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)


def _become(words: list[str], install: Install, numbers: Mapping[str, int], own: Sequence[int] = ()) -> None:
    """Be the process of these words until its end, and of nothing else after."""
    status = 1
    try:
        role = role_of(words)
        _show_words(words)
        spares = _Spares(numbers, role, install, own)
        install(role)
        _posixsubprocess.fork_exec = subprocess._fork_exec = spares.fork_exec
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # not before: after a fork it would be lost
            _run(words)
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

    def __init__(self, numbers: Mapping[str, int], role: str, install: Install, own: Sequence[int]) -> None:
        self._usual, self._lock = _posixsubprocess.fork_exec, threading.Lock()
        self._ready: list[tuple[int, socket.socket]] = []
        for _ in range(numbers[role]):
            here, there = socket.socketpair()
            pid = os.fork()
            if pid == 0:
                for _, other in self._ready:
                    other.close()
                for fd in own:
                    os.close(fd)
                here.close()
                self._wait(there, install, numbers)
            there.close()
            self._ready.append((pid, here))

    def fork_exec(self, arguments, executables, close_fds, pass_fds, cwd, env, *rest) -> int:
        """In place of the function of that name of `_posixsubprocess`."""
        words = [os.fsdecode(word) for word in arguments]
        is_module = words[1:2] == ["-m"] or words[1:3] == ["-P", "-m"]
        spare = self._spare() if is_module else None
        if spare is None:
            return self._usual(arguments, executables, close_fds, pass_fds, cwd, env, *rest)
        pid, line = spare
        p2cread, _, _, c2pwrite, _, errwrite, _, told_of_exec = rest[:8]
        streams = [(fd, number) for number, fd in enumerate((p2cread, c2pwrite, errwrite)) if fd != -1]
        fds = [*streams, *((fd, fd) for fd in pass_fds if fd != told_of_exec)]
        if env is None:
            env = [f"{name}={value}" for name, value in os.environ.items()]  # as they are now
        message = {
            "words": words[1:],
            "fds": [number for _, number in fds],
            "env": [os.fsdecode(item) for item in env],
            "session": rest[9],
        }
        content = json.dumps(message).encode()
        # The answer to the length says that it has come, so that the descriptors and it do not mix.
        with line, suppress(OSError):  # where it was killed meanwhile, it is a child that was killed
            socket.send_fds(line, [len(content).to_bytes(4, "big")], [fd for fd, _ in fds])
            line.recv(1)
            line.sendall(content)
            line.recv(1)
        return pid

    def _spare(self) -> tuple[int, socket.socket] | None:
        """One that lives: a test that kills the children of a process kills these too."""
        with self._lock:
            while self._ready:
                pid, line = self._ready.pop(0)
                if not select.select([line], [], [], 0)[0]:
                    return pid, line
                line.close()
        return None

    def _wait(self, line: socket.socket, install: Install, numbers: Mapping[str, int]) -> None:
        """In a spare: until it is wanted, or its parent is gone."""
        try:
            length, received, _, _ = socket.recv_fds(line, 4, 32)
            if not length:
                os._exit(0)
            line.sendall(b".")
            with line.makefile("rb") as reader:
                message = json.loads(reader.read(int.from_bytes(length, "big")))
            line.sendall(b".")
            line.close()
            for handler in (signal.SIG_IGN, signal.default_int_handler):  # what was meant for others is forgotten
                signal.signal(signal.SIGINT, handler)
            take(received, message["fds"])
            own = [number for number in message["fds"] if number > 2]
            os.environ.clear()
            os.environ.update(item.split("=", 1) for item in message["env"])
            if message["session"]:
                os.setsid()
        except BaseException:
            os._exit(1)
        _become(message["words"], install, numbers, own)


def take(fds: Sequence[int], numbers: Sequence[int]) -> None:
    """Have descriptors under other numbers."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, HIGH) for fd in fds]
    for fd in fds:
        os.close(fd)
    for fd, number in zip(high, numbers, strict=True):
        os.dup2(fd, number)
        os.close(fd)


# What the table of processes shows of this one: Linux reads it from where the process was given it when it was started.

_room = 0


def make_room(n_bytes: int) -> None:
    """Say that the arguments of this program, which may be written over, have as many bytes."""
    global _room
    _room = n_bytes


def _show_words(words: Sequence[str]) -> None:
    if _room:
        text = "\0".join([sys.executable, *words]).encode()[: _room - 1]
        begin, end = _places()[:2]
        ctypes.memmove(begin, text.ljust(end - begin, b"\0"), end - begin)


def show_mark(name: str, value: str) -> None:
    """Set a variable of the environment in the table, where the program was started with one that is as long."""
    begin, end = _places()[2:]
    there = ctypes.string_at(begin, end - begin)
    at = there.find(f"\0{name}=".encode()) + 1
    length = there.index(b"\0", at) - at
    ctypes.memmove(begin + at, f"{name}={value}".encode()[:length].ljust(length, b"\0"), length)


def _places() -> list[int]:
    """Begin and end of the arguments and of the environment in the memory of this process."""
    with open("/proc/self/stat", encoding="utf-8") as file:
        return [int(field) for field in file.read().rpartition(")")[2].split()[45:49]]
