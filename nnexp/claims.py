"""The job of a sweep: which of the processes that want it does it. A run trains while its store is asked.

A file lock settles it at once among the processes of one machine, and the directories say what is done; the store,
where it answers, settles it among all. Its answer comes while the run trains, which then goes on or is given up. What
was trained in vain costs time only, as everything else that is judged wrongly (:mod:`nnexp.runs.arbitration`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import Timeout as LockTimeout

from nnexp.companion import Companion
from nnexp.config import TrackingConfig
from nnexp.runs import backlog, disk_arbiter, questions
from nnexp.runs.arbitration import Claim, Verdict
from nnexp.runs.directory import RunDirectory
from nnexp.runs.history import has_history
from nnexp.runs.questions import Question
from nnexp.timeline import span
from nnexp.tracking.errors import StoreError

CLAIM_SECONDS = 10  # for a tracking server, once the run is trained
LOCAL_SECONDS = 120  # for a database file, which is slow only where the machine is busy


_was_refused = False  # a job of this process, by the store: others are at work on the same jobs


class JobTakenError(BaseException):
    """Another run has finished the job, or does it; `claim` says which.

    No Exception, so that a task which passes over errors is ended by it, as by Ctrl-C.
    """

    def __init__(self, claim: Claim, reason: str) -> None:
        super().__init__(reason)
        self.claim = claim


class JobClaim:
    """The claim of a run to its job, with the lock of the job held."""

    def __init__(self, tracking: TrackingConfig, directory: RunDirectory, companion: Companion) -> None:
        self._root, self._directory, self._companion = tracking.directory, directory, companion
        self._record = directory.record
        self._has_store = tracking.backend == "mlflow"
        self._is_open = self._has_job = False

    @span("claiming")
    def ask(self) -> None:
        """Ask the disk, and have the companion ask the store.

        Raises
        ------
        JobTakenError
            If another run of this machine has the job.
        """
        self._follow(disk_arbiter.claim(self._root, self._record, store_is_asked=self._has_store))
        if not self._has_store:
            self.accept()
            return
        # Before it is in the backlog, where it would be taken for one that has its job.
        questions.ask(self._directory, Question.CLAIM)
        self._is_open = True
        backlog.enter(self._root, self._directory)
        self._companion.ring()
        if _was_refused:  # then training meanwhile would be in vain again and again
            self.settle()

    def check(self) -> None:
        """See whether there is an answer, which costs a look for a file.

        Raises
        ------
        JobTakenError
            If another run has the job.
        """
        if self._is_open and not questions.is_asked(self._directory, Question.CLAIM):
            self.settle()

    def settle(self) -> None:
        """Wait for the answer, where there is none yet; where the store does not give one, the disk alone decides.

        Raises
        ------
        JobTakenError
            If another run has the job.
        """
        global _was_refused
        if not self._is_open:
            return
        try:
            with span("waiting"):
                seconds = CLAIM_SECONDS if self._companion.is_remote else LOCAL_SECONDS
                said = self._companion.answer(self._directory, Question.CLAIM, seconds)
            if said:
                _was_refused = True
                self._follow(Claim(Verdict(said["verdict"]), said["run_id"]))
            elif questions.is_open(self._directory, Question.CLAIM):
                raise StoreError("the answer could not be written")  # on a full disk
        except StoreError:
            self._follow(disk_arbiter.claim(self._root, self._record))
        except KeyboardInterrupt:
            self.accept()  # what is trained is kept
            raise
        self.accept()

    def accept(self) -> None:
        """Have the job, whatever the store may say: with a question open it would be taken for a run that has none."""
        if self._has_job:
            return
        self._is_open, self._has_job = False, True
        try:
            disk_arbiter.register(self._root, self._record, self._directory)
            backlog.enter(self._root, self._directory)
        except OSError:  # as on a full disk; before it trains that is an error
            if not (self._directory.has_ended or has_history(self._directory.path)):
                raise
        finally:
            with suppress(OSError):
                questions.forget(self._directory)

    def _follow(self, claim: Claim) -> None:
        if not claim.is_mine:
            does = "has finished" if claim.verdict is Verdict.FINISHED else "is doing"
            raise JobTakenError(claim, f"run {claim.run_id} {does} this job")


@contextmanager
def claimed(tracking: TrackingConfig, directory: RunDirectory, companion: Companion) -> Iterator[JobClaim]:
    """Hold the lock of the job while it is done. A run whose job another has leaves nothing.

    Raises
    ------
    JobTakenError
        If another run has the job, at once or later.
    """
    root = tracking.directory
    lock = disk_arbiter.lock(root, directory.record.run_key or "")
    try:
        lock.acquire()
    except LockTimeout:
        shutil.rmtree(directory.path)
        reason = "already running in another process on this machine"
        raise JobTakenError(Claim(Verdict.HELD, ""), reason) from None
    try:
        job = JobClaim(tracking, directory, companion)
        try:
            job.ask()
        except OSError:
            _remove(root, directory)
            raise
        yield job
    except JobTakenError:
        _remove(root, directory)
        raise
    finally:
        lock.release()


def _remove(root: str, directory: RunDirectory) -> None:
    backlog.leave(root, directory)
    shutil.rmtree(directory.path, ignore_errors=True)
