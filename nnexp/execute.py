"""One run from its config to its directory: arbitrate, train, keep, have it published."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import Timeout as LockTimeout

import nnexp
from nnexp.config import Config
from nnexp.errors import ExitStatus, one_line
from nnexp.runs import arithmetic, backlog, disk_arbiter, lease, provenance
from nnexp.runs.arbitration import FINISHED, HELD, MINE, Claim
from nnexp.runs.directory import RunDirectory
from nnexp.runs.files import RecordError
from nnexp.runs.history import HistoryWriter
from nnexp.runs.identity import Identity, array_digest, digest_of
from nnexp.runs.records import Destination, RunRecord, RunResult, RunStatus
from nnexp.runs.tags import (
    COMMIT,
    DIRECTORY,
    SOURCE,
    STATUS_MESSAGE,
    SWEEP,
    TASK,
    USER,
    VERSION,
)
from nnexp.signals import interruptible
from nnexp.tasks import NETWORK
from nnexp.tasks.interface import Ending
from nnexp.tracking.keeper import Keeper, keeper_for
from nnexp.tracking.store import StoreError, open_store

DRAWING_SECONDS = 120
CLAIM_SECONDS = 10
LOCAL_SECONDS = 120  # for a database file, which is slow only where the machine is busy
INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Request:
    """What a run is asked to do, and where."""

    config: Config
    composed: str
    overrides: Sequence[str]
    path: Path
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a request ended; SKIPPED where another run stands for its job, which then is `run_id`, by `verdict`."""

    status: RunStatus
    path: str
    run_id: str | None
    message: str
    result: RunResult | None = None
    verdict: str = ""
    published: bool = True
    problem: str | None = None
    address: str | None = None

    @property
    def exit_status(self) -> ExitStatus:
        """What the process should say to its caller."""
        if self.status is RunStatus.FINISHED:
            return ExitStatus.DONE if self.published else ExitStatus.NOT_PUBLISHED
        return ExitStatus.INTERRUPTED if self.status is RunStatus.KILLED else ExitStatus.FAILED


Finish = Callable[[RunDirectory, Keeper, float], Outcome]
Share = Callable[[str, np.ndarray, Sequence[str]], np.ndarray]


class DirectoryRun:
    """A run as its task sees it (:class:`nnexp.tasks.interface.Run`): all that it is given goes to the disk."""

    def __init__(self, directory: RunDirectory, record: RunRecord, share: Share | None) -> None:
        self.path, self.seed, self.params = directory.path, record.seed, record.params
        self.is_quiet = record.sweep is not None
        self.saved: dict[str, str] = {}
        self._directory, self._formats, self._share = directory, record.figures, share
        self._history: HistoryWriter | None = None

    def log(self, metrics: Mapping[str, float], step: int, *, time: float | None = None) -> None:
        """Keep values of metrics."""
        if self._history is None:
            self._history = HistoryWriter(self._directory.path)
        self._history.log(metrics, step, time)

    def save(self, name: str, **arrays: Any) -> None:
        """Keep arrays."""
        self._directory.write_arrays(name, arrays)
        self.saved[name] = digest_of({key: array_digest(np.asarray(array)) for key, array in arrays.items()})

    def figure(self, name: str, figure: Any) -> None:
        """Keep a figure."""
        from nnexp import figures

        for suffix in dict.fromkeys(["png", *self._formats]):
            figures.save(figure, self._directory.file(f"{name}.{suffix}"))

    def shared(self, name: str, array: np.ndarray, *, depends_on: Sequence[str] = ()) -> np.ndarray:
        """The same array, shared with the workers beside this one where there are some."""
        return array if self._share is None else self._share(name, array, depends_on)

    def raise_if_stopped(self) -> None:
        """Signals raise KeyboardInterrupt by themselves; nothing else stops a run."""

    def close(self) -> None:
        """Close the history."""
        if self._history is not None:
            self._history.close()


def keeper_of(config: Config) -> Keeper:
    """The keeper that publishes runs of this config."""
    tracking = config.tracking
    uri = tracking.uri if tracking.backend == "mlflow" else None
    if uri is not None:
        with suppress(StoreError):  # the keeper meets it too, and then it is told
            open_store(uri, tracking.experiment).settle()
    return keeper_for(uri, tracking.experiment, tracking.heartbeat)


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
    """
    config = request.config
    keeper = keeper_of(config).start()
    identity = config.identity()
    details = config.task.details(config.of_task)

    def record_in(path: Path) -> RunRecord:
        return make_record(request, identity, details, path)

    if config.tracking.sweep is None:
        directory = RunDirectory.create(request.path, record_in(request.path))
        return _do(request, directory, keeper, finish, share)
    directory = RunDirectory.create_beside(request.path, record_in)
    with _claimed(config, directory, keeper) as standing:
        if standing is not None:
            shutil.rmtree(directory.path)
            return standing
        return _do(request, directory, keeper, finish, share)


def make_record(request: Request, identity: Identity, details: Mapping[str, Any], path: Path) -> RunRecord:
    """What `run.json` will say: who the run is and who holds it."""
    config, tracking = request.config, request.config.tracking
    git = provenance.git_state()
    return RunRecord(
        uid=new_uid(path),
        name=tracking.run_name or config.task.title(config.of_task, request.overrides),
        started=time.time(),
        owner=lease.owner(),
        heartbeat=tracking.heartbeat,
        tracking=destination_of(config),
        identity=identity.to_json(),
        backlog=str(backlog.folder(tracking.directory)),
        task=config.task.name,
        params=config.deciding(),
        overrides=tuple(request.overrides),
        seed=config.seed,
        figures=config.figures,
        tags={
            **{f"nnexp.{key}": value for key, value in identity.to_json().items()},
            VERSION: nnexp.__version__,
            **arithmetic.here(),
            DIRECTORY: str(path.resolve()),
            **SOURCE,
            USER: provenance.user(),
            **({COMMIT: git["commit"]} if git else {}),
            **({SWEEP: tracking.sweep} if tracking.sweep else {}),
            **({TASK: config.task.name} if config.task.name != NETWORK else {}),
            **request.tags,
        },
        details=details,
    )


def new_uid(path: Path) -> str:
    """A run's own id."""
    return f"{path.name}-{os.urandom(4).hex()}"


def destination_of(config: Config) -> Destination:
    """The store that a run of this config is made for."""
    tracking = config.tracking
    uri = tracking.uri if tracking.backend == "mlflow" else None
    return Destination(uri, tracking.experiment, tracking.sweep, config.resume)


def _do(request: Request, directory: RunDirectory, keeper: Keeper, end: Finish | None, share: Share | None) -> Outcome:
    """Train in a directory that is made, and see the run through to its end."""
    config = request.config
    with interruptible():
        try:
            backlog.enter(backlog.folder(config.tracking.directory), directory)
            keeper.open(directory)
            write_description(directory, request)
            result = _train(config, directory, share)
        except KeyboardInterrupt:
            result = ended(directory, RunStatus.KILLED, "interrupted before the first iteration")
        except Exception as error:
            result = ended(directory, RunStatus.FAILED, f"{type(error).__name__}: {error}")
    try:
        directory.write_result(result)
    except OSError as error:
        return _not_kept(directory, keeper, error)
    try:
        return (end or finish)(directory, keeper, config.tracking.patience)
    except Exception as error:  # what was trained stands, whatever becomes of its publication
        kept = directory.result or result
        return Outcome(
            result.status, str(directory.path), None, kept.message, kept, published=False, problem=one_line(error)
        )


def write_description(directory: RunDirectory, request: Request) -> None:
    """Config, overrides and environment, before the first iteration."""
    config, task = request.config, request.config.task
    code = task.code(config.of_task)
    environment = provenance.environment(task.threads(config.of_task), code.digest, code.files)
    directory.write_text("config/config.yaml", request.composed)
    directory.write_text("config/overrides.yaml", "".join(f"- {json.dumps(o)}\n" for o in request.overrides) or "[]\n")
    directory.write_json("environment/environment.json", environment)
    if diff := provenance.git_state().get("diff"):
        directory.write_text("environment/git_diff.patch", diff)


def _train(config: Config, directory: RunDirectory, share: Share | None) -> RunResult:
    run = DirectoryRun(directory, directory.record, share)
    try:
        ending = config.task.train(run, config.of_task)
    finally:
        run.close()
    return result_of(directory, ending, run.saved)


def result_of(directory: RunDirectory, ending: Ending, saved: Mapping[str, str]) -> RunResult:
    """What `result.json` says of a run that ended by itself or was interrupted."""
    return RunResult(
        run_id=directory.uid,
        status=RunStatus.KILLED if ending.reason == INTERRUPTED else RunStatus.FINISHED,
        message=ending.message,
        ended=time.time(),
        step=ending.step,
        tags={STATUS_MESSAGE: ending.message, **ending.tags},
        final_metrics=dict(ending.metrics),
        values={**ending.values, **ending.counters, "saved": dict(saved)},
    )


def ended(directory: RunDirectory, status: RunStatus, message: str) -> RunResult:
    """The result of a run that has nothing to show."""
    return RunResult(directory.uid, status, message, time.time(), tags={STATUS_MESSAGE: message})


def _not_kept(directory: RunDirectory, keeper: Keeper, error: OSError) -> Outcome:
    """The outcome of a run that ended where its directory cannot be written, as on a full disk."""
    message = f"the run directory {directory.path} cannot be written: {error}"
    keeper.ask("fail", path=str(directory.path), message=message)
    return _lost(directory, message)


def _lost(directory: RunDirectory, message: str) -> Outcome:
    """The outcome of a run whose directory does not hold its result."""
    return Outcome(RunStatus.FAILED, str(directory.path), None, message)


@contextmanager
def _claimed(config: Config, directory: RunDirectory, keeper: Keeper) -> Iterator[Outcome | None]:
    """Hold the job of a sweep while it is done; gives the outcome that stands for it where another has it.

    A file lock settles it at once among the processes of one machine; the store, where it answers, among all.
    """
    root, record = config.tracking.directory, directory.record
    run_key, uid = record.run_key or "", record.uid
    lock = disk_arbiter.lock(root, run_key)
    try:
        lock.acquire()
    except LockTimeout:
        yield _left_to(Claim(HELD, ""), "another process of this machine is at it")
        return
    try:
        has_store = keeper.uri is not None
        claim = disk_arbiter.existing(root, run_key, uid, resume=config.resume, unpublished_only=has_store)
        if claim is None and has_store:
            claim = _ask_store(config, directory, keeper, run_key)
            if claim is None:  # no answer: train all the same, and publish later
                claim = disk_arbiter.existing(root, run_key, uid, resume=config.resume)
        if claim is None or claim.verdict == MINE:
            disk_arbiter.register(root, run_key, directory)
            yield None
        else:
            yield _left_to(claim, f"run {claim.run_id} stands for it: {claim.verdict}")
    finally:
        lock.release()


def _ask_store(config: Config, directory: RunDirectory, keeper: Keeper, run_key: str) -> Claim | None:
    """What the store says to a claim; None where it does not answer."""
    try:
        answer = keeper.answer(
            "claim",
            timeout=CLAIM_SECONDS if keeper.is_remote else LOCAL_SECONDS,
            path=str(directory.path),
            run_key=run_key,
            resume=config.resume,
        )
    except StoreError:
        return None
    return Claim(**answer)


def _left_to(claim: Claim, message: str) -> Outcome:
    """The outcome of a job that another run stands for."""
    return Outcome(RunStatus.SKIPPED, "", claim.run_id or None, message, verdict=claim.verdict)


def finish(directory: RunDirectory, keeper: Keeper, patience: float) -> Outcome:
    """Have the run drawn and published; wait no longer than `patience` seconds for a tracking server."""
    problem = None
    try:
        keeper.answer("draw", timeout=DRAWING_SECONDS, path=str(directory.path))
    except StoreError as error:
        problem = f"reports and figures could not be made: {error}"
    published, address = False, None
    try:
        wait = patience if keeper.is_remote else max(patience, LOCAL_SECONDS)
        answer = keeper.answer("finish", timeout=wait, path=str(directory.path))
        published, address = answer["complete"], answer["address"]
    except StoreError as error:
        problem = str(error)
    try:
        result = directory.result
    except RecordError as error:
        return _lost(directory, str(error))
    if result is None:
        return _lost(directory, f"the run directory {directory.path} was deleted before the run was published")
    if other := result.superseded_by:
        return Outcome(
            RunStatus.SKIPPED, str(directory.path), other, result.message, result, FINISHED, published, problem, address
        )
    return Outcome(
        status=result.status,
        path=str(directory.path),
        run_id=result.run_id,
        message=result.message,
        result=result,
        published=published,
        problem=problem,
        address=address,
    )
