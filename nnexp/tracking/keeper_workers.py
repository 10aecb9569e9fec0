"""What a keeper does beside publishing, each in a thread of its own, so that none waits for what it does not need."""

from __future__ import annotations

import queue
import threading

from nnexp.runs.directory import RunDirectory
from nnexp.tracking.answers import Answers, Request, serve
from nnexp.tracking.publication import Publication
from nnexp.tracking.publisher import Publisher


class Drawer:
    """Draws ended runs, one after the other, whatever the store does."""

    operations = ("draw",)

    def __init__(self, answers: Answers, begin: threading.Event) -> None:
        self.answers, self._begin = answers, begin
        self.requests: queue.Queue[Request | None] = queue.Queue()

    def work(self) -> None:
        """Draw until None comes."""
        self._begin.wait()
        if not self.requests.empty() and self.requests.queue[0] is None:
            return
        import nnexp.figures  # noqa: F401 - imported while the trainer is training, not while it waits to begin

        while (request := self.requests.get()) is not None:
            serve(request, self.answers, self)

    def accepts(self, request: Request) -> bool:
        """Whether a request is to be put into the queue: always."""
        self._begin.set()
        return True

    def do_draw(self, path: str) -> None:
        """Write reports and figures of an ended run into its directory."""
        from nnexp.describe import describe

        describe(RunDirectory(path))


class Claimant:
    """Gets jobs for runs, beside the publisher, so that no run waits to begin until another one is published."""

    operations = ("claim",)

    def __init__(self, publisher: Publisher) -> None:
        self.publisher, self.answers = publisher, publisher.answers
        self.requests: queue.Queue[Request | None] = queue.Queue()

    def accepts(self, request: Request) -> bool:
        """Whether the store can be asked now."""
        if self.publisher.problem is not None:
            self.answers.give(request["number"], error=self.publisher.problem)
        return self.publisher.problem is None

    def work(self) -> None:
        """Claim until None comes, but not for what is trained already."""
        self.publisher.is_ready.wait()
        while (request := self.requests.get()) is not None:
            if self.answers.is_waiting(request["number"]):
                serve(request, self.answers, self)

    def do_claim(self, path: str, run_key: str, resume: bool | str) -> dict[str, str]:
        """Try to get the job of a key for the run of a directory."""
        from nnexp.tracking.claims import claim

        assert self.publisher.store is not None
        publication = Publication(RunDirectory(path), self.publisher.store)
        standing = self.publisher.attempt(lambda: claim(publication, run_key, resume=resume))
        return {"verdict": standing.verdict, "run_id": standing.run_id}
