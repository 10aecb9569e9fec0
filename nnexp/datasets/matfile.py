"""Data sets in MATLAB files: a matrix X (samples, features) and their labels y."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from nnexp.datasets.dataset import Dataset, classes_of
from nnexp.datasets.exercise import SIZE
from nnexp.datasets.partition import groups_of

DIGITS, EXERCISE_FEATURES = {str(digit) for digit in range(1, 11)}, SIZE * SIZE  # where 10 is the digit 0
# How files begin that are no .mat, what they are, and how they are saved so that they can be read.
OTHERS = {
    b"# Created by Octave": "a text file of Octave's; in Octave, save it with: save -v7 FILE X y",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file; in Octave, save it with: save -v7 FILE X y (in MATLAB with -v7)",
}


def check_path(path: Any) -> None:
    """Raise a ValueError where `path` cannot be a MATLAB file."""
    if not isinstance(path, str) or not path.strip():
        raise ValueError(f"`data.path` must name a .mat file with X and y, got {path!r}")
    if not Path(path).expanduser().is_file():
        raise ValueError(f"`data.path` must name an existing .mat file, got {path!r}: there is no such file")


def read(
    path: str,
    image_shape: tuple[int, int] | str | None = "auto",
    image_order: str = "F",
    groups: str | None = None,
) -> Dataset:
    """Read X and y of a MATLAB file as they stand; only the labels are renumbered.

    Parameters
    ----------
    path : str
        A .mat file of version 7 or before. X has shape (n_samples, n_features), y one label a sample: integers, a cell
        array of texts, or a matrix of characters with a label a row.
    image_shape : (height, width), None or "auto"
        ``auto``: square where the number of features is a square number.
    image_order : {"F", "C"}
        ``F``: each row of X is a picture column by column, as MATLAB and the exercise store it.
    groups : str, optional
        A variable that tells which samples belong together, in the forms of y.

    Returns
    -------
    Dataset
        Labels 1 to 10 are the exercise's digits, where 10 stands for 0, and so is a part of them that has the 10, where
        X has the exercise's 400 features. Others become classes by ascending value, texts by the alphabet.

    Raises
    ------
    ValueError
        One line that names ``data.path``, the file and what is wrong with it.
    """
    check_path(path)
    variables = _variables(path, groups)
    X, labels = _features(path, variables["X"]), _labels(path, variables["y"])
    if len(X) != len(labels):
        raise _bad(path, f"X must have a row for each of the {len(labels)} labels in y, got shape {X.shape}")
    try:
        classes, y = classes_of(labels)
    except ValueError as error:
        raise _bad(path, f"y: {error}") from None
    if len(classes) < 2:
        raise _bad(path, f"y must hold at least 2 classes, got {len(classes)}")
    if classes[-1] == "10" and set(classes) <= DIGITS and (len(classes) == 10 or X.shape[1] == EXERCISE_FEATURES):
        classes = (*classes[:-1], "0")
    shape = fit_image_shape(image_shape, X.shape[1])
    of_group = None if groups is None else groups_of(_labels(path, variables[groups], groups))
    if of_group is not None and len(of_group) != len(y):
        raise _bad(path, f"{groups} must hold one value a sample, got {len(of_group)} for {len(y)} samples")
    return Dataset(Path(path).stem, X, y, classes, shape, "C" if image_order == "C" else "F", of_group)


def fit_image_shape(image_shape: Any, n_features: int) -> tuple[int, int] | None:
    """Find the shape of the pictures in rows of `n_features`, None where they are no pictures."""
    if image_shape is None:
        return None
    if image_shape == "auto":
        side = math.isqrt(n_features)
        return (side, side) if side > 1 and side * side == n_features else None
    height, width = image_shape
    if height * width != n_features:
        raise ValueError(
            f"`data.image_shape` must have {n_features} pixels, as many as X has features, got {height} x {width}"
        )
    return height, width


def _bad(path: str, fault: str) -> ValueError:
    return ValueError(f"`data.path` = {path!r}: {fault}")


def _variables(path: str, groups: str | None) -> dict[str, Any]:
    from scipy.io import loadmat, whosmat

    try:
        with Path(path).expanduser().open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise _bad(path, f"it cannot be read ({error.strerror})") from None
    for beginning, what in OTHERS.items():
        if head.startswith(beginning):
            raise _bad(path, what)
    try:
        wanted = ["X", "y"] + ([groups] if groups is not None else [])
        variables = loadmat(str(Path(path).expanduser()), appendmat=False, variable_names=wanted)
        for name in wanted:
            if name not in variables:
                names = [entry[0] for entry in whosmat(str(Path(path).expanduser()), appendmat=False)]
                needed = "X and y" if name != groups else f"{groups}, which `data.groups` names"
                raise _bad(path, f"the file must hold {needed}, got {', '.join(names) or 'no variables'}")
    except NotImplementedError:
        raise _bad(path, "a .mat file of version 7.3 (HDF5) cannot be read; in MATLAB, save it with -v7") from None
    except Exception as error:  # the reader of a format this old meets broken bytes with all kinds of exceptions
        if isinstance(error, ValueError) and str(error).startswith("`data.path`"):
            raise
        raise _bad(path, f"not a .mat file that can be read ({' '.join(str(error).split())})") from None
    return variables


def _features(path: str, X: Any) -> np.ndarray:
    if hasattr(X, "toarray"):  # a sparse matrix
        X = X.toarray()
    if X.dtype.kind not in "buif" or X.ndim != 2 or 0 in X.shape:
        raise _bad(path, f"X must be a real matrix of shape (samples, features), got {X.dtype} of shape {X.shape}")
    X = X.astype(np.float64) + 0.0  # no negative zeros: equal values are to have equal digests
    rows = np.flatnonzero(~np.isfinite(X).all(axis=1))
    if rows.size:
        raise _bad(path, f"X must be finite, got NaN or infinite values in {rows.size} rows, first in row {rows[0]}")
    return X


def _labels(path: str, y: Any, name: str = "y") -> np.ndarray:
    if hasattr(y, "toarray"):
        y = y.toarray()
    if y.dtype.kind == "O" and all(np.size(cell) == 1 and np.asarray(cell).dtype.kind == "U" for cell in y.flat):
        y = np.array([str(np.asarray(cell).item()) for cell in y.flat])  # a cell array of texts
    if y.dtype.kind == "U":
        y = np.char.rstrip(y)  # rows of a matrix of characters are filled up with blanks
    if y.dtype.kind not in "buifU" or y.size != max(y.shape, default=0):
        raise _bad(path, f"{name} must be a vector with one integer or text a sample, got {y.dtype} of shape {y.shape}")
    return y.ravel()
