"""The keeper's own side of the line: a process that serves the requests of one trainer until that one is gone."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import Any

from nnexp.errors import one_line
from nnexp.runs import lease
from nnexp.runs.temporary import remove_own_folder, use_own_folder
from nnexp.tracking.answers import Answers
from nnexp.tracking.keeper_workers import Claimant, Drawer
from nnexp.tracking.publisher import Publisher
from nnexp.tracking.store import Store

LINGER = 120.0  # seconds to go on publishing when the trainer is gone
LOOK_SECONDS = 5.0  # between looks at the trainer, whose end also closes the line unless another process has it too
TURN = 0.0005  # seconds that a thread which computes holds up the others: a claim must not wait for drawing


def main() -> None:
    """Speak with the trainer on standard input and output until it closes the line."""
    settings = json.loads(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends when the trainer does, and has runs to close then
    sys.setswitchinterval(TURN)
    use_own_folder()
    line = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    writing = threading.Lock()

    def reply(answer: dict[str, Any]) -> None:
        try:
            with writing:
                line.write(json.dumps(answer, default=str) + "\n")
        except (BrokenPipeError, ValueError):
            pass

    store = Store(settings["uri"], settings["experiment"]) if settings["uri"] else None
    publisher = Publisher(store, settings["heartbeat"], Answers(reply))
    workers = [Drawer(Answers(reply), publisher.is_busy), Claimant(publisher), publisher]
    threads = [threading.Thread(target=_work, args=(worker,), daemon=True) for worker in workers]
    threading.Thread(target=publisher.watch, daemon=True).start()
    for thread in threads:
        thread.start()

    def watch_trainer() -> None:
        while lease.gone_reason(settings["owner"]) is None:
            time.sleep(LOOK_SECONDS)
        time.sleep(LOOK_SECONDS)  # whatever it has sent is read by now
        _end(workers, threads, publisher.is_busy)

    threading.Thread(target=watch_trainer, daemon=True).start()
    for text in sys.stdin:
        request = json.loads(text)
        worker = next((w for w in workers if request["operation"] in w.operations), publisher)
        worker.answers.expect(request["number"])
        if worker.accepts(request):
            worker.requests.put(request)
    _end(workers, threads, publisher.is_busy)


def _work(worker: Drawer | Claimant | Publisher) -> None:
    """Run one of them; where it cannot go on, end the process, so that nobody waits for it."""
    try:
        worker.work()
    except BaseException as error:
        print(one_line(error), file=sys.stderr, flush=True)
        remove_own_folder()
        os._exit(1)


def _end(workers: list[Drawer | Claimant | Publisher], threads: list[threading.Thread], begun: threading.Event) -> None:
    """Let them finish one after the other, but not for ever: what is cut off is published by `nnexp sync`.

    A drawer that waits for the first run has `begun` then, and sees that there is none.
    """
    deadline = time.monotonic() + LINGER
    for worker, thread in zip(workers, threads, strict=True):
        worker.requests.put(None)
        begun.set()
        thread.join(max(deadline - time.monotonic(), 0.0))
    sys.stderr.flush()
    remove_own_folder()
    os._exit(0)


if __name__ == "__main__":
    main()
