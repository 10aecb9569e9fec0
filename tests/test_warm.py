"""A command in a forked process is what it is in a new one: `tests/tools/warm.py` does most commands of the tests."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import processes, warm
from tests.tools.waiting import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each command has a new process"),
]
PROBE = """
import atexit, json, os, resource, signal, sys, threading
import omegaconf
atexit.register(print, "at exit")
print(json.dumps({
    "given": sys.stdin.read(),
    "argv": sys.argv, "path": sys.path, "folder": os.getcwd(), "name": __name__,
    "main": sys.modules["__main__"].__dict__ is globals(),
    "environment": {k: v for k, v in os.environ.items() if k != "NNEXP_COLD"},
    "signals": [str(signal.getsignal(each)) for each in sorted(signal.valid_signals())],
    "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "files": [os.readlink(path) for i in range(3, 64) if os.path.lexists(path := f"/proc/self/fd/{i}")],
    "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
    "session": [os.getpgid(0), os.getsid(0)], "umask": os.umask(0), "threads": threading.active_count(),
    "nnexp": [name for name in sys.modules if name.startswith("nnexp")],
    "resolvers": omegaconf.OmegaConf.has_resolver("nnexp.path"),
}))
print("to nobody", file=sys.stderr)
import nnexp.cli
if sys.argv[1:] == ["raise"]:
    raise ValueError("raised")
if sys.argv[1:] == ["killed"]:
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGTERM)
sys.exit(3)
"""


def told(status, out, err):
    """What a command has told, without the socket that leads to its companion and the server's lines of a traceback."""
    first, *rest = out.splitlines()
    values = json.loads(first)
    values["files"] = [path for path in values["files"] if not path.startswith("socket:")]
    return status, values, rest, [err.splitlines()[0], err.splitlines()[-1]]


@pytest.mark.parametrize("words", [["a", "b"], ["raise"], ["killed"]], ids=" ".join)
def test_a_forked_process_is_like_a_new_one(tmp_path, words):
    command = [sys.executable, "-c", PROBE, *words]
    settings = {"MLFLOW_TRACKING_URI": "sqlite:///a.db", "PYTHONPATH": str(tmp_path)}
    forked, new = (
        told(*warm.run(command, tmp_path, settings | cold, given="für alle")) for cold in ({}, {"NNEXP_COLD": "1"})
    )
    assert forked == new
    assert forked[0] == {"a b": 3, "raise": 1, "killed": -15}[" ".join(words)]


def test_a_module_is_run_by_its_name(tmp_path):
    (tmp_path / "probe.py").write_text(PROBE)
    command = [sys.executable, "-m", "probe", "a"]
    assert told(*warm.run(command, tmp_path, {})) == told(*warm.run(command, tmp_path, {"NNEXP_COLD": "1"}))


def test_a_process_with_another_environment_is_a_new_one(tmp_path, monkeypatch):
    code = "import sys; print('numpy' in sys.modules)"
    assert warm.run([sys.executable, "-c", code], tmp_path, {})[1] == "True\n"
    assert warm.run([sys.executable, "-c", code], tmp_path, {"OMP_NUM_THREADS": "1"})[1] == "False\n"
    monkeypatch.delenv("PATH")
    assert "PATH" not in os.environ
    assert warm.run([sys.executable, "-c", code], tmp_path, {})[1] == "False\n"


WAITS = """
import json, os, sys
passed = int(sys.argv[1])
seen = {name: open(f"/proc/self/{name}", "rb").read().rstrip(b"\\0").decode() for name in ("cmdline", "environ")}
seen["mark"] = "NNEXP_TEST=" + os.environ["NNEXP_TEST"] in seen.pop("environ").split("\\0")
seen["session"] = os.getsid(0) == os.getpid()
os.write(passed, json.dumps(seen).encode())
os.close(passed)
print(sys.stdin.read())
print("to nobody", file=sys.stderr, flush=True)
sys.stdin = open(os.devnull)
import time
time.sleep(600)
"""


@pytest.mark.parametrize("cold", [{}, {"NNEXP_COLD": "1"}], ids=["forked", "new"])
def test_a_process_that_is_started_is_a_process_like_any_other(tmp_path, cold):
    (tmp_path / "nnexp.py").write_text(WAITS)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    reading, writing = os.pipe()
    words = [sys.executable, "-m", "nnexp", str(writing), "a"]
    settings = {"cwd": tmp_path, "env": os.environ | cold, "start_new_session": True, "pass_fds": (writing,)}
    process = subprocess.Popen(words, **pipes | settings)
    os.close(writing)
    with open(reading) as file:
        assert json.load(file) == {"cmdline": "\0".join(words), "mark": True, "session": True}
    assert process.pid in processes.marked(processes.TEST, os.environ[processes.TEST])
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.stdin.write("given")
    process.stdin.close()
    assert [process.stdout.readline() for _ in range(2)] == ["given\n", "to nobody\n"]
    os.killpg(process.pid, signal.SIGTERM)
    assert wait_for(process.poll) == process.wait() == -signal.SIGTERM
    assert process.stdout.read() == ""
    process.stdout.close()
    wait_for(lambda: not Path(f"/proc/{process.pid}").exists())


def test_a_process_that_fails_has_its_exit_status(tmp_path):
    (tmp_path / "nnexp.py").write_text("import sys; sys.exit(len(sys.argv))")
    done = subprocess.run([sys.executable, "-m", "nnexp", "a", "b"], cwd=tmp_path, env=dict(os.environ))
    assert done.returncode == 3


def test_a_process_that_is_interrupted_at_once_ends(tmp_path):
    for _ in range(5):
        process = warm.popen([sys.executable, "-c", "import time; time.sleep(600)"], stderr=subprocess.DEVNULL)
        process.send_signal(signal.SIGINT)
        assert process.wait() in (130, -signal.SIGINT)
