"""The keeper's own side of the line: publishes open runs, finishes ended ones, answers questions about the store."""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from nnexp.tracking.publish import Publication
from nnexp.tracking.rundir import RunDirectory
from nnexp.tracking.store import Store, one_line

LOOK = 2.0  # seconds between two looks at what is new
LONGEST_PAUSE = 30.0  # seconds to leave a failing store alone


class KeeperProcess:
    """Serves requests from a queue, and between them keeps the store up to date with the open runs."""

    def __init__(self, store: Store | None, heartbeat: float, reply) -> None:
        self.store, self.heartbeat, self._reply = store, heartbeat, reply
        self.requests: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.open: dict[str, Publication | None] = {}
        self.root: Path | None = None
        self._last_beat = time.monotonic()
        self._pause = LOOK

    def work(self) -> None:
        """Serve until the line is cut (None in the queue), then close what is still open."""
        while True:
            try:
                request = self.requests.get(timeout=self._pause if self.open else None)
            except queue.Empty:
                self._look()
                continue
            if request is None:
                break
            self._serve(request)
        for path in list(self.open):
            self._abandoned(path)
        self._repair()

    def _serve(self, request: dict[str, Any]) -> None:
        number, operation = request.pop("number"), request.pop("operation")
        try:
            result = getattr(self, f"do_{operation}")(**request)
        except Exception as error:
            self._reply({"number": number, "error": one_line(error)})
        else:
            self._reply({"number": number, "result": result})

    def _publication(self, path: str) -> Publication | None:
        return Publication(RunDirectory(path), self.store) if self.store else None

    def _look(self) -> None:
        try:
            for publication in self.open.values():
                if publication is not None:
                    publication.advance()
            if time.monotonic() - self._last_beat > self.heartbeat:
                self._last_beat = time.monotonic()
                for publication in self.open.values():
                    if publication is not None and self.store is not None and publication.run_id:
                        self.store.beat(publication.run_id)
            self._pause = LOOK
        except Exception:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _abandoned(self, path: str) -> None:
        """The trainer is gone in the middle of a run: close the run, keeping what it had computed."""
        try:
            directory = RunDirectory(path)
            if directory.result is None:
                directory.write_json(
                    "result.json",
                    {"status": "KILLED", "message": "the training process was killed", "ended": time.time()}
                    | {"run_id": directory.record["uid"], "tags": {}},
                )
            self.do_finish(path)
        except Exception as error:
            print(one_line(error), file=sys.stderr)

    def _repair(self) -> None:
        """With nobody waiting any more, put right what other processes' crashes left."""
        from nnexp.tracking.repair import repair

        if self.store is None or self.root is None:
            return
        try:
            repair(self.store, self.root)
        except Exception as error:
            print(one_line(error), file=sys.stderr)

    def do_open(self, path: str) -> None:
        """Follow a run directory; its first publication is made at the next look."""
        self.root = Path(RunDirectory(path).record["ledger"]).parent
        self.open[path] = self._publication(path)
        self._look()

    def do_claim(self, path: str, run_key: str, resume: bool) -> dict[str, str]:
        """Try to get the job of a key for the run of a directory."""
        from nnexp.tracking.claims import claim

        publication = self._publication(path)
        assert publication is not None
        standing = claim(publication, run_key, resume=resume)
        return {"verdict": standing.verdict, "run_id": standing.run_id}

    def do_draw(self, path: str) -> dict[str, Any]:
        """Write reports and figures of an ended run into its directory; return its result."""
        from nnexp.results import describe

        return describe(RunDirectory(path))

    def do_finish(self, path: str) -> dict[str, Any]:
        """Publish the end of a run; say whether the store has all of it."""
        publication = self.open.pop(path, None) or self._publication(path)
        if publication is None:
            return {"complete": True, "run_id": None, "address": None}
        complete = publication.advance()
        address = publication.store.address(publication.run_id)
        return {"complete": complete, "run_id": publication.run_id, "address": address}

    def do_amend(self, path: str, tags: dict[str, str], files: list[str]) -> None:
        """Add tags and files of its directory to a run that has been published before they were there."""
        publication = self._publication(path)
        if publication is None or publication.run_id is None:
            return
        publication.store.tag(publication.run_id, tags)
        for name in files:
            source = publication.directory.path / name
            publication.store.client.log_artifact(publication.run_id, str(source), name.rpartition("/")[0] or None)


def main() -> None:
    """Speak with the trainer on standard input and output until it closes the line."""
    settings = json.loads(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    store = Store(settings["uri"], settings["experiment"]) if settings["uri"] else None
    writing = threading.Lock()

    def reply(answer: dict[str, Any]) -> None:
        try:
            with writing:
                line.write(json.dumps(answer, default=str) + "\n")
        except BrokenPipeError:
            pass

    keeper = KeeperProcess(store, settings["heartbeat"], reply)

    def listen() -> None:
        for text in sys.stdin:
            keeper.requests.put(json.loads(text))
        keeper.requests.put(None)

    threading.Thread(target=listen, daemon=True).start()
    _import_early(store)
    keeper.work()


def _import_early(store: Store | None) -> None:
    """Import what will be needed while the trainer is still training."""
    if store is not None:
        from nnexp.tracking.store import import_mlflow

        import_mlflow()
    import sklearn.metrics  # noqa: F401

    import nnexp.figures  # noqa: F401


if __name__ == "__main__":
    main()
