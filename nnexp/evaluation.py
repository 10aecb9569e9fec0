"""Reports on predictions: accuracy, precision, recall and F1 of each class, the confusion matrix."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

COLUMNS = ("f1-score", "precision", "recall", "support")


@dataclass(frozen=True, eq=False)
class Report:
    """How predictions compare with the truth.

    Attributes
    ----------
    classes : tuple of str
        All classes, also those that occur nowhere.
    accuracy : float
        Share of right predictions.
    f1_macro : float
        Unweighted mean of F1 over the classes that occur, in truth or prediction.
    text : str
        scikit-learn's classification report.
    per_class : tuple of dict
        A row for each class that occurs, see `rows`.
    averages : dict
        Precision, recall and F1, ``macro`` and ``weighted`` by the support of the classes.
    confusion : ndarray of shape (n_classes, n_classes)
        int64, read-only; true class by predicted class.
    """

    classes: tuple[str, ...]
    accuracy: float
    f1_macro: float
    text: str
    per_class: tuple[dict[str, Any], ...]
    averages: dict[str, dict[str, float]]
    confusion: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Everything but the text, of types that JSON knows."""
        return {
            "accuracy": self.accuracy,
            "f1_macro": self.f1_macro,
            "classes": {row["class"]: {key: row[key] for key in COLUMNS} for row in self.per_class},
            "averages": self.averages,
            "confusion": {"classes": list(self.classes), "counts": self.confusion.tolist()},
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row a class that occurs: class, f1-score, precision, recall, support, in this order."""
        return [dict(row) for row in self.per_class]

    def csv(self) -> str:
        """Write the rows as CSV with a header."""
        text = io.StringIO()
        writer = csv.DictWriter(text, ["class", *COLUMNS], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.per_class)
        return text.getvalue()


def evaluate(y_true: np.ndarray, y_pred: np.ndarray, classes: Sequence[str]) -> Report:
    """Compare predictions with the truth.

    A class that occurs neither in the truth nor among the predictions has no row and no part in the averages; a figure
    that would be a division by zero (the precision of a class never predicted) is 0.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_samples,)
        Indices into `classes`.
    classes : sequence of str
        Names of the classes.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        Where there are no samples, or not as many predictions as labels, or an index without a class.
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    if y_true.ndim != 1 or y_true.shape != y_pred.shape or not y_true.size:
        raise ValueError(f"expected y_true and y_pred of one shape (n,), n >= 1, got {y_true.shape} and {y_pred.shape}")
    n_classes = len(classes)
    both = np.concatenate([y_true, y_pred])
    if both.min() < 0 or both.max() >= n_classes:
        raise ValueError(f"expected class indices 0 to {n_classes - 1}, got {both.min()} to {both.max()}")
    confusion = np.bincount(y_true * n_classes + y_pred, minlength=n_classes**2).reshape(n_classes, n_classes)
    confusion.flags.writeable = False
    labels = np.unique(both)
    rows, averages = _figures(confusion, labels, classes)
    accuracy = float(np.mean(y_true == y_pred))
    return Report(
        classes=tuple(classes),
        accuracy=accuracy,
        f1_macro=averages["macro"]["f1-score"],
        text=_text(rows, averages, accuracy, len(y_true)),
        per_class=rows,
        averages=averages,
        confusion=confusion,
    )


def _figures(confusion, labels, classes) -> tuple[tuple[dict[str, Any], ...], dict[str, dict[str, float]]]:
    """Figures by class and their averages; scikit-learn has the same, at an import of a second for each process."""
    right, support, predicted = confusion.diagonal()[labels], confusion.sum(1)[labels], confusion.sum(0)[labels]
    recall = right / np.maximum(support, 1)
    precision = right / np.maximum(predicted, 1)
    f1 = 2 * right / (support + predicted)
    columns = dict(zip(COLUMNS, (f1.tolist(), precision.tolist(), recall.tolist(), support.tolist()), strict=True))
    rows = tuple(
        {"class": classes[label]} | {column: values[i] for column, values in columns.items()}
        for i, label in enumerate(labels)
    )
    averages = {
        kind: {column: float(np.average(columns[column], weights=weights)) for column in COLUMNS[:3]}
        for kind, weights in (("macro", None), ("weighted", support))
    }
    return rows, averages


def _text(rows, averages, accuracy: float, n_samples: int) -> str:
    """Lay the figures out as scikit-learn's `classification_report` does."""
    width = max(len("weighted avg"), *(len(row["class"]) for row in rows))
    named = ("precision", "recall", "f1-score")

    def line(name: str, figures: Any, support: int) -> str:
        return f"{name:>{width}} " + "".join(f" {figures[column]:>9.4f}" for column in named) + f" {support:>9}\n"

    text = " " * width + " " + "".join(f" {column:>9}" for column in (*named, "support")) + "\n\n"
    text += "".join(line(row["class"], row, row["support"]) for row in rows) + "\n"
    text += f"{'accuracy':>{width}} " + " " * 20 + f" {accuracy:>9.4f} {n_samples:>9}\n"
    return text + "".join(line(f"{kind} avg", averages[kind], n_samples) for kind in ("macro", "weighted"))
