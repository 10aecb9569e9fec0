"""The process: its threads, and its end with the trainer."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from nnexp.companion import Settings
from nnexp.errors import one_line
from nnexp.garbage import collect_seldom
from nnexp.publisher.work import Publisher
from nnexp.runs import lease
from nnexp.runs.temporary import remove_own_folder, use_own_folder
from nnexp.standby import STANDBY
from nnexp.timeline import end as note_end
from nnexp.tracking.mlflow_import import import_mlflow

WORKERS_SECONDS = 20.0  # that workers have to end when the trainer is gone
LINGER_SECONDS = 120.0  # to go on publishing when the trainer is gone
TRAINER_LOOK_SECONDS = 5.0  # between looks at the trainer: a process that it has forked may keep the pipe open
TURN_SECONDS = 0.0005  # that a thread which computes holds up the others: a claim must not wait for drawing


def main() -> None:
    """Serve a trainer until it closes the pipe or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends when the trainer does, and has runs to close then
    sys.setswitchinterval(TURN_SECONDS)
    collect_seldom()
    use_own_folder()
    if STANDBY in sys.argv:
        _thread(import_mlflow)
    line = sys.stdin.buffer.readline()
    if not line:  # there is nothing to publish
        remove_own_folder()
        os._exit(0)
    settings = Settings(**json.loads(line))
    publisher = Publisher(settings)
    others = [_thread(publisher.draw), _thread(publisher.answer_claims)]
    publishing = _thread(lambda: publisher.publish(others))
    _thread(lambda: publisher.answer_calls(socket.socket(fileno=int(sys.argv[1]))))
    _thread(publisher.suspect)
    _thread(publisher.beat)
    _thread(publisher.measure)

    def end() -> None:
        """Let it finish, but not for ever: what is cut off is published by `nnexp sync`."""
        if not publisher.has_begun.is_set() and not publisher.entries.directories():
            remove_own_folder()  # the trainer was refused, and MLflow may be imported still
            os._exit(0)
        until = time.monotonic() + WORKERS_SECONDS
        while (
            publisher.closing.has_workers() and time.monotonic() < until
        ):  # they end with the trainer, and close their runs
            time.sleep(0.1)
        publisher.is_over.set()
        publisher.has_runs.set()
        publisher.has_begun.set()
        publisher.ring()
        publishing.join(LINGER_SECONDS)
        if settings.bell is not None:
            Path(settings.bell).unlink(missing_ok=True)
        sys.stderr.flush()
        remove_own_folder()
        note_end()
        os._exit(0)

    def watch_trainer() -> None:
        while lease.gone_reason(settings.owner) is None:
            time.sleep(TRAINER_LOOK_SECONDS)
        end()

    _thread(watch_trainer)
    if settings.bell is not None and os.path.exists(settings.bell):
        _thread(lambda: publisher.hear(str(settings.bell)))
    for line in sys.stdin.buffer:
        publisher.take(line)
    end()


def _thread(work: Callable[[], object]) -> threading.Thread:
    """A thread that ends the process where it cannot go on, so that nobody waits for it: the trainer starts another."""

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            print(one_line(error), file=sys.stderr, flush=True)
            remove_own_folder()
            os._exit(1)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    return thread


if __name__ == "__main__":
    main()
