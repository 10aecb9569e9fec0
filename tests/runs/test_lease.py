import json
import os
import subprocess
import sys

import pytest

from nnexp.runs import lease
from tests.tools.waiting import wait_for


@pytest.fixture(params=["the process table of Linux", "psutil"])
def by(request, monkeypatch):
    if request.param == "psutil":
        monkeypatch.setattr(lease, "process_start", lease._start_by_psutil)


def owner_of(process):
    return json.dumps({"machine": lease.machine(), "pid": process.pid, "start": lease.process_start(process.pid)})


def test_this_process_is_alive(by):
    assert lease.lost_reason("me", lease.owner(), None, 10) is None


def test_a_killed_process_is_lost_at_once_also_as_a_zombie(by):
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    record = owner_of(process)
    assert lease.lost_reason("run", record, "1", 10) is None
    process.kill()
    # Nobody has waited for it yet, so that it is a zombie.
    assert "is gone" in wait_for(lambda: lease.lost_reason("run", record, "1", 10))
    process.communicate()
    assert "is gone" in lease.lost_reason("run", record, "1", 10)


def test_a_pid_that_was_given_to_another_process_is_not_the_holder(by):
    record = json.dumps({"machine": lease.machine(), "pid": os.getpid(), "start": "1"})
    assert "is gone" in lease.lost_reason("run", record, "1", 10)


def test_a_holder_that_an_older_version_knew_by_its_pid_only_is_there_while_the_pid_is(by):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    record = json.dumps({"machine": lease.machine(), "pid": process.pid, "start": lease.UNKNOWN})
    assert lease.gone_reason(record) is None
    process.kill()
    process.wait()
    assert "is gone" in lease.gone_reason(record)


def test_on_another_machine_only_a_heartbeat_that_changes_tells_and_no_clock_but_the_own():
    now = [0.0]
    observer = lease.Observer(lambda: now[0])
    record = json.dumps({"machine": "elsewhere", "pid": os.getpid(), "start": "1"})

    def reason(at, sign, name="run"):
        now[0] = at
        return observer.lost_reason(name, record, sign, 10)

    assert reason(0, "1000.0") is None  # however long ago that was by its clock
    assert reason(59, "1000.0") is None
    assert reason(60.5, "700.0") is None  # it was set back by minutes
    assert reason(120, "700.0") is None
    assert "no heartbeat for 61 s" in reason(121.5, "700.0")
    assert reason(121.5, "700.0", "another run") is None  # which is seen for the first time
    assert reason(122, "1010.0") is None  # it was stopped, and goes on
    assert reason(123, None, "no heartbeat yet") is None
    assert reason(190, None, "no heartbeat yet")


@pytest.mark.parametrize("record", [None, "", "[]", "{}", "1", '{"machine": "m", "pid": "x", "start": 1}'])
def test_who_left_no_record_may_be_alive_as_long_as_there_are_signs(record):
    now = [0.0]
    observer = lease.Observer(lambda: now[0])
    assert observer.lost_reason("run", record, "1", 10) is None
    now[0] = 61
    assert observer.lost_reason("run", record, "1", 10)
    assert lease.gone_reason(record) is None
