"""Data sets of a user's own function: what it may return, and how that becomes a `Dataset`."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from nnexp import own, readers
from nnexp.datasets import tablefile
from nnexp.datasets.dataset import Dataset, classes_of
from nnexp.datasets.known import Call
from nnexp.datasets.matfile import fit_image_shape
from nnexp.errors import one_line

KEY, OPTIONS = "data.name", "data.options"
FORMS = "(X, y), a scikit-learn Bunch or an nnexp.Dataset"


def typed(function: own.Own, options: Any) -> dict[str, Any]:
    """The options as the function's signature has them; a ConfigError where it does not know one."""
    return own.check_options(OPTIONS, function.name, function.found, readers.options(OPTIONS, options))


def call_of(function: own.Own, options: Any, image_shape: Any, image_order: str | None) -> Call:
    """The call of a function, its options checked; it raises a ValueError of one line where that makes no data set."""
    given = typed(function, options)

    def make() -> Dataset:
        return _Conversion(function.name)(_called(function, given), image_shape, image_order)

    return Call(function.name, make, given, (image_shape, image_order), function.sources)


def _called(function: own.Own, options: Mapping[str, Any]) -> Any:
    """What the function returns.

    Raises
    ------
    ValueError
        If it fails: in one line, with the function's own exception as its cause.
    """
    name = function.name
    with _in_command_folder():
        try:
            return function.found(**options)
        except (Exception, SystemExit) as error:  # a user's function may fail in any way
            place = own.last_own_place(error)
            where = f" ({place})" if place else ""
            raise ValueError(f"`{KEY}` = {name!r} failed: {type(error).__name__}: {one_line(error)}{where}") from error


@contextmanager
def _in_command_folder() -> Generator[None]:
    """Relative paths in a user's code are in the folder of the command, also where Hydra has left it for its job."""
    here, folder = os.getcwd(), own.command_folder()
    if here == folder or not os.path.isdir(folder):
        yield
        return
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)


class _Conversion:
    """Makes a data set of what the function of a name has returned."""

    def __init__(self, name: str) -> None:
        self.name = name

    def bad(self, fault: str) -> ValueError:
        return ValueError(f"`{KEY}` = {self.name!r}: {fault}")

    def __call__(self, found: Any, image_shape: Any, image_order: str | None) -> Dataset:
        if isinstance(found, Dataset):
            dataset = found
            self._finite(dataset.X)
        else:
            dataset = self._made(*self._parts(found))
        if len(set(dataset.classes)) < 2 or not len(dataset):
            raise self.bad(f"expected samples of at least 2 classes, got {len(dataset)} of {len(dataset.classes)}")
        changed: dict[str, Any] = {} if image_order is None else {"image_order": image_order}
        if image_shape is not None:
            changed["image_shape"] = fit_image_shape(image_shape, dataset.X.shape[1])
        return replace(dataset, **changed)

    def _parts(self, found: Any) -> tuple[Any, Any, Any, Any, Any]:
        """X, labels, the names of the classes, the pictures and the groups, the last three where there are some."""
        if isinstance(found, Mapping) and {"data", "target"} <= found.keys():
            names, images, groups = (found.get(key) for key in ("target_names", "images", "groups"))
            return found["data"], found["target"], names, images, groups
        if isinstance(found, tuple | list) and len(found) == 2:
            return found[0], found[1], None, None, None
        hint = "; return its columns as (X, y)" if hasattr(found, "columns") else ""
        count = f" of {len(found)}" if isinstance(found, tuple | list) else ""
        raise self.bad(f"expected {FORMS}, got {_kind(found)}{count}{hint}")

    def _made(self, X: Any, labels: Any, names: Any, images: Any, groups: Any) -> Dataset:
        features, shape = self._features(X)
        if images is not None and np.ndim(images) == 3 and np.prod(np.shape(images)[1:]) == features.shape[1]:
            shape = np.shape(images)[1:]
        labels = self._labels(labels)
        if len(labels) != len(features):
            raise self.bad(f"expected one label a sample, got {len(labels)} labels and {len(features)} samples")
        try:
            classes, y = classes_of(labels)
        except ValueError as error:
            raise self.bad(f"y: {error}") from None
        if names is not None and classes == tuple(map(str, range(len(names)))):
            classes = tuple(map(str, names))
        height_width = None if shape is None else (int(shape[0]), int(shape[1]))
        try:
            return Dataset(own.last_name(self.name), features, y, classes, height_width, groups=groups)
        except ValueError as error:
            raise self.bad(str(error)) from None

    def _features(self, X: Any) -> tuple[np.ndarray, Any]:
        """The features (n, n_features), and the shape of the pictures where they were given as such."""
        if hasattr(X, "toarray"):  # a sparse matrix
            X = X.toarray()
        if hasattr(X, "columns") and hasattr(X, "iloc") and 0 not in X.shape:  # of pandas: it names the column
            return tablefile.numbers_of(X, self.bad), None
        X = self._array("X", X)
        if X.dtype.kind not in "buif" or X.ndim not in (2, 3) or 0 in X.shape:
            raise self.bad(
                f"X must hold numbers, in the shape (samples, features) or (samples, height, width), got {X.dtype} of "
                f"shape {X.shape}"
            )
        shape, X = X.shape[1:] if X.ndim == 3 else None, X.reshape(len(X), -1)
        X = X.astype(np.float64) + 0.0  # no negative zeros: equal values are to have equal digests
        self._finite(X)
        return X, shape

    def _finite(self, X: np.ndarray) -> None:
        rows = np.flatnonzero(~np.isfinite(X).all(axis=1))
        if rows.size:
            raise self.bad(
                f"X must be finite, got NaN or infinite values in {rows.size} samples, first in row {rows[0]}"
            )

    def _labels(self, labels: Any) -> np.ndarray:
        labels = self._array("y", labels)
        if labels.ndim == 2 and labels.shape[1] == 1:  # a column
            labels = labels[:, 0]
        if labels.ndim != 1:
            raise self.bad(f"y must hold one label a sample, got shape {labels.shape}")
        if labels.dtype.kind == "O":
            missing = np.flatnonzero([str(label) in ("None", "nan", "NaT", "<NA>") for label in labels])
            if missing.size:
                raise self.bad(f"y: {missing.size} labels are missing, the first in row {missing[0]}")
        return labels

    def _array(self, what: str, values: Any) -> np.ndarray:
        try:
            return np.asarray(values)
        except Exception as error:  # of rows of different lengths, or of an object of another library
            raise self.bad(f"{what} must be an array: {one_line(error)}") from None


def _kind(found: Any) -> str:
    return "nothing" if found is None else type(found).__name__
