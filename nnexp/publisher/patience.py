"""Those who wait for what the store says: how long they still may, and when they need not any more."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from nnexp.runs import backlog, questions
from nnexp.runs.questions import Question
from nnexp.tracking.errors import StoreError
from nnexp.tracking.publications import Publications

SUSPICIOUS_SECONDS = 2.0  # of waiting for a silent store, after which it is asked whether it is there at all
RENEW_SECONDS = 0.5  # between two signs to those who wait that publishing advances
OF_THE_STORE = (Question.CLAIM, Question.PUBLISH)


class Waiters:
    """The runs whose trainers wait for the store."""

    def __init__(self, entries: backlog.Watch) -> None:
        self._entries = entries
        self._renewed = 0.0  # when they were told last that publishing advances

    def refuse(self, problem: str) -> None:
        """Let nobody wait for a store that is silent; what there is to publish stays in the backlog."""
        for directory in self._entries.directories():
            for question in OF_THE_STORE:
                questions.answer(directory, question, problem=problem)

    def renew(self) -> None:
        """Tell all who wait for the store that publishing advances, be it for another run."""
        now = time.monotonic()
        if now - self._renewed > RENEW_SECONDS:
            self._renewed = now
            for directory in self._entries.directories():
                for question in OF_THE_STORE:
                    questions.renew(directory, question)

    def watch(self, publications: Publications) -> None:
        """While somebody waits for a tracking server that says nothing, ask whether it is there."""
        since: dict[tuple[Path, Question], float] = {}
        while publications.store.is_server:
            time.sleep(SUSPICIOUS_SECONDS / 2)
            now, directories = time.monotonic(), self._entries.directories()
            asked = [(d.path, q) for d in directories for q in OF_THE_STORE if questions.is_asked(d, q)]
            since = {key: since.get(key, now) for key in asked}
            waited = min(now - min(since.values(), default=now), publications.store.silence)
            if publications.problem is None and waited > SUSPICIOUS_SECONDS:
                with suppress(StoreError):
                    publications.check()
