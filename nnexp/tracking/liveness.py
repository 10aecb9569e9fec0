"""Whether the process that holds a run is still there.

On the machine that runs it the process table answers at once. From another machine only the heartbeat does: a run
whose last sign of life is older than :data:`SILENCE` heartbeats is lost.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import time
import uuid
from functools import cache
from pathlib import Path

SILENCE = 6


@cache
def machine() -> str:
    """What process ids are counted in: this boot of this host, and on Linux this pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return f"{socket.gethostname()}/{uuid.getnode():x}/{platform.system()}"


def process_start(pid: int) -> str | None:
    """What tells two processes of one pid apart; None where the process is gone (or a zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        return _without_proc(pid)
    except OSError:
        return None
    fields = stat[stat.rfind(")") + 2 :].split()
    return None if fields[0] in "ZX" else fields[19]


def _without_proc(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "unknown"
    return "unknown"


def owner() -> str:
    """The record of this process, as it is recorded in the runs it holds."""
    return json.dumps({"machine": machine(), "pid": os.getpid(), "start": process_start(os.getpid())})


def lost_reason(owner_record: str | None, last_sign: float | None, heartbeat: float) -> str | None:
    """Why the holder of a run must be gone; None while it may be alive.

    Parameters
    ----------
    owner_record
        What :func:`owner` said in the process that holds the run.
    last_sign
        Time of its last heartbeat, seconds since the epoch.
    heartbeat
        Seconds between its heartbeats.
    """
    try:
        holder = json.loads(owner_record or "")
    except json.JSONDecodeError:
        holder = {}
    if holder.get("machine") == machine():
        if process_start(int(holder["pid"])) != holder["start"]:
            return f"process {holder['pid']} is gone"
        return None
    if last_sign is None:
        return None
    silent = time.time() - last_sign
    if silent > SILENCE * heartbeat:
        return f"no sign of life for {silent:.0f} s"
    return None
