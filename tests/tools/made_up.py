"""Run directories as a trainer leaves them, made without training."""

import json
import os
from pathlib import Path

import numpy as np

from nnexp.runs import backlog, lease
from nnexp.runs.directory import RunDirectory
from nnexp.runs.history import HistoryWriter
from nnexp.runs.records import Destination, PlannedJob, RunRecord, RunResult, RunStatus, SweepPlan

STARTED = 1_700_000_000.0
LAYER_SIZES = (4, 3, 2)


def begin(root: Path, name: str, *, started: float = STARTED, store=None, sweep=None) -> RunDirectory:
    """A run that has begun: record, config, no history."""
    path = root / "runs" / name
    key = f"key of {name}"
    dataset = {"name": "made up", "digest": "d" * 32, "source_type": "nnexp", "source": "{}", "schema": "{}",
               "profile": json.dumps({"n_samples": 7})}  # fmt: skip
    directory = RunDirectory.create(path, RunRecord(
        uid=f"{name}-uid", name="a run", started=started, owner=lease.owner(), heartbeat=10.0,
        tracking=Destination(store.uri if store else None, store.experiment if store else "e", sweep),
        backlog=str(backlog.folder(root)), identity={"run_key": key},
        params={"model.l2": 1.0, "model.hidden_size": [3], "data.name": "made up", "optimizer.method": "TNC",
                "seed": 0},
        details={"layer_sizes": list(LAYER_SIZES), "activation": "sigmoid", "dtype": "float64", "dataset": dataset},
        tags={"nnexp.run_key": key, "nnexp.directory": str(path), "nnexp.version": "0",
              **({"nnexp.sweep": sweep} if sweep else {})},
    ))  # fmt: skip
    directory.write_text("config/config.yaml", "seed: 0\n")
    backlog.enter(root, directory)
    return directory


def row(step: int, started: float = STARTED) -> dict[str, float]:
    """One row of a history; not every column has a value in every row."""
    values = {"step": step, "time": started + 0.5 * step, "cost/train": 1 / (step + 1), "optimizer/n_fev": 2 * step + 1}
    return values | ({"accuracy/test": step / 10} if step % 2 == 0 else {})


def train(directory: RunDirectory, steps: range) -> HistoryWriter:
    """Some iterations; the writer takes more."""
    writer = HistoryWriter(directory.path)
    for step in steps:
        log(writer, row(step, directory.record.started))
    return writer


def log(writer: HistoryWriter, values) -> None:
    """A row, as training logs it."""
    writer.log({key: value for key, value in values.items() if key not in ("step", "time")}, int(values["step"]),
               values["time"])  # fmt: skip


def end(directory: RunDirectory, n_iter: int, *, status: str = "FINISHED", described: bool = True) -> None:
    """Weights, reports and the result."""
    rng = np.random.default_rng(0)
    layers = {"weights_0": rng.normal(size=(3, 4)), "biases_0": rng.normal(size=3)}
    layers |= {"weights_1": rng.normal(size=(2, 3)), "biases_1": rng.normal(size=2)}
    rest = {"n_layers": 2, "activation": "sigmoid", "classes": np.array(["no", "yes"])}
    directory.write_arrays("weights.npz", layers | rest)
    directory.write_history_table()
    directory.write_text("classification_report.txt", "good")
    directory.write_text("figures/sample.png", "not really")
    directory.write_result(RunResult(
        run_id=directory.uid, status=RunStatus(status), message="done", ended=directory.record.started + 60,
        step=n_iter, final_metrics={"fit_seconds": 1.5, "n_iter": n_iter, "f1/test": 0.5},
        tags={"nnexp.status_message": "done", "nnexp.theta_digest": "t" * 32}, described=described,
        values={"n_iter": n_iter, "n_fev": 2 * n_iter + 1, "cost": 1 / (n_iter + 1), "theta_digest": "t" * 32},
    ))  # fmt: skip


def whole(root: Path, name: str, *, n_iter: int = 4, **settings) -> RunDirectory:
    """A run that has ended."""
    directory = begin(root, name, **settings)
    train(directory, range(n_iter + 1)).close()
    end(directory, n_iter)
    return directory


def touch(path: Path, moment: float) -> None:
    """Give a file the time of a moment, seconds since the epoch."""
    os.utime(path, (moment, moment))


def plan(sweep, keys=(), *, swept_keys=("seed",), **more):
    """The plan of a sweep, with a job for each key."""
    values = {
        "sweep": sweep,
        "name": "sweep of " + ", ".join(swept_keys),
        "swept_keys": tuple(swept_keys),
        "varied": tuple(swept_keys),
        "command": "nnexp -m seed=0,1",
        "uri": None,
        "experiment": "e",
        "made": STARTED - 5,
        "made_as": sweep,
        "jobs": tuple(PlannedJob(key, (f"seed={i}",), f"seed={i}") for i, key in enumerate(keys)),
    }
    return SweepPlan(**values | more)
