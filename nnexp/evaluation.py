"""Reports on predictions: accuracy, precision, recall and F1 of each class, the confusion matrix."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


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
    table : dict
        The same figures, by class name and by kind of average.
    confusion : ndarray of shape (n_classes, n_classes)
        int64, read-only; true class by predicted class.
    """

    classes: tuple[str, ...]
    accuracy: float
    f1_macro: float
    text: str
    table: dict[str, dict[str, float]]
    confusion: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Everything but the text, of types that JSON knows."""
        return {
            "accuracy": self.accuracy,
            "f1_macro": self.f1_macro,
            "classes": {name: self.table[name] for name in self.classes if name in self.table},
            "averages": {name: self.table[name] for name in ("macro avg", "weighted avg")},
            "confusion": {"classes": list(self.classes), "counts": self.confusion.tolist()},
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row a class that occurs: class, f1-score, precision, recall, support, in this order."""
        columns = ("f1-score", "precision", "recall", "support")
        return [
            {"class": name} | {column: self.table[name][column] for column in columns}
            for name in self.classes
            if name in self.table
        ]

    def csv(self) -> str:
        """The rows as CSV with a header."""
        text = io.StringIO()
        rows = self.rows()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
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
    table, text = _classification_report(y_true, y_pred, np.unique(both), classes)
    return Report(tuple(classes), float(np.mean(y_true == y_pred)), table["macro avg"]["f1-score"], text, table, confusion)


def _classification_report(y_true, y_pred, labels, classes) -> tuple[dict[str, dict[str, float]], str]:
    from sklearn.metrics import classification_report  # here and not above: the import takes a second

    names = [classes[label] for label in labels]
    settings: dict[str, Any] = {"labels": labels, "target_names": names, "zero_division": 0}
    text = classification_report(y_true, y_pred, digits=4, **settings)
    table: Any = classification_report(y_true, y_pred, output_dict=True, **settings)
    table.pop("accuracy", None)
    for figures in table.values():
        figures["support"] = int(figures["support"])
    return {name: {key: _plain(value) for key, value in figures.items()} for name, figures in table.items()}, str(text)


def _plain(value: Any) -> Any:
    return value if isinstance(value, int) else float(value)
