"""One run from its config to its directory: load, train, keep, have it published."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from filelock import Timeout as LockTimeout

import nnexp
from nnexp import datasets
from nnexp.config import Config, ConfigError
from nnexp.datasets import Dataset, Split
from nnexp.nn import Forward, n_parameters, unpack
from nnexp.optim import check_memory
from nnexp.terminal import Progress, clock, say, table
from nnexp.tracking import ledger, liveness, provenance
from nnexp.tracking.identity import Identity, array_digest, identify
from nnexp.tracking.keeper import Keeper, keeper_for
from nnexp.tracking.rundir import RESULT, HistoryWriter, RunDirectory
from nnexp.tracking.store import StoreError
from nnexp.training import FitResult, Row, blas_threads, fit

DONE, FAILED, BAD_CONFIG, DIFFERENT, NOT_PUBLISHED = 0, 1, 2, 3, 4
DRAWING_SECONDS = 120
CLAIM_SECONDS = 60
LOCAL_SECONDS = 120  # for a database file, which is slow only where the machine is busy
NOT_IN_DIGEST = ("time", "seconds")


@dataclass(frozen=True)
class Task:
    """What a run is asked to do, and under which name."""

    config: Config
    composed: str
    overrides: Sequence[str]
    path: Path
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: str  # FINISHED, FAILED, KILLED; SKIPPED where another run stands for this one
    path: str
    run_id: str | None
    result: dict[str, Any]
    published: bool = True
    problem: str | None = None

    @property
    def exit_status(self) -> int:
        """What the process should say to its caller."""
        if self.status == "FINISHED":
            return DONE if self.published else NOT_PUBLISHED
        return 130 if self.status == "KILLED" else FAILED


def load(config: Config) -> Dataset:
    """The data set of a config."""
    try:
        return datasets.load(config.data.name, **config.data.source)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def split_of(config: Config, dataset: Dataset) -> Split:
    """The parts of the data set."""
    try:
        return dataset.split(config.data.test_size, config.data.validation_size, config.seed)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def layer_sizes_of(config: Config, dataset: Dataset) -> tuple[int, ...]:
    """Widths of all layers, input first."""
    return (dataset.X.shape[1], *config.model.hidden_sizes, len(dataset.classes))


def identity_of(config: Config, dataset: Dataset) -> Identity:
    """Who a run of this config on this data is."""
    return identify(config.deciding(), dataset.digest)


def keeper_of(config: Config) -> Keeper:
    """The keeper that publishes runs of this config."""
    tracking = config.tracking
    uri = tracking.uri if tracking.backend == "mlflow" else None
    return keeper_for(uri, tracking.experiment, tracking.heartbeat)


def execute(task: Task) -> Outcome:
    """Do one run. The run directory holds all of it, whatever becomes of the store.

    Raises
    ------
    ConfigError
        Before anything is written.
    """
    config = task.config
    keeper = keeper_of(config).start()
    dataset = load(config)
    split = split_of(config, dataset)
    layer_sizes = layer_sizes_of(config, dataset)
    try:
        check_memory(config.optimizer.method, n_parameters(layer_sizes))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    directory = RunDirectory.create(task.path, make_record(task, dataset, split, layer_sizes))
    if config.tracking.sweep is None:
        return _do(task, split, directory, keeper)
    with _claimed(config, directory, keeper) as standing:
        if standing is not None:
            shutil.rmtree(directory.path)
            return standing
        return _do(task, split, directory, keeper)


def _do(task: Task, split: Split, directory: RunDirectory, keeper: Keeper) -> Outcome:
    """Train in a directory that is made, and see the run through to its end."""
    ledger.enter(ledger.folder(task.config.tracking.directory), directory)
    write_description(directory, task)
    keeper.open(directory)
    with interruptible():
        try:
            result = _train(task, split, directory)
        except KeyboardInterrupt:
            result = _ended("KILLED", "interrupted before the first iteration")
        except Exception as error:
            result = _ended("FAILED", f"{type(error).__name__}: {error}")
    directory.write_json(RESULT, {"run_id": directory.uid} | result)
    return finish(directory, keeper, task.config.tracking.patience)


@contextmanager
def _claimed(config: Config, directory: RunDirectory, keeper: Keeper) -> Iterator[Outcome | None]:
    """Hold the job of a sweep while it is done; gives the outcome that stands for it where another has it.

    A file lock settles it at once among the processes of one machine; the store, where it answers, among all.
    """
    run_key = directory.record["identity"]["run_key"]
    lock = FileLock(Path(config.tracking.directory).resolve() / "locks" / run_key, timeout=0)
    lock_folder = Path(lock.lock_file).parent
    lock_folder.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire()
    except LockTimeout:
        yield Outcome("SKIPPED", "", None, {"message": "another process of this machine is at it"})
        return
    try:
        yield _ask_store(config, directory, keeper, run_key)
    finally:
        lock.release()


def _ask_store(config: Config, directory: RunDirectory, keeper: Keeper, run_key: str) -> Outcome | None:
    if keeper.uri is None:
        return None
    try:
        claim = keeper.answer(
            "claim", timeout=CLAIM_SECONDS, path=str(directory.path), run_key=run_key, resume=config.resume
        )
    except StoreError:
        return None  # the store does not answer: train all the same, and publish later
    if claim["verdict"] == "mine":
        return None
    return Outcome(
        "SKIPPED", "", claim["run_id"], {"message": f"run {claim['run_id']} stands for it: {claim['verdict']}"}
    )


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


def make_record(task: Task, dataset: Dataset, split: Split, layer_sizes: Sequence[int]) -> dict[str, Any]:
    """What `run.json` says: who the run is and who holds it."""
    config = task.config
    identity = identity_of(config, dataset)
    deciding = config.deciding()
    git = provenance.git_state()
    name = (
        config.tracking.run_name
        or f"{config.data.name} {config.optimizer.method} λ={config.model.l2:g} H={config.model.hidden_size}"
    )
    tags = {
        "nnexp.run_key": identity.run_key,
        "nnexp.config_hash": identity.config_hash,
        "nnexp.data_digest": identity.data_digest,
        "nnexp.code_digest": identity.code_digest,
        "nnexp.version": nnexp.__version__,
        "nnexp.directory": str(Path(task.path).resolve()),
        "mlflow.source.name": "nnexp",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": os.environ.get("USER") or os.environ.get("LOGNAME") or "unknown",
        **({"mlflow.source.git.commit": git["commit"]} if git else {}),
        **({"nnexp.sweep": config.tracking.sweep} if config.tracking.sweep else {}),
        **task.tags,
    }
    source = dict(config.data.source)
    if source.get("path"):
        source["path"] = str(Path(source["path"]).resolve())
    return {
        "uid": Path(task.path).name + "-" + os.urandom(4).hex(),
        "name": name,
        "started": time.time(),
        "owner": liveness.owner(),
        "heartbeat": config.tracking.heartbeat,
        "identity": {
            "run_key": identity.run_key,
            "config_hash": identity.config_hash,
            "data_digest": identity.data_digest,
            "code_digest": identity.code_digest,
        },
        "tracking": {
            "uri": config.tracking.uri if config.tracking.backend == "mlflow" else None,
            "experiment": config.tracking.experiment,
            "sweep": config.tracking.sweep,
        },
        "ledger": str(ledger.folder(config.tracking.directory)),
        "params": deciding,
        "overrides": list(task.overrides),
        "data": {"name": config.data.name, **source}
        | {"test_size": config.data.test_size, "validation_size": config.data.validation_size},
        "seed": config.seed,
        "layer_sizes": list(layer_sizes),
        "activation": config.model.activation,
        "dtype": config.training.dtype,
        "figures": list(config.figures),
        "dataset": dataset_input(dataset, split),
        "tags": tags,
    }


def dataset_input(dataset: Dataset, split: Split) -> dict[str, str]:
    """The data set as MLflow describes one."""
    sizes = {
        part: len(data.y) for part in ("train", "validation", "test") if (data := getattr(split, part)) is not None
    }
    profile = {"n_samples": len(dataset.y), "n_features": dataset.X.shape[1], "n_classes": len(dataset.classes)}
    schema = {"X": [dataset.X.shape[1]], "y": "class", "classes": list(dataset.classes)}
    return {
        "name": dataset.name,
        "digest": dataset.digest,
        "source_type": "nnexp",
        "source": json.dumps({"name": dataset.name}),
        "schema": json.dumps(schema),
        "profile": json.dumps(profile | {f"n_{part}": size for part, size in sizes.items()}),
    }


def write_description(directory: RunDirectory, task: Task) -> None:
    """Config, overrides and environment, before the first iteration."""
    directory.write_text("config/config.yaml", task.composed)
    directory.write_text("config/overrides.yaml", "".join(f"- {json.dumps(o)}\n" for o in task.overrides) or "[]\n")
    directory.write_json("environment/environment.json", provenance.environment())
    if diff := provenance.git_state().get("diff"):
        directory.write_text("environment/git_diff.patch", diff)


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
    save_weights(directory, result, split.train)
    return summary(config, result, split)


def save_weights(directory: RunDirectory, result: FitResult, data: Dataset) -> None:
    """`weights.npz`: theta and the arrays of each layer, and what is needed to use them."""
    weights, biases = unpack(result.theta, result.layer_sizes)
    layers = {f"weights_{i}": w for i, w in enumerate(weights)} | {f"biases_{i}": b for i, b in enumerate(biases)}
    snapshots = {
        f"snapshot_{step}": unpack(theta, result.layer_sizes)[0][0] for step, theta in result.snapshots.items()
    }
    directory.write_weights(
        theta=result.theta,
        theta0=result.theta0,
        n_layers=len(weights),
        layer_sizes=np.array(result.layer_sizes),
        activation=result.activation,
        classes=np.array(data.classes),
        image_shape=np.array(data.image_shape or (), dtype=int),
        image_order=data.image_order,
        **layers,
        **snapshots,
    )


def _ended(status: str, message: str) -> dict[str, Any]:
    """The result of a run that has no weights."""
    tags = {"nnexp.status_message": message}
    return {"status": status, "message": message, "ended": time.time(), "n_iter": 0, "n_fev": 0, "tags": tags}


def summary(config: Config, result: FitResult, split: Split) -> dict[str, Any]:
    """What `result.json` says of a fit."""
    status = "KILLED" if result.status == "interrupted" else "FINISHED"
    part = "test" if split.test is not None else "train"
    digests = {
        "theta_digest": array_digest(result.theta),
        "theta0_digest": array_digest(result.theta0),
        "history_digest": history_digest(result.history),
        "predictions_digest": predictions_digest(config, result, split),
    }
    last = {key: result.last(key) for key in result.history if key.split("/")[0] in ("loss", "accuracy")}
    final = {"fit_seconds": result.fit_seconds, "n_iter": result.n_iter, "gradient_check": result.gradient_check}
    return {
        "status": status,
        "cost": result.cost,
        "loss": result.loss,
        "accuracy": result.last(f"accuracy/{part}"),
        **last,
        "n_iter": result.n_iter,
        "n_fev": result.n_fev,
        "fit_seconds": result.fit_seconds,
        "gradient_check": result.gradient_check,
        "optimizer_status": result.status,
        "success": result.success,
        "message": result.message,
        **digests,
        "final_metrics": final,
        "ended": time.time(),
        "tags": {
            "nnexp.status_message": result.message,
            "nnexp.optimizer_status": result.status,
            **{f"nnexp.{key}": value for key, value in digests.items()},
        },
    }


def history_digest(history: Mapping[str, np.ndarray]) -> str:
    """Digest of all that repeats in a history: every column but the clocks'."""
    kept = [key for key in sorted(history) if key not in NOT_IN_DIGEST]
    return array_digest(np.array([history[key] for key in kept], dtype=float)) if kept else ""


def predictions_digest(config: Config, result: FitResult, split: Split) -> str:
    """Digest of the trained network's outputs on the test part, or on the training part where nothing is held out."""
    part = split.test if split.test is not None else split.train
    dtype = np.dtype(config.training.dtype)
    with blas_threads(config.training.threads):
        forward = Forward(part.X, result.layer_sizes, activation=result.activation, dtype=dtype)
        return array_digest(forward(result.theta))


def finish(directory: RunDirectory, keeper: Keeper, patience: float) -> Outcome:
    """Have the run drawn and published; wait no longer than `patience` seconds for a tracking server."""
    problem = None
    try:
        keeper.answer("draw", timeout=DRAWING_SECONDS, path=str(directory.path))
    except StoreError as error:
        problem = f"reports and figures could not be made: {error}"
    published = False
    try:
        wait = patience if keeper.is_remote else max(patience, LOCAL_SECONDS)
        answer = keeper.answer("finish", timeout=wait, path=str(directory.path))
        published = answer["complete"]
    except StoreError as error:
        problem = str(error)
    result = directory.result or {}
    return Outcome(
        status=result["status"],
        path=str(directory.path),
        run_id=result.get("run_id"),
        result=result,
        published=published,
        problem=problem,
    )


def show(outcome: Outcome, config: Config) -> None:
    """The table at the end of a run: results on standard output, the rest on standard error."""
    result, rows = outcome.result, []
    rows.append(("status", f"{outcome.status}: {result['message']}"))
    if "cost" in result:
        rows.append(("cost", f"{result['cost']:.6f} (loss {result['loss']:.6f})"))
        for part in ("train", "validation", "test"):
            if f"accuracy/{part}" in result:
                rows.append((f"{part} accuracy", f"{result[f'accuracy/{part}']:.2%}"))
        rows.append(("iterations", f"{result['n_iter']}, {result['n_fev']} evaluations"))
        rows.append(("fit", clock(result["fit_seconds"])))
        rows.append(("gradient check", f"{result['gradient_check']:.1e} relative difference"))
    rows.append(("run", str(outcome.run_id)))
    rows.append(("directory", os.path.relpath(outcome.path)))
    rows.append(("open", how_to_open(outcome, config)))
    print(table(rows), flush=True)
    if not outcome.published:
        say(f"Not published: {outcome.problem}. The run is whole in its directory; `nnexp sync` publishes it.")
    elif outcome.problem:
        say(outcome.problem)


def how_to_open(outcome: Outcome, config: Config) -> str:
    """The command or the address that shows the run."""
    if config.tracking.backend == "none":
        return outcome.path
    default = f"sqlite:///{config.tracking.directory}/mlflow.db"
    return "nnexp ui" if config.tracking.uri == default else f"nnexp ui --uri {shlex.quote(config.tracking.uri)}"
