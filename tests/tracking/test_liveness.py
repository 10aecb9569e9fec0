import json
import os
import subprocess
import sys
import time

from nnexp.tracking import liveness


def owner_of(process):
    return json.dumps({"machine": liveness.machine(), "pid": process.pid, "start": liveness.process_start(process.pid)})


def test_this_process_is_alive():
    assert liveness.lost_reason(liveness.owner(), None, 10) is None


def test_a_killed_process_is_lost_at_once_also_as_a_zombie():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    record = owner_of(process)
    assert liveness.lost_reason(record, time.time(), 10) is None
    process.kill()
    deadline = time.time() + 5
    while liveness.lost_reason(record, time.time(), 10) is None and time.time() < deadline:
        time.sleep(0.01)
    assert "is gone" in liveness.lost_reason(record, time.time(), 10)  # nobody has waited for it yet: a zombie
    process.wait()
    assert "is gone" in liveness.lost_reason(record, time.time(), 10)


def test_a_pid_that_was_given_to_another_process_is_not_the_holder():
    record = json.dumps({"machine": liveness.machine(), "pid": os.getpid(), "start": "1"})
    assert "is gone" in liveness.lost_reason(record, time.time(), 10)


def test_on_another_machine_only_the_heartbeat_tells():
    record = json.dumps({"machine": "elsewhere", "pid": os.getpid(), "start": "1"})
    assert liveness.lost_reason(record, time.time() - 30, 10) is None
    assert "no sign of life" in liveness.lost_reason(record, time.time() - 61, 10)
    assert liveness.lost_reason(record, None, 10) is None
