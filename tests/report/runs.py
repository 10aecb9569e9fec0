"""Runs made by hand, as a store would give them: quick, with known numbers, and with the files that a report reads."""

import itertools
import json

import numpy as np

from nnexp import tasks
from nnexp.comparison.grouping import groups
from nnexp.report.table import metric_keys, param_keys, tidy
from nnexp.tracking.stored_run import StoredRun

BASE = {
    "data.name": "digits",
    "model.hidden_size": "6",
    "model.l2": "1.0",
    "optimizer.method": "TNC",
    "optimizer.maxiter": "20",
    "optimizer.maxfun": "20",
    "seed": "0",
}
CLASSES = ("a", "b", "c")
SPEC = tasks.find("network").comparison


def grouped(runs):
    """The groups that a report compares, of runs of the network."""
    frame = tidy(runs)
    return groups(frame, param_keys(frame, runs), metric_keys(frame, runs), lambda task: SPEC)


def stored_run(folder, number=0, *, status="FINISHED", message="", metrics=None, digest="d1", key=None, **params):
    """A run with params over `BASE` (dots as double underscores); its files lie in a folder of its own."""
    run_id = f"run{number:04d}"
    artifacts = folder / run_id
    artifacts.mkdir(parents=True, exist_ok=True)
    tags = {
        "nnexp.data_digest": digest,
        "nnexp.code_digest": "c1",
        "nnexp.run_key": key or run_id,
        "nnexp.status_message": message,
        "nnexp.sweep": "abc",
    }
    return StoredRun(
        run_id=run_id,
        name=f"run {number}",
        status=status,
        start=1_700_000_000.0 + number,
        end=1_700_000_010.0 + number if status != "RUNNING" else None,
        tags=tags,
        params=BASE | {name.replace("__", "."): str(value) for name, value in params.items()},
        metrics=metrics or {},
        artifact_uri=artifacts.as_uri(),
        experiment_id="1",
    )


def trained_run(folder, number=0, *, accuracy=0.9, validation=None, rate=0.3, n_rows=12, features=16, **params):
    """A finished run with history, classification report and weights, whose cost falls at the given rate."""
    rng = np.random.default_rng(number)
    step = np.arange(n_rows)
    cost = 0.3 + 3 * np.exp(-rate * step)
    right = accuracy * (1 - np.exp(-0.5 * step)) / (1 - np.exp(-0.5 * step[-1]))
    history = {
        "step": step,
        "time": 1_700_000_000 + 0.01 * step,
        "seconds": 0.01 * step * (1 + rate),
        "cost/train": cost,
        "loss/train": cost - 0.05,
        "accuracy/train": np.minimum(1, right + 0.02),
        "optimizer/gradient_norm": cost,
        "optimizer/n_fev": 1 + 2 * step,
        "loss/test": cost,
        "accuracy/test": right,
    }
    if validation is not None:
        history |= {"loss/validation": cost, "accuracy/validation": right * validation / accuracy}
    final = {key: float(column[-1]) for key, column in history.items() if "/" in key}
    run = stored_run(folder, number, metrics=final | {"n_iter": n_rows - 1.0, "fit_seconds": 0.2}, **params)
    files = folder / run.run_id
    (files / "reports").mkdir(exist_ok=True)
    rows = [",".join(history), *(",".join(map(repr, map(float, row))) for row in zip(*history.values(), strict=True))]
    (files / "reports" / "history.csv").write_text("\n".join(rows) + "\n")
    for part in ("train", "validation", "test"):
        (files / "reports" / f"classification_report_{part}.json").write_text(json.dumps(report_of(accuracy)))
    np.savez(
        files / "weights.npz",
        weights_0=rng.normal(size=(int(run.params["model.hidden_size"]), features)),
        image_shape=np.array([4, features // 4]),
        image_order="C",
        activation="sigmoid",
    )
    return run


def report_of(accuracy):
    """A classification report of three classes of 100 samples each."""
    right = round(100 * accuracy)
    wrong = 100 - right
    counts = [[right, wrong, 0], [0, right, wrong], [wrong, 0, right]]
    row = {"precision": right / 100, "recall": right / 100, "f1-score": right / 100, "support": 100}
    return {"classes": dict.fromkeys(CLASSES, row), "confusion": {"classes": list(CLASSES), "counts": counts}}


def grid(folder, *, accuracy, **swept):
    """One run for each combination; `accuracy(**values)` says how it did. Keys as in `stored_run`."""
    runs = []
    for number, values in enumerate(itertools.product(*swept.values())):
        chosen = dict(zip(swept, values, strict=True))
        runs.append(trained_run(folder, number, accuracy=accuracy(**chosen), **chosen))
    return runs
