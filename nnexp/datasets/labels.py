"""From labels as files have them, integers or texts, to classes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

LARGEST = 2**53  # beyond, neighbouring integers are one floating-point number


def classes_of(labels: Any) -> tuple[tuple[str, ...], np.ndarray]:
    """Class names and each label's index into them; integers, written as text or not, by value, others by alphabet.

    Parameters
    ----------
    labels : array of shape (n,)
        Integers, floating-point numbers of integer value, or texts.

    Raises
    ------
    ValueError
        If a label is neither: the message names it and its row.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "OSU":
        labels = _integers(labels)
    values, y = np.unique(labels.astype(str), return_inverse=True)
    if all(re.fullmatch(r"-?\d+", value) for value in values):
        order = np.argsort([int(value) for value in values], kind="stable")
        values, y = values[order], np.argsort(order)[y]
    return tuple(str(value) for value in values), y


def _integers(labels: np.ndarray) -> np.ndarray:
    if labels.dtype.kind not in "buif":
        raise ValueError(f"labels must be integers or texts, got {labels.dtype}")
    if labels.dtype.kind == "f":
        wrong = np.flatnonzero(~(np.isfinite(labels) & (labels == np.round(labels))))
        if wrong.size:
            raise ValueError(f"labels must be integers or texts, got {labels[wrong[0]]} in row {wrong[0]}")
    large = np.flatnonzero((labels > LARGEST) | (labels < -LARGEST)) if labels.dtype.kind != "b" else np.empty(0, int)
    if large.size:
        raise ValueError(f"labels must lie between -2^53 and 2^53, got {labels[large[0]]} in row {large[0]}")
    return labels.astype(np.int64)
