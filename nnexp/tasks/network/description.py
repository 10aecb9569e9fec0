"""From a run directory's weights to everything a person looks at: reports, tables and figures.

Works from the directory alone, so that a run cut off after its fit can still be finished; doing it twice gives the same
files.
"""

from __future__ import annotations

import io
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from nnexp import datasets, evaluation, figures
from nnexp.datasets import Dataset, Split
from nnexp.figures import PART_COLORS, Chart, Line, Panel, charts, pictures
from nnexp.figures.paint import paint
from nnexp.nn import Forward, predict
from nnexp.runs.directory import RunDirectory, write_atomically
from nnexp.runs.files import read_arrays, to_json
from nnexp.runs.history import columns_of
from nnexp.runs.places import data_file
from nnexp.runs.records import RunRecord
from nnexp.statistics.calibration import Calibration, calibration
from nnexp.tasks.interface import Described
from nnexp.tasks.network.activation import activation_of, recorded
from nnexp.tasks.network.served_model import probabilities
from nnexp.terminal import percent

TABLE = "per_class.json"  # shown by the UI across runs
MARGIN = "margin: output of the predicted class less that of the true one, before the sigmoid"
IMAGE_KEY = "hidden_layer"
FASTEST = 0  # of WebP's methods: half the time for a twentieth more of bytes
TABLE_TAGS = {"mlflow.loggedArtifacts": f'[{{"path": "{TABLE}", "type": "table"}}]'}
IMAGE_TAGS = {"mlflow.loggedImages": "True"}
KEPT_BYTES = 2**27
_last_data: dict[str, Dataset] = {}
_last_split: dict[str, Split] = {}


def describe(directory: RunDirectory) -> Described:
    """Write reports and figures of an ended run; of one that draws none the reports only.

    Raises
    ------
    ValueError
        Where the data set can no longer be loaded or is not the one the run was trained on: nothing false is drawn.
    """
    result, record = directory.result, directory.record
    if result is None:
        raise ValueError(f"{directory.path} has not ended")
    if not (directory.path / "weights.npz").exists():
        return Described()
    split = load_split(record, details := _details(directory))
    stored = read_arrays(directory.path / "weights.npz")
    theta, weights = stored["theta"], stored["weights_0"]
    snapshots = {int(key.split("_")[1]): value for key, value in stored.items() if key.startswith("snapshot_")}
    recorded(details["activation"], stored)
    forward = _Forwards(details, theta)
    formats = record.figures

    parts = [(name, part) for name in ("test", "validation", "train") if (part := getattr(split, name)) is not None]
    reports = {name: evaluation.evaluate(part.y, predict(forward(part)), part.classes) for name, part in parts}
    shown, part = parts[0]
    calibrations = {name: calibration(probabilities(forward(part)), part.y) for name, part in parts}
    _write_reports(directory, reports, calibrations)
    _write_table(directory, reports[shown])

    final: dict[str, float] = {}
    for name, report in reports.items():
        if name != "train" or shown == "train":
            measured = calibrations[name]
            final |= {f"f1/{name}": report.f1_macro, f"brier/{name}": measured.brier, f"ece/{name}": measured.ece}
    if not (record.draws or result.draws_later):
        return Described(final, TABLE_TAGS)

    history = columns_of(directory.history())
    if len(history):
        _save(directory, "cost_curves", cost_chart(history), formats)
    _save(directory, "confusion_matrix", charts.confusion_matrix(reports[shown].confusion, part.classes), formats)
    hidden = pictures.hidden_layer(weights, part.image_shape, part.image_order)
    _save(directory, "hidden_layer", hidden, formats)
    if part.image_shape is not None:
        _save(directory, "figures/sample", pictures.sample_images(part.images(), part.y, part.classes), formats)
        _save(directory, "figures/worst_mistakes", _worst_mistakes(part, forward(part)), formats)
    for step, picture in {**snapshots, result.step: weights}.items():
        _log_image(directory, step, picture, part, int(result.ended * 1000))

    return Described(final, TABLE_TAGS | IMAGE_TAGS)


def prepare(directory: RunDirectory) -> None:
    """Load what :func:`describe` needs but for the weights, while the run trains: imports, fonts, the data."""
    figures.png(paint(charts.confusion_matrix(np.eye(2, dtype=int), ("0", "1"))))
    load_split(directory.record, _details(directory))


def _details(directory: RunDirectory) -> dict[str, Any]:
    """The details of a run, with the place of its data file now."""
    details = dict(directory.record.details)
    if (path := data_file(directory)) is not None:
        details["data"] = {**details["data"], "path": path}
    if not os.path.isdir(details["data"].get("cache") or ""):
        details["data"] = {**details["data"], "cache": None}  # no folder is made because a record names it
    return details


def load_split(record: RunRecord, details: Mapping[str, Any]) -> Split:
    """The parts of the very data set that a run was trained on; kept for the next run on the same, if not too large."""
    data, digest = dict(details["data"]), record.identity["data_digest"]
    before = {key: data.pop(key) for key in ("test_size", "validation_size", "scale") if key in data}
    arguments = details.get("split", {**before, "seed": record.seed})
    key = json.dumps([digest, data], sort_keys=True, default=repr)
    dataset = _last_data.get(key) or _load(data, digest)
    whole = key + json.dumps(arguments, sort_keys=True, default=repr)
    split = _last_split.get(whole) or dataset.split(**arguments)
    _last_data.clear()
    _last_split.clear()
    if dataset.X.nbytes <= KEPT_BYTES:
        _last_data[key], _last_split[whole] = dataset, split
    return split


def _load(data: Mapping[str, Any], digest: str) -> Dataset:
    dataset = datasets.load(**data)
    if dataset.digest != digest:
        raise ValueError(
            f"the data set {dataset.name} has changed: its digest is {dataset.digest}, the run was trained on {digest}"
        )
    return dataset


class _Forwards:
    """Outputs of the trained network on a part, in the arithmetic of the run."""

    def __init__(self, details: Mapping[str, Any], theta: np.ndarray) -> None:
        self.details, self.theta = details, theta
        self._logits: dict[int, np.ndarray] = {}

    def __call__(self, part: Dataset) -> np.ndarray:
        if id(part) not in self._logits:
            forward = Forward(
                part.X,
                tuple(self.details["layer_sizes"]),
                activation=activation_of(self.details["activation"]),
                dtype=np.dtype(self.details["dtype"]),
            )
            self._logits[id(part)] = forward(self.theta)
        return self._logits[id(part)]


def _write_reports(
    directory: RunDirectory, reports: Mapping[str, evaluation.Report], calibrations: Mapping[str, Calibration]
) -> None:
    sections: list[str] = []
    for name, report in reports.items():
        sections.append(f"{name} part, accuracy {percent(report.accuracy)}\n\n{report.text}")
        directory.write_text(f"reports/classification_report_{name}.json", to_json(report.as_dict()))
        directory.write_text(f"reports/classification_report_{name}.csv", report.csv())
        directory.write_text(f"reports/calibration_{name}.json", to_json(calibrations[name].as_dict()))
    directory.write_text("classification_report.txt", "\n".join(sections))


def _write_table(directory: RunDirectory, report: evaluation.Report) -> None:
    """The per-class table in the form in which MLflow keeps tables, in figures as short as the UI's columns."""
    rows = [{key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()} for row in report.rows()]
    columns = list(rows[0])
    directory.write_text(TABLE, to_json({"columns": columns, "data": [[row[c] for c in columns] for row in rows]}))


def _save(directory: RunDirectory, name: str, chart: Chart, formats: Sequence[str]) -> None:
    for suffix in dict.fromkeys(["png", *formats]):
        figures.save_chart(chart, directory.file(f"{name}.{suffix}"))


def _worst_mistakes(part: Dataset, logits: np.ndarray) -> Chart:
    """The samples whose right class got the least output beside the class that won."""
    predicted, rows = predict(logits), np.arange(len(part.y))
    margin = logits[rows, predicted] - logits[rows, part.y]
    return pictures.worst_mistakes(part.images(), part.y, predicted, margin, part.classes, score_note=MARGIN)


def _log_image(directory: RunDirectory, step: int, weights: np.ndarray, part: Dataset, timestamp: int) -> None:
    """The hidden layer as a picture of MLflow's image series: a PNG and a small WebP under the names it looks for."""
    from PIL import Image

    import_module("PIL.WebPImagePlugin")  # by its name, or Pillow would import all of its formats to find it
    picture = pictures.hidden_layer_image(weights, part.image_shape, part.image_order)
    small = io.BytesIO()
    thumbnail = Image.fromarray(picture).resize((256, 256 * picture.shape[0] // picture.shape[1]))
    thumbnail.save(small, "WEBP", method=FASTEST)
    unique = uuid.uuid5(uuid.NAMESPACE_OID, f"{directory.uid}/{step}")
    stem = f"images/{IMAGE_KEY}+step+{step}+timestamp+{timestamp}+{unique}"
    write_atomically(directory.file(f"{stem}.png"), figures.png(picture))
    write_atomically(directory.file(f"{stem}+compressed.webp"), small.getvalue())


def cost_chart(history: Mapping[str, np.ndarray]) -> Chart:
    """Cost and accuracy over the iterations.

    Parameters
    ----------
    history : mapping of str to ndarray of shape (n_rows,)
        ``step``, and what there is of ``cost/train``, ``loss/PART`` and ``accuracy/PART`` for the parts train,
        validation and test; NaN where a part was not evaluated.
    """
    key, color = "cost/train", PART_COLORS["train"]
    cost = [Line("cost, train", history[key], color, "--")] if key in history else []
    losses = _parts(history, "loss", "loss, ")
    return charts.curves(
        history["step"],
        (
            Panel("Cost (with the penalty) and loss (without)", "nats per sample", cost + losses),
            Panel("Accuracy", "right predictions", _parts(history, "accuracy"), is_share=True),
        ),
    )


cost_curves = figures.drawn(cost_chart)


def _parts(history: Mapping[str, np.ndarray], kind: str, before: str = "") -> list[Line]:
    there = {part: f"{kind}/{part}" for part in PART_COLORS if f"{kind}/{part}" in history}
    return [Line(before + part, history[key], PART_COLORS[part]) for part, key in there.items()]
