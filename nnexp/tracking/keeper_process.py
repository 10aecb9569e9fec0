"""The keeper's own side of the line: publishes open runs, finishes ended ones, answers questions about the store.

Four threads, so that nothing waits for the store but what has to: one reads requests, one draws, one speaks to the
store, and one looks at the clock while that one does. A store that is found silent is left alone for a while; until
then every question about it is answered at once, in the negative, and what there is to publish stays in the backlog.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnexp.tracking import ledger
from nnexp.tracking.publish import Publication
from nnexp.tracking.rundir import RunDirectory
from nnexp.tracking.store import Store, StoreError, one_line

LOOK = 2.0  # seconds between two looks at what is new
LONGEST_PAUSE = 30.0  # seconds to leave a silent store alone
SUSPICIOUS = 2.0  # seconds after which it is asked whether a store that works on something is there at all
LINGER = 120.0  # seconds to go on publishing when the trainer is gone

Request = dict[str, Any]
Reply = Callable[[dict[str, Any]], None]


class Answers:
    """Questions that wait for an answer; each is answered once."""

    def __init__(self, reply: Reply) -> None:
        self._reply, self._lock = reply, threading.Lock()
        self._waiting: set[int] = set()

    def expect(self, number: int) -> None:
        """Note a question."""
        with self._lock:
            self._waiting.add(number)

    def is_waiting(self, number: int) -> bool:
        """Whether the trainer still waits for this answer."""
        return number in self._waiting

    def give(self, number: int, **answer: Any) -> None:
        """Answer a question that has not been answered."""
        with self._lock:
            if number in self._waiting:
                self._waiting.discard(number)
                self._reply({"number": number, **answer})

    def refuse_all(self, problem: str) -> None:
        """Answer all questions in the negative."""
        for number in list(self._waiting):
            self.give(number, error=problem)


def serve(request: Request, answers: Answers, operations: Any) -> None:
    """Do what a request asks and answer it."""
    number, operation = request.pop("number"), request.pop("operation")
    try:
        result = getattr(operations, f"do_{operation}")(**request)
    except Exception as error:
        answers.give(number, error=one_line(error))
    else:
        answers.give(number, result=result)


class Drawer:
    """Draws ended runs, one after the other, whatever the store does."""

    operations = ("draw",)

    def __init__(self, answers: Answers, begin: threading.Event) -> None:
        self.answers, self._begin = answers, begin
        self.requests: queue.Queue[Request | None] = queue.Queue()

    def work(self) -> None:
        """Draw until None comes."""
        self._begin.wait()  # MLflow is imported first, and not at the same time
        import sklearn.metrics  # noqa: F401 - imported while the trainer is still training

        import nnexp.figures  # noqa: F401

        while (request := self.requests.get()) is not None:
            serve(request, self.answers, self)

    def accepts(self, request: Request) -> bool:
        """Whether a request is to be put into the queue: always."""
        return True

    def do_draw(self, path: str) -> dict[str, Any]:
        """Write reports and figures of an ended run into its directory; return its result."""
        from nnexp.results import describe

        return describe(RunDirectory(path))


class Publisher:
    """Keeps a store up to date with the open runs, and with those that have ended and are not whole in it yet."""

    def __init__(self, store: Store | None, heartbeat: float, answers: Answers) -> None:
        self.store, self.heartbeat, self.answers = store, heartbeat, answers
        self.requests: queue.Queue[Request | None] = queue.Queue()
        self.open: dict[str, Publication | None] = {}
        self.backlog: dict[str, Publication] = {}
        self.root: Path | None = None
        self.problem: str | None = None  # why the store is left alone
        self.busy_since: float | None = None
        self._retry_at = 0.0
        self._pause = LOOK
        self._last_beat = time.monotonic()
        self.is_ready = threading.Event()

    # Reachability.

    def silent(self, problem: str) -> None:
        """Leave the store alone for a while, and let nobody wait for it."""
        if self.problem is None:
            self._pause = LOOK
        self.problem = problem
        self._retry_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self.answers.refuse_all(problem)

    def watch(self) -> None:
        """While the store takes its time, ask whether it is there; one that is not shall keep nobody waiting."""
        while True:
            time.sleep(SUSPICIOUS / 4)
            since = self.busy_since
            if self.store is None or self.problem or since is None or time.monotonic() - since < SUSPICIOUS:
                continue
            try:
                self.store.ping()
            except StoreError as error:
                if self.busy_since == since:
                    self.silent(one_line(error))

    def _try(self, work: Callable[[], Any]) -> Any:
        """Do something with the store; where it fails, find out whether the store is there."""
        try:
            result = work()
        except Exception as error:
            try:
                if self.store is not None:
                    self.store.ping()
            except StoreError as silence:
                self.silent(one_line(silence))
                raise silence from error
            raise
        self.problem = None
        return result

    def accepts(self, request: Request) -> bool:
        """Whether a request is worth a wait; one that is not is answered, and only what must be done is kept of it."""
        if self.problem is None or request["operation"] == "open":
            return True
        self.answers.give(request["number"], error=self.problem)
        return request["operation"] != "claim"

    # Work.

    def work(self) -> None:
        """Serve until None comes, then bring to an end what is still open."""
        if self.store is not None:
            from nnexp.tracking.store import import_mlflow

            import_mlflow()
        self.is_ready.set()
        while True:
            try:
                request = self.requests.get(timeout=self._wait())
            except queue.Empty:
                self._timed(self._look)
                continue
            if request is None:
                break
            self._timed(lambda request=request: self._serve(request))
        self._timed(self._leave)

    def _wait(self) -> float | None:
        if not self.open and not self.backlog:
            return None
        return LOOK if self.problem is None else max(self._retry_at - time.monotonic(), 0.0)

    def _timed(self, work: Callable[[], None]) -> None:
        self.busy_since = time.monotonic()
        try:
            work()
        finally:
            self.busy_since = None

    def _serve(self, request: Request) -> None:
        if request["operation"] == "claim" and not self.answers.is_waiting(request["number"]):
            return  # the trainer trains already
        serve(request, self.answers, self)

    def _publication(self, path: str) -> Publication | None:
        return Publication(RunDirectory(path), self.store) if self.store else None

    def _look(self) -> None:
        """Bring the store up to date, each run by itself: what is wrong with one of them holds up no other."""
        if time.monotonic() < self._retry_at and self.problem:
            return
        is_time = time.monotonic() - self._last_beat > self.heartbeat
        for path, publication in [*self.open.items(), *self.backlog.items()]:
            try:
                self._try(lambda path=path, publication=publication: self._advance(path, publication, is_time))
            except Exception:
                if self.problem:
                    return
        if is_time:
            self._last_beat = time.monotonic()

    def _advance(self, path: str, publication: Publication | None, is_time: bool) -> None:
        if is_time:
            ledger.beat(RunDirectory(path))
        if publication is None:
            return
        publication.advance()
        self.backlog.pop(path, None)
        if is_time and path in self.open and publication.run_id:
            publication.store.beat(publication.run_id)

    def _leave(self) -> None:
        """The trainer is gone: close what it left open, publish what is left, mend what other crashes left."""
        for path in list(self.open):
            try:
                close_abandoned(RunDirectory(path))
                self._end(path)
            except Exception as error:
                print(one_line(error), file=sys.stderr)
        try:
            if self.store is not None and self.root is not None:
                self.store.ping()
                self._finish_backlog()
                from nnexp.tracking.repair import repair

                repair(self.store, self.root, lambda line: print(line, file=sys.stderr))
        except Exception as error:
            print(one_line(error), file=sys.stderr)

    def _finish_backlog(self) -> None:
        for path, publication in list(self.backlog.items()):
            try:
                self._advance(path, publication, False)
            except Exception as error:
                print(one_line(error), file=sys.stderr)

    def _end(self, path: str) -> Publication | None:
        """An open run is open no more; its end is to be published, now or later."""
        publication = self.open.pop(path, None) or self.backlog.get(path) or self._publication(path)
        if publication is not None:
            self.backlog[path] = publication
        return publication

    # What the trainer asks for.

    def do_open(self, path: str) -> None:
        """Follow a run directory; its first publication is made at once."""
        self.root = Path(RunDirectory(path).record["ledger"]).parent
        self.open[path] = self._publication(path)
        self._look()

    def do_claim(self, path: str, run_key: str, resume: bool) -> dict[str, str]:
        """Try to get the job of a key for the run of a directory."""
        from nnexp.tracking.claims import claim

        publication = self._publication(path)
        assert publication is not None
        standing = self._try(lambda: claim(publication, run_key, resume=resume))
        return {"verdict": standing.verdict, "run_id": standing.run_id}

    def do_finish(self, path: str) -> dict[str, Any]:
        """Publish the end of a run; say whether the store has all of it."""
        publication = self._end(path)
        if publication is None:
            return {"complete": True, "run_id": None, "address": None}
        if self.problem and time.monotonic() < self._retry_at:
            raise StoreError(self.problem)
        self._try(lambda: self._advance(path, publication, False))
        address = publication.store.address(publication.run_id)
        return {"complete": publication.complete, "run_id": publication.run_id, "address": address}

    def do_amend(self, path: str, tags: dict[str, str], files: list[str]) -> None:
        """Publish tags that a run got after its end was published, with the files that its directory got since."""
        directory = RunDirectory(path)
        directory.add_to_result(tags=tags)
        publication = self._end(path)
        if publication is not None:
            publication.reopen()
            self.do_finish(path)

    def do_fail(self, path: str, message: str) -> None:
        """Close a run as FAILED whose directory cannot be written to any more."""
        publication = self.open.pop(path, None)
        if publication is not None and publication.run_id is not None:
            run_id = publication.run_id
            self._try(lambda: publication.store.terminate(run_id, "FAILED", message=message))


def close_abandoned(directory: RunDirectory) -> None:
    """Close a run whose trainer is gone in the middle of it, keeping what it had computed."""
    from nnexp.results import describe
    from nnexp.tracking.claims import close_directory

    close_directory(directory, "the training process was killed")
    try:
        describe(directory)
    except Exception as error:
        print(one_line(error), file=sys.stderr)


def main() -> None:
    """Speak with the trainer on standard input and output until it closes the line."""
    settings = json.loads(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends when the trainer does, and has runs to close then
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
    drawer = Drawer(Answers(reply), publisher.is_ready)
    workers = [threading.Thread(target=_work, args=(worker,), daemon=True) for worker in (publisher, drawer)]
    threading.Thread(target=publisher.watch, daemon=True).start()
    for worker in workers:
        worker.start()
    for text in sys.stdin:
        request = json.loads(text)
        worker = drawer if request["operation"] in drawer.operations else publisher
        worker.answers.expect(request["number"])
        if worker.accepts(request):
            worker.requests.put(request)
    _end([publisher, drawer], workers)


def _work(worker: Publisher | Drawer) -> None:
    """Run one of the two; where it cannot go on, end the process, so that nobody waits for it."""
    try:
        worker.work()
    except BaseException as error:
        print(one_line(error), file=sys.stderr, flush=True)
        os._exit(1)


def _end(queues: list[Any], workers: list[threading.Thread]) -> None:
    """Let both finish, but not for ever: what is cut off is published by `nnexp sync`."""
    deadline = time.monotonic() + LINGER
    for worker in queues:
        worker.requests.put(None)
    for worker in workers:
        worker.join(max(deadline - time.monotonic(), 0.0))
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
