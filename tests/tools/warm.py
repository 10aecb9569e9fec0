"""Commands in processes that need not import the libraries again, which is most of what a short command does.

A server imports NumPy, SciPy, Hydra, MLflow and the like, and keeps nothing of nnexp. For each command it forks a
process (`preloaded.py`) that imports nnexp by itself and is from there on what a new process would be: it has its own
arguments, environment, folder, file descriptors, session and exit status, it takes signals, it is found in the table of
processes by its words, and its companion is a child of it. What is not like a new process: its parent, and that the
libraries are there before they are asked for. Tests of that start new processes. NNEXP_COLD=1 has all tests do so.

`run` does one command, `popen` starts one. Once `install` was called, a `subprocess.Popen` of `nnexp`, or of a
companion of the tests' process, is such a process as well.
"""

import _posixsubprocess
import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading

HANGING = 600.0  # as in waiting.py, which this file finds only in the tests' process
# What may differ from the environment of the server, for nothing reads it while the libraries are imported.
READ_LATER = (
    "NNEXP_", "PYTEST_", "MLFLOW_", "_MLFLOW_", "HYDRA_FULL_ERROR", "PYTHONPATH", "COLUMNS",
    "GIT_PYTHON_", "KMP_", "no_proxy",  # set by MLflow, scikit-learn and nnexp when they are imported
)  # fmt: skip


def _deciding(environment):
    return {key: value for key, value in environment.items() if not key.startswith(READ_LATER)}


# In the tests' process.

STARTED_WITH = _deciding(os.environ)
OURS = ([sys.executable, "-m", "nnexp"], [sys.executable, "-P", "-m", "nnexp.publisher"])
_usual = _posixsubprocess.fork_exec
_asked = threading.local()  # `always`: whether this thread starts something by `popen`
_waiting: dict[int, socket.socket] = {}  # by process id, those whose end is not known yet
_lock, _address = threading.Lock(), None
ROOM, ROOM_OF_MARK = 4000, 100  # bytes in the table of processes, to be written over
MARK = "NNEXP_TEST"  # as in processes.py


def _can_be_forked(env):
    return sys.platform == "linux" and "NNEXP_COLD" not in env and _deciding(env) == STARTED_WITH


def run(words, cwd, settings, *, given=""):
    """Exit status, standard output and standard error of a command, ``PYTHON -m MODULE ...`` or ``PYTHON -c CODE``.

    `settings` are further variables of its environment, `given` is its standard input. Where the environment has
    something that may change what is imported, or how, it is done by a new process.
    """
    env = os.environ | settings
    if _can_be_forked(env):
        return _forked(words[1:], cwd, env, given)
    done = subprocess.run(words, cwd=cwd, env=env, input=given, capture_output=True, text=True, timeout=HANGING)
    return done.returncode, done.stdout, done.stderr


def _server():
    """The address of the server, which ends with this process."""
    global _address
    with _lock:
        if _address is None:
            name = f"nnexp-warm-{os.getpid()}"
            env = STARTED_WITH | {key: os.environ[key] for key in ("NNEXP_TEST_SESSION",) if key in os.environ}
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            words = [sys.executable, __file__, name, "-" * ROOM]
            process = subprocess.Popen(words, env=env | {MARK: "-" * ROOM_OF_MARK}, **pipes)
            assert process.stdout.readline(), "the server of warm processes did not start"
            atexit.register(process.communicate)
            _address = f"\0{name}"
    return _address


def _ask(words, cwd, env, files, **more):
    """Have a process started; its id, and where its end is told. `files` has pairs of descriptors: ours, and its."""
    line = socket.socket(socket.AF_UNIX)
    line.connect(_server())
    asked = {"words": words, "cwd": cwd, "env": env, "fds": [number for _, number in files], "session": False} | more
    request = json.dumps(asked).encode()
    socket.send_fds(line, [len(request).to_bytes(8)], [fd for fd, _ in files])
    line.sendall(request)
    return int.from_bytes(line.recv(8, socket.MSG_WAITALL)), line


def _spares(text):
    return 1 + 2 * ("joblib" in text)


def _forked(words, cwd, env, given):
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        stdin.write(given.encode())
        stdin.seek(0)
        files = [(each.fileno(), i) for i, each in enumerate((stdin, out, err))]
        words = list(map(str, words))
        spares = 2 * ("-c" in words) + _spares(" ".join((*words, given)))
        pid, line = _ask(words, str(cwd), dict(env), files, spares=spares)
        with line:
            line.settimeout(HANGING)
            try:
                status = _ended(line)
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(words, HANGING) from None
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
        return os.waitstatus_to_exitcode(status), *texts


def _ended(line, flags=0):
    """The status of a process that has ended, as of `waitpid`."""
    told = line.recv(8, socket.MSG_WAITALL | flags)
    return int.from_bytes(told) if told else signal.SIGKILL


def popen(words, **settings):
    """A process of ``PYTHON -m MODULE ...`` or ``PYTHON -c CODE``, as of `subprocess.Popen`."""
    if sys.platform == "linux":
        _server()  # which must not be started by itself
    _asked.always = True
    try:
        return subprocess.Popen(words, **settings)
    finally:
        _asked.always = False


class Popen(subprocess.Popen):
    """Knows how to wait for a process that is not a child of this one."""

    def _internal_poll(self, *arguments, **named):
        if self.returncode is None and getattr(self, "pid", None) in _waiting and self._waitpid_lock.acquire(False):
            try:
                if self.returncode is None:
                    pid, status = self._try_wait(os.WNOHANG)
                    if pid:
                        self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
            return self.returncode
        return super()._internal_poll(*arguments, **named)

    def _try_wait(self, wait_flags):
        line = _waiting.get(self.pid)
        if line is None:
            return super()._try_wait(wait_flags)
        try:
            status = _ended(line, socket.MSG_DONTWAIT if wait_flags & os.WNOHANG else 0)
        except BlockingIOError:
            return 0, 0
        del _waiting[self.pid]
        line.close()
        return self.pid, status


def install():
    """Have `subprocess` fork what it can."""
    if sys.platform == "linux":
        subprocess.Popen = Popen
        subprocess._fork_exec = _fork_exec


def _fork_exec(arguments, executables, close_fds, pass_fds, cwd, env, *rest):
    """In place of the function of that name of `_posixsubprocess`."""
    words = [os.fsdecode(word) for word in arguments]
    variables = dict(os.environ) if env is None else dict(os.fsdecode(item).split("=", 1) for item in env)
    is_ours = getattr(_asked, "always", False) or any(words[: len(each)] == each for each in OURS)
    p2cread, _, _, c2pwrite, _, errwrite, _, told_of_exec, _, session = rest[:10]
    is_plain = all(each in (None, -1) for each in rest[10:16])  # without group, users, umask and call before its begin
    if not (is_ours and is_plain and _can_be_forked(variables)):
        return _usual(arguments, executables, close_fds, pass_fds, cwd, env, *rest)
    streams = [(number if fd == -1 else fd, number) for number, fd in enumerate((p2cread, c2pwrite, errwrite))]
    files = [*streams, *((fd, fd) for fd in pass_fds if fd != told_of_exec)]
    folder = os.getcwd() if cwd is None else os.fsdecode(cwd)
    spares = 0 if "nnexp.publisher" in words else _spares(" ".join(words))
    pid, line = _ask(words[1:], folder, variables, files, spares=spares, session=session)
    _waiting[pid] = line
    return pid


# In the server.


def serve(address):
    """Import the libraries, and fork a process for each request until the tests' process is gone."""
    preload(forget="nnexp")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{address}")
        listener.listen(8)
        print("ready", flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    answer(connection)


def answer(connection):
    """Have a child of this process do what is asked for, tell how it ended, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, fds, _, _ = socket.recv_fds(connection, 8, 32)
    asked = json.loads(connection.recv(int.from_bytes(length), socket.MSG_WAITALL))

    def enter():
        connection.close()
        take(fds, asked["fds"])
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        if asked["session"]:
            os.setsid()
        show_mark(MARK, asked["env"].get(MARK, ""))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return [number for number in asked["fds"] if number > 2]

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # else one that comes at once would be ignored
    numbers = {"parent": asked["spares"], "worker": 0, "companion": 0}
    pid = start(asked["words"], enter, lambda role: None, numbers)
    connection.sendall(pid.to_bytes(8))
    for fd in fds:
        os.close(fd)
    end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    connection.sendall((end.si_status << 8 if end.si_code == os.CLD_EXITED else end.si_status).to_bytes(8))
    connection.recv(1)  # until it is known there: as long, no other process may get this id
    os._exit(0)


if __name__ == "__main__":
    from preloaded import make_room, preload, show_mark, start, take

    make_room(ROOM)
    serve(sys.argv[1])
