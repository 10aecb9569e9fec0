"""One run from its config to its directory: load, train, keep, have it published."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import Timeout as LockTimeout

from nnexp import datasets
from nnexp.config import Config, ConfigError
from nnexp.datasets import Dataset, Split
from nnexp.errors import ExitStatus, one_line
from nnexp.nn import n_parameters, objective_bytes
from nnexp.optim import check_memory
from nnexp.runs import backlog, disk_arbiter
from nnexp.runs.arbitration import FINISHED, HELD, MINE, Claim
from nnexp.runs.directory import RESULT, HistoryWriter, RunDirectory
from nnexp.runs.files import RecordError
from nnexp.tasks.network.record import Task, make_record, save_weights, summary, write_description
from nnexp.tasks.network.training import Row, fit
from nnexp.terminal import Progress, say
from nnexp.tracking.keeper import Keeper, keeper_for
from nnexp.tracking.store import StoreError, open_store

UNSCALED = 10.0  # features beyond are taken for unscaled ones
DRAWING_SECONDS = 120
CLAIM_SECONDS = 10
LOCAL_SECONDS = 120  # for a database file, which is slow only where the machine is busy


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: str  # FINISHED, FAILED, KILLED; SKIPPED where another run stands for this one
    path: str
    run_id: str | None
    result: dict[str, Any]
    published: bool = True
    problem: str | None = None
    address: str | None = None

    @property
    def exit_status(self) -> ExitStatus:
        """What the process should say to its caller."""
        if self.status == "FINISHED":
            return ExitStatus.DONE if self.published else ExitStatus.NOT_PUBLISHED
        return ExitStatus.INTERRUPTED if self.status == "KILLED" else ExitStatus.FAILED


def load(config: Config) -> Dataset:
    """The data set of a config."""
    try:
        return datasets.load(config.data.name, **config.data.source)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def split_of(config: Config, dataset: Dataset) -> Split:
    """The parts of the data set."""
    try:
        return dataset.split(config.data.test_size, config.data.validation_size, config.seed, config.data.scale)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def hint_at_scaling(split: Split) -> None:
    """Say so where features are so large that the units of a network start saturated."""
    largest = float(np.abs(split.train.X).max())
    if largest > UNSCALED:
        say(f"hint: features reach {largest:g}; a network trains badly on them: try data.scale=minmax or standard")


def layer_sizes_of(config: Config, dataset: Dataset) -> tuple[int, ...]:
    """Widths of all layers, input first."""
    return (dataset.X.shape[1], *config.model.hidden_sizes, len(dataset.classes))


def check_memory_of(config: Config, dataset: Dataset, n_train: int) -> None:
    """Refuse a network or a method whose arrays cannot fit into the memory."""
    layer_sizes = layer_sizes_of(config, dataset)
    try:
        besides = objective_bytes(layer_sizes, n_train, np.dtype(config.training.dtype))
        check_memory(config.optimizer.method, n_parameters(layer_sizes), besides)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def keeper_of(config: Config) -> Keeper:
    """The keeper that publishes runs of this config."""
    tracking = config.tracking
    uri = tracking.uri if tracking.backend == "mlflow" else None
    if uri is not None:
        with suppress(StoreError):  # the keeper meets it too, and then it is told
            open_store(uri, tracking.experiment).settle()
    return keeper_for(uri, tracking.experiment, tracking.heartbeat)


Finish = Callable[[RunDirectory, Keeper, float], Outcome]
Share = Callable[[Split, Config], Split]


def execute(task: Task, finish: Finish | None = None, share: Share | None = None) -> Outcome:
    """Do one run. The run directory holds all of it, whatever becomes of the store.

    Parameters
    ----------
    task
        What to do.
    finish
        Sees a trained run through to its end; default: the function of that name, which waits for it.
    share
        Gives the same split in memory that other processes use too; default: it stays where it is.

    Raises
    ------
    ConfigError
        Before anything is written.
    """
    config = task.config
    keeper = keeper_of(config).start()
    dataset = load(config)
    split = split_of(config, dataset)
    if share is not None:
        split = share(split, config)
    if config.tracking.sweep is None and config.data.scale == "none":
        hint_at_scaling(split)
    layer_sizes = layer_sizes_of(config, dataset)
    check_memory_of(config, dataset, len(split.train))

    def record_in(path: Path) -> dict[str, Any]:
        return make_record(replace(task, path=path), dataset, split, layer_sizes)

    if config.tracking.sweep is None:
        directory = RunDirectory.create(task.path, record_in(task.path))
        return _do(task, split, directory, keeper, finish)
    directory = RunDirectory.create_beside(task.path, record_in)
    with _claimed(config, directory, keeper) as standing:
        if standing is not None:
            shutil.rmtree(directory.path)
            return standing
        return _do(task, split, directory, keeper, finish)


def _do(task: Task, split: Split, directory: RunDirectory, keeper: Keeper, end: Finish | None) -> Outcome:
    """Train in a directory that is made, and see the run through to its end."""
    with interruptible():
        try:
            backlog.enter(backlog.folder(task.config.tracking.directory), directory)
            keeper.open(directory)
            write_description(directory, task)
            result = _train(task, split, directory)
        except KeyboardInterrupt:
            result = _ended("KILLED", "interrupted before the first iteration")
        except Exception as error:
            result = _ended("FAILED", f"{type(error).__name__}: {error}")
    try:
        directory.write_json(RESULT, {"run_id": directory.uid} | result)
    except OSError as error:
        return _not_kept(directory, keeper, error)
    try:
        return (end or finish)(directory, keeper, task.config.tracking.patience)
    except Exception as error:  # what was trained stands, whatever becomes of its publication
        status, problem = result["status"], one_line(error)
        return Outcome(status, str(directory.path), None, directory.result or result, published=False, problem=problem)


def _not_kept(directory: RunDirectory, keeper: Keeper, error: OSError) -> Outcome:
    """The outcome of a run that ended where its directory cannot be written, as on a full disk."""
    message = f"the run directory {directory.path} cannot be written: {error}"
    keeper.ask("fail", path=str(directory.path), message=message)
    return _lost(directory, message)


def _lost(directory: RunDirectory, message: str) -> Outcome:
    """The outcome of a run whose directory does not hold its result."""
    return Outcome("FAILED", str(directory.path), None, {"status": "FAILED", "message": message})


@contextmanager
def _claimed(config: Config, directory: RunDirectory, keeper: Keeper) -> Iterator[Outcome | None]:
    """Hold the job of a sweep while it is done; gives the outcome that stands for it where another has it.

    A file lock settles it at once among the processes of one machine; the store, where it answers, among all.
    """
    root, record = config.tracking.directory, directory.record
    run_key, uid = record["identity"]["run_key"], record["uid"]
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
    return Outcome("SKIPPED", "", claim.run_id or None, {"message": message, "verdict": claim.verdict})


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM end a run as cleanly as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no Ctrl-C, which impatient people press twice, take from a run what it has found."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _train(task: Task, split: Split, directory: RunDirectory) -> dict[str, Any]:
    config = task.config
    progress = Progress(config.optimizer.maxiter, config.optimizer.maxfun, quiet=config.tracking.sweep is not None)
    writer: HistoryWriter | None = None

    def keep(row: Row) -> None:
        nonlocal writer
        if writer is None:
            writer = HistoryWriter(directory, row)
        writer.append(row)
        progress.update(row)

    try:
        result = fit(
            split,
            hidden_sizes=config.model.hidden_sizes,
            activation=config.model.activation,
            l2=config.model.l2,
            init_scale=config.model.init_scale,
            method=config.optimizer.method,
            maxiter=config.optimizer.maxiter,
            maxfun=config.optimizer.maxfun,
            options=config.optimizer.options,
            dtype=config.training.dtype,
            threads=config.training.threads,
            evaluate_every=config.training.evaluate_every,
            images_every=config.training.images_every,
            seed=config.seed,
            on_row=keep,
        )
    finally:
        progress.close()
        if writer is not None:
            writer.close()
    with undisturbed():
        save_weights(directory, result, split)
        return summary(config, result, split)


def _ended(status: str, message: str) -> dict[str, Any]:
    """The result of a run that has no weights."""
    tags = {"nnexp.status_message": message}
    return {"status": status, "message": message, "ended": time.time(), "n_iter": 0, "n_fev": 0, "tags": tags}


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
    if other := result.get("superseded_by"):
        told = {"message": result["message"], "verdict": FINISHED}
        return Outcome("SKIPPED", str(directory.path), other, told, published, problem, address)
    return Outcome(
        status=result["status"],
        path=str(directory.path),
        run_id=result.get("run_id"),
        result=result,
        published=published,
        problem=problem,
        address=address,
    )
