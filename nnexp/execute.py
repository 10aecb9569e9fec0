"""One run from its config to its directory: get the job, train, keep, have it described and published."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnexp import kernels
from nnexp.claims import LOCAL_SECONDS, JobClaim, JobTakenError, claimed
from nnexp.companion import Companion, companion_of
from nnexp.config import Config, ConfigError, TrackingConfig
from nnexp.errors import ExitStatus, one_line
from nnexp.garbage import collected_as_usual
from nnexp.own import held, own_traceback, ran_otherwise
from nnexp.recording import Request, ended, make_record, result_of, write_description
from nnexp.runs import backlog, questions
from nnexp.runs.arbitration import Claim, Verdict
from nnexp.runs.directory import PUBLISHED, RunDirectory, write_atomically
from nnexp.runs.files import RecordError
from nnexp.runs.identity import changed_since
from nnexp.runs.questions import Question
from nnexp.runs.records import RunRecord, RunResult, RunStatus
from nnexp.signals import interruptible
from nnexp.tasks.disk_run import DiskRun, Share
from nnexp.tasks.interface import Code
from nnexp.terminal import say
from nnexp.timeline import span
from nnexp.tracking.errors import StoreError
from nnexp.tracking.store import open_store
from nnexp.uris import without_password

DRAWING_SECONDS = 120
ERROR_FILE = "error.txt"
BEFORE_IT_BEGAN = "interrupted before the first iteration"
NOT_DESCRIBED = "reports and figures could not be made"


@dataclass(frozen=True)
class Outcome:
    """How a request ended.

    Parameters
    ----------
    path
        The run directory; empty where the job was left to another run before there was one.
    result
        What the directory holds of the end; None where it holds nothing, and then `reason` says why.
    claim
        The other run that has done the job, or does it.
    published
        Whether the store has all of it; `problem` says why not, or why there are no figures.
    record
        Who the run is; for who cannot read its directory, on another machine.
    """

    path: str
    result: RunResult | None = None
    reason: str = ""
    claim: Claim | None = None
    published: bool = True
    problem: str | None = None
    address: str | None = None
    record: RunRecord | None = None

    @property
    def status(self) -> RunStatus:
        """SKIPPED where another run has the job, else the run's."""
        if self.claim is not None:
            return RunStatus.SKIPPED
        return RunStatus.FAILED if self.result is None else self.result.status

    @property
    def message(self) -> str:
        """How it ended, in a sentence."""
        return self.reason if self.result is None else self.result.message

    @property
    def run_id(self) -> str | None:
        """The run that has the job, this one or the other."""
        if self.claim is not None:
            return self.claim.run_id or None
        return None if self.result is None else self.result.run_id

    @property
    def exit_status(self) -> ExitStatus:
        """What the process should say to its caller."""
        if self.status is RunStatus.FINISHED:
            return ExitStatus.DONE if self.published else ExitStatus.NOT_PUBLISHED
        return ExitStatus.INTERRUPTED if self.status is RunStatus.KILLED else ExitStatus.FAILED


Finish = Callable[[RunDirectory, TrackingConfig], Outcome]


def execute(request: Request, finish: Finish | None = None, share: Share | None = None) -> Outcome:
    """Do one run. The run directory holds all of it, whatever becomes of the store.

    Parameters
    ----------
    request
        What to do.
    finish
        Sees a trained run through to its end; default: the function of that name, which waits for it.
    share
        Gives the same array in memory that other processes use too; default: it stays where it is.

    Raises
    ------
    ConfigError
        Before anything is written.
    OSError
        If no directory can be made for the run.
    """
    with held():
        return _execute(request, finish, share)


@span("recording")
def _execute(request: Request, finish: Finish | None, share: Share | None) -> Outcome:
    config, tracking = request.config, request.config.tracking
    kernels.stay()
    kernels.require(kernels.kernel_of(config.deciding()))
    companion = companion_of(tracking).start()
    identity = config.identity()
    code = config.task.code(config.of_task)
    if tracking.planned and (changed := changed_since(tracking.planned, identity, code.own_digests())):
        raise ConfigError(changed)  # and not a run of another key, which no job of the sweep has asked for
    details = config.task.details(config.of_task)
    _settle(tracking)

    def record_in(path: Path) -> RunRecord:
        return make_record(request, identity, details, path)

    if tracking.sweep is None:
        directory = RunDirectory.create(request.path, record_in(request.path))
        _enter(directory, tracking)
        return _do(request, directory, code, companion, finish, share)
    directory = RunDirectory.create_beside(request.path, record_in)
    try:
        with claimed(tracking, directory, companion) as job:
            return _do(request, directory, code, companion, finish, share, job)
    except JobTakenError as taken:
        return Outcome("", reason=str(taken), claim=taken.claim)
    except KeyboardInterrupt:
        _close_unbegun(directory, tracking, finish)
        raise


def _close_unbegun(directory: RunDirectory, tracking: TrackingConfig, finish_: Finish | None) -> None:
    """Close a run that was interrupted while it claimed its job: the store may have made a run of that."""
    if not backlog.has(tracking.directory, directory):
        shutil.rmtree(directory.path, ignore_errors=True)  # not even asked
    elif directory.path.exists() and not directory.has_ended:
        questions.forget(directory)  # with one open it would be taken for a run that has not got its job
        directory.write_result(_interrupted(directory))
        (finish_ or finish)(directory, tracking)


def _settle(tracking: TrackingConfig) -> None:
    """Say of a store that was moved where its artifacts are now, here where somebody reads it."""
    if tracking.backend == "mlflow":
        with suppress(StoreError):  # the companion meets it too, and then it is told
            open_store(tracking.uri, tracking.experiment).settle()


def _enter(directory: RunDirectory, tracking: TrackingConfig) -> None:
    """Enter a new run into the backlog, by which its companion and whoever comes later find it."""
    try:
        backlog.enter(tracking.directory, directory)
    except OSError:
        shutil.rmtree(directory.path, ignore_errors=True)
        raise


# Training, and the end of it.


def _do(
    request: Request,
    directory: RunDirectory,
    code: Code,
    companion: Companion,
    finish_: Finish | None,
    share: Share | None,
    job: JobClaim | None = None,
) -> Outcome:
    """Train in a directory that is made and entered, and see the run through to its end."""
    tracking = request.config.tracking
    with interruptible():
        try:
            companion.ring()
            write_description(directory, request)
            result = _train(request.config, directory, share, job)
            if changed := ran_otherwise(code.sources.files, code.files):
                reason = f"{', '.join(changed)} changed while the run was under way"
                result = ended(directory, RunStatus.FAILED, reason)
        except KeyboardInterrupt:
            result = _interrupted(directory)  # by a task that does not catch it
        except JobTakenError:
            raise
        except (Exception, SystemExit) as error:  # a task that calls sys.exit fails, and ends no sweep
            _keep_traceback(directory, error)
            result = ended(directory, RunStatus.FAILED, f"{type(error).__name__}: {one_line(error)}")
    try:
        directory.write_history_table()
        directory.write_result(result)
    except OSError as error:  # as on a full disk
        reason = f"the run directory {directory.path} cannot be written: {error}"
        companion.fail(directory, reason)
        return Outcome(str(directory.path), reason=reason)
    if job is not None:
        job.accept() if result.status is RunStatus.KILLED else job.settle()
    try:
        return (finish_ or finish)(directory, tracking)
    except Exception as error:  # what was trained stands, whatever becomes of its publication
        kept = directory.result or result
        return Outcome(
            str(directory.path), kept, published=False, problem=one_line(error), record=_record_of(directory)
        )


_told: set[str] = set()  # tracebacks; many runs of a sweep may fail at one place


def _interrupted(directory: RunDirectory) -> RunResult:
    return ended(directory, RunStatus.KILLED, "interrupted" if directory.history() else BEFORE_IT_BEGAN)


def _keep_traceback(directory: RunDirectory, error: BaseException) -> None:
    """Keep where a run failed, which its message does not tell; and tell it, where that is in the user's own code."""
    own = own_traceback(error)
    text = without_password(own or traceback.format_exc())
    with suppress(OSError):
        write_atomically(directory.file(ERROR_FILE), text.encode("utf-8", "backslashreplace"))
    if own is not None and text not in _told:
        _told.add(text)
        say(text.rstrip().encode("utf-8", "backslashreplace").decode())


def _train(config: Config, directory: RunDirectory, share: Share | None, job: JobClaim | None) -> RunResult:
    check = None if job is None else job.check
    run = DiskRun(directory, share, tells=not config.task.tells_progress, check=check)
    try:
        with span("fit"), collected_as_usual():
            ending = config.task.train(run, config.of_task)
    finally:
        run.close()
    return result_of(directory, ending, run.saved, run.figures)


@span("waiting")
def finish(directory: RunDirectory, tracking: TrackingConfig) -> Outcome:
    """Have an ended run drawn and published; wait no longer than `tracking.patience` seconds for a tracking server."""
    companion, problem = companion_of(tracking), None
    patience = tracking.patience if companion.is_remote else max(tracking.patience, LOCAL_SECONDS)
    try:
        companion.ask(directory, Question.DRAW, Question.PUBLISH)
        companion.answer(directory, Question.DRAW, DRAWING_SECONDS)
    except StoreError as error:
        problem = f"{NOT_DESCRIBED}: {error}"
    try:
        companion.answer(directory, Question.PUBLISH, patience)
    except StoreError as error:
        problem = str(error)
    return outcome_of(directory, companion, problem)


def outcome_of(directory: RunDirectory, companion: Companion, problem: str | None) -> Outcome:
    """How an ended run stands, by its directory."""
    path = str(directory.path)
    try:
        result = directory.result
    except RecordError as error:
        return Outcome(path, reason=str(error))
    if result is None:
        return Outcome(path, reason=f"the run directory {path} was deleted before the run was published")
    if problem is None and result.not_described is not None:
        problem = f"{NOT_DESCRIBED}: {result.not_described}"
    return Outcome(
        path,
        result,
        claim=Claim(Verdict.FINISHED, result.superseded_by) if result.superseded_by else None,
        published=not companion.has_something_of(directory),
        problem=problem,
        address=_address(directory),
        record=_record_of(directory),
    )


def _record_of(directory: RunDirectory) -> RunRecord | None:
    try:
        return directory.record
    except (OSError, RecordError):
        return None


def _address(directory: RunDirectory) -> str | None:
    """Where the run can be looked at, if it is published."""
    try:
        known: dict[str, Any] = directory.read_json(PUBLISHED)
        return next((state["address"] for state in known.values() if state.get("address")), None)
    except (OSError, ValueError, KeyError, AttributeError):
        return None
