"""The publisher: the keeper's thread that keeps a store up to date with the runs of its trainer.

A store that is found silent is left alone for a while; until then every question about it is answered at once, in the
negative, and what there is to publish stays in the backlog.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnexp.errors import one_line
from nnexp.runs import backlog
from nnexp.runs.directory import RunDirectory
from nnexp.runs.files import VanishedError
from nnexp.runs.places import ledger_of
from nnexp.tracking.answers import Answers, Request, serve
from nnexp.tracking.publication import Publication
from nnexp.tracking.store import Store, StoreError

LOOK = 2.0  # seconds between two looks at what is new
LONGEST_PAUSE = 30.0  # seconds to leave a silent store alone
SUSPICIOUS = 2.0  # seconds of waiting for a store after which it is asked whether it is there at all


class Publisher:
    """Keeps a store up to date with the open runs, and with those that have ended and are not whole in it yet."""

    def __init__(self, store: Store | None, heartbeat: float, answers: Answers) -> None:
        self.store, self.heartbeat, self.answers = store, heartbeat, answers
        self.requests: queue.Queue[Request | None] = queue.Queue()
        self.open: dict[str, Publication | None] = {}
        self.backlog: dict[str, Publication] = {}
        self.root: Path | None = None
        self.problem: str | None = None  # why the store is left alone
        self._retry_at = 0.0
        self._pause = LOOK
        self._refused: dict[str, tuple[int, float]] = {}  # failures in a row, and when to try again
        self._last_beat = time.monotonic()
        self.is_ready = threading.Event()
        self.is_busy = threading.Event()  # a run was opened, and its trainer is at work

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
        """While somebody waits for the store, ask whether it is there; one that is not shall keep nobody waiting."""
        self.is_ready.wait()
        while self.store is not None:
            time.sleep(SUSPICIOUS / 2)
            if self.problem is None and self.answers.longest_wait() > SUSPICIOUS:
                try:
                    self.store.ping()
                except StoreError as error:
                    self.silent(one_line(error))

    def attempt(self, work: Callable[[], Any]) -> Any:
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
        """Answer at once what the store cannot answer now; what is to be published goes into the queue all the same."""
        if self.problem is not None and request["operation"] != "open":
            self.answers.give(request["number"], error=self.problem)
        return True

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
                self._look()
                continue
            if request is None:
                break
            serve(request, self.answers, self)
        self._leave()

    def _wait(self) -> float | None:
        if not self.open and not self.backlog:
            return None
        if self.problem is None:
            return LOOK
        return min(max(self._retry_at - time.monotonic(), 0.0), max(self.heartbeat, LOOK))

    def _publication(self, path: str) -> Publication | None:
        return Publication(RunDirectory(path), self.store) if self.store else None

    def _look(self) -> None:
        """Bring the store up to date, each run by itself: what is wrong with one of them holds up no other."""
        if time.monotonic() - self._last_beat > self.heartbeat:
            self._beat()
        if time.monotonic() < self._retry_at and self.problem:
            return
        for path in self.open:
            with suppress(OSError, ValueError):
                RunDirectory(path).write_history_table()
        for path, publication in [*self.open.items(), *self.backlog.items()]:
            failures, until = self._refused.get(path, (0, 0.0))
            if publication is None or time.monotonic() < until:
                continue
            try:
                self.attempt(lambda path=path, publication=publication: self._advance(path, publication))
                self._refused.pop(path, None)
            except VanishedError as error:
                self._let_go(path, publication, error)
            except Exception:
                if self.problem:
                    return
                pause = min(LOOK * 2**failures, LONGEST_PAUSE)  # the store is there, but does not take it
                self._refused[path] = failures + 1, time.monotonic() + pause

    def _beat(self) -> None:
        """Say of the runs that are not ended in the store that they are alive, on the disk and in the store."""
        self._last_beat = time.monotonic()
        for path, publication in [*self.open.items(), *self.backlog.items()]:
            with suppress(OSError, ValueError):  # what is wrong with the directory too
                backlog.beat(RunDirectory(path))
            if publication is not None and publication.run_id and not self.problem:
                with suppress(Exception):  # what is wrong with the store shows when something is published
                    publication.store.beat(publication.run_id)

    def _advance(self, path: str, publication: Publication) -> None:
        publication.advance(to_the_end=path not in self.open)  # the trainer says when it is drawn
        self.backlog.pop(path, None)

    def _let_go(self, path: str, publication: Publication, error: VanishedError) -> None:
        """Nothing more is to be published of a run whose directory was deleted."""
        for runs in (self.open, self.backlog, self._refused):
            runs.pop(path, None)
        with suppress(Exception):  # the store is away; who finds the run there closes it as lost
            publication.close_vanished(f"its directory was deleted before it was published: {one_line(error)}")

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
        if self.root is not None:
            from nnexp.runs.leftovers import remove_leftovers

            remove_leftovers(self.root)

    def _finish_backlog(self) -> None:
        for path, publication in list(self.backlog.items()):
            try:
                self._advance(path, publication)
            except Exception as error:
                print(one_line(error), file=sys.stderr)

    def _end(self, path: str) -> Publication | None:
        """An open run is open no more; its end is to be published, now or later."""
        publication = self.open.pop(path, None) or self.backlog.get(path) or self._publication(path)
        if publication is not None:
            self.backlog[path] = publication
        elif (entered := ledger_of(RunDirectory(path))) is not None:
            backlog.leave(entered, RunDirectory(path))  # no store is to get it
        return publication

    # What the trainer asks for.

    operations = ("open", "finish", "amend", "fail")

    def do_open(self, path: str) -> None:
        """Follow a run directory; its first publication is made at once."""
        self.is_busy.set()
        entered = ledger_of(RunDirectory(path))
        self.root = entered and entered.parent
        self.open[path] = self._publication(path)
        self._look()

    def do_finish(self, path: str) -> dict[str, Any]:
        """Publish the end of a run; say whether the store has all of it."""
        publication = self._end(path)
        if publication is None:
            return {"complete": True, "run_id": None, "address": None}
        if self.problem and time.monotonic() < self._retry_at:
            raise StoreError(self.problem)
        try:
            self.attempt(lambda: self._advance(path, publication))
        except VanishedError as error:
            self._let_go(path, publication, error)
            raise
        address = publication.store.address(publication.run_id)
        return {"complete": publication.complete, "run_id": publication.run_id, "address": address}

    def do_amend(self, path: str, tags: dict[str, str], files: list[str]) -> None:
        """Publish tags that a run got after its end was published, with the files that its directory got since."""
        directory = RunDirectory(path)
        directory.amend_result(tags=tags)
        publication = self._end(path)
        if publication is not None:
            publication.reopen()
            self.do_finish(path)

    def do_fail(self, path: str, message: str) -> None:
        """Close a run as FAILED whose directory cannot be written to any more."""
        publication = self.open.pop(path, None) or self._publication(path)
        if publication is not None:
            run_id = self.attempt(lambda: publication.ensure_run(publication.directory.record))
            self.attempt(lambda: publication.store.terminate(run_id, "FAILED", message=message))


def close_abandoned(directory: RunDirectory) -> None:
    """Close a run whose trainer is gone in the middle of it, keeping what it had computed."""
    from nnexp.describe import describe
    from nnexp.tracking.claims import close_directory

    close_directory(directory, "the training process was killed")
    try:
        describe(directory)
    except Exception as error:
        print(one_line(error), file=sys.stderr)
