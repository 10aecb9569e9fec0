"""Whether the process that holds a run is still there.

On the machine that runs it the process table answers at once. From another machine only the heartbeat does: a run
whose heartbeat has not changed for :data:`SILENCE` heartbeats, on the clock of the one who watches it, is lost.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import time
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

SILENCE = 6
UNKNOWN = "unknown"  # the start of a process of which only its id is known


@cache
def machine() -> str:
    """What process ids are counted in: this boot of this host, and on Linux this pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return f"{socket.gethostname()}/{uuid.getnode():x}/{platform.system()}"


def process_start(pid: int) -> str | None:
    """What tells two processes of one pid apart; None where the process is gone (or a zombie).

    Linux says it in ticks since the boot, which nothing moves; psutil's time since the epoch, which all systems have,
    is computed from the clock there and changes when that is set.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _start_by_psutil(pid)
    except OSError:
        return None
    fields = stat[stat.rfind(")") + 2 :].split()
    return None if fields[0] in "ZX" else fields[19]


def _start_by_psutil(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(round(100 * process.create_time()))
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return UNKNOWN  # it is there, as another user's


def owner() -> str:
    """The record of this process, as it is recorded in the runs it holds."""
    return json.dumps({"machine": machine(), "pid": os.getpid(), "start": process_start(os.getpid())})


def gone_reason(owner_record: str | None) -> str | None:
    """Why the holder of a run is certainly gone, by the process table; None where it is not, or of another machine."""
    holder = _holder(owner_record)
    if holder.get("machine") != machine():
        return None
    start = process_start(int(holder["pid"]))
    is_it = start is not None and (start == holder["start"] or UNKNOWN in (start, holder["start"]))
    return None if is_it else f"process {holder['pid']} is gone"


def is_of_this_machine(owner_record: str | None) -> bool:
    """Whether the process table here tells whether the holder is there."""
    return _holder(owner_record).get("machine") == machine()


def host(owner_record: str | None) -> str:
    """The name of the machine of the holder, as a person knows it."""
    return str(_holder(owner_record).get("machine", UNKNOWN)).partition("/")[0]


def _holder(owner_record: str | None) -> dict[str, Any]:
    try:
        holder = json.loads(owner_record or "")
        return {"machine": holder["machine"], "pid": int(holder["pid"]), "start": holder["start"]}
    except (ValueError, TypeError, KeyError):
        return {}


class Observer:
    """Tells the dead from the living by what changes while it watches, on its own clock.

    What another machine's clock says is never compared with this one's: they may be minutes apart. So a holder
    elsewhere is lost only when its sign of life has stayed the same for :data:`SILENCE` heartbeats since it was first
    seen here, and at the first look nobody is.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[object, float]] = {}

    def lost_reason(self, name: str, owner_record: str | None, sign: object, heartbeat: float) -> str | None:
        """Why the holder of a run must be gone; None while it may be alive.

        Parameters
        ----------
        name
            What tells the run from others.
        owner_record
            What :func:`owner` said in the process that holds the run.
        sign
            Its last sign of life, whatever changes with each.
        heartbeat
            Seconds between its heartbeats.
        """
        if is_of_this_machine(owner_record):
            return gone_reason(owner_record)
        now = self._clock()
        seen, since = self._seen.get(name, (None, None))
        if since is None or seen != sign:
            self._seen[name] = (sign, now)
            return None
        silent = now - since
        return f"no heartbeat for {silent:.0f} s" if silent > SILENCE * heartbeat else None


observer = Observer()
lost_reason = observer.lost_reason  # one memory for all that this process looks at
