"""Commands in processes that need not import the libraries again, which is most of what a short command does.

A server imports NumPy, SciPy, Hydra, MLflow and the like, and keeps nothing of nnexp. For each command it forks a
process (`preloaded.py`) that imports nnexp by itself and is from there on what a new process would be: it has its own
arguments, environment, folder, file descriptors and exit status, and its companion is a child of it. What is not like a
new process: its command line in the table of processes, and that the libraries are there before they are asked for. So
tests of that, and those that send signals, start new processes. NNEXP_COLD=1 has all tests do so.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache

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


def run(words, cwd, settings, *, given=""):
    """Exit status, standard output and standard error of a command, ``PYTHON -m MODULE ...`` or ``PYTHON -c CODE``.

    `settings` are further variables of its environment, `given` is its standard input. Where the environment has
    something that may change what is imported, or how, it is done by a new process.
    """
    env = os.environ | settings
    if sys.platform == "linux" and "NNEXP_COLD" not in env and _deciding(env) == STARTED_WITH:
        return _forked(words[1:], cwd, env, given)
    done = subprocess.run(words, cwd=cwd, env=env, input=given, capture_output=True, text=True, timeout=HANGING)
    return done.returncode, done.stdout, done.stderr


@cache
def _server():
    """The address of the server, which ends with this process."""
    address = f"\0nnexp-warm-{os.getpid()}"
    env = STARTED_WITH | {key: os.environ[key] for key in ("NNEXP_TEST_SESSION",) if key in os.environ}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, __file__, address[1:]], env=env, **pipes)
    assert process.stdout.readline(), "the server of warm processes did not start"
    atexit.register(process.communicate)
    return address


def _forked(words, cwd, env, given):
    with socket.socket(socket.AF_UNIX) as server, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with tempfile.TemporaryFile() as stdin:
            stdin.write(given.encode())
            stdin.seek(0)
            server.connect(_server())
            spares = 1 + 2 * ("-c" in words) + 2 * any("joblib" in each for each in (*words, given))
            request = json.dumps([list(map(str, words)), str(cwd), dict(env), spares]).encode()
            files = [each.fileno() for each in (stdin, out, err)]
            socket.send_fds(server, [len(request).to_bytes(8)], files)
            server.sendall(request)
        answers = server.makefile()
        pid = int(answers.readline())
        server.settimeout(HANGING)
        try:
            status = int(answers.readline())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(words, HANGING) from None
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
        return status, *texts


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
    length, fds, _, _ = socket.recv_fds(connection, 8, 3)
    words, cwd, env, spares = json.loads(connection.recv(int.from_bytes(length), socket.MSG_WAITALL))

    def enter():
        connection.close()
        for i, fd in enumerate(fds):
            os.dup2(fd, i)
            os.close(fd)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    pid = start(words, enter, lambda role: None, {"parent": spares, "worker": 0, "companion": 0})
    connection.sendall(f"{pid}\n".encode())
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    connection.sendall(f"{status}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    from preloaded import preload, start

    serve(sys.argv[1])
