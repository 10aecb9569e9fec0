"""A labelled data set that cannot be changed, and its split.

With what makes one of a file's contents: labels, integers or texts, become classes; features are scaled by the
statistics of the samples that are trained on.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from nnexp.datasets.partition import GROUPED, draw_fold, groups_of, hold_out

LARGEST_LABEL = 2**53  # beyond, neighbouring integers are one floating-point number


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
    large = (
        np.flatnonzero((labels > LARGEST_LABEL) | (labels < -LARGEST_LABEL))
        if labels.dtype.kind != "b"
        else np.empty(0, int)
    )
    if large.size:
        raise ValueError(f"labels must lie between -2^53 and 2^53, got {labels[large[0]]} in row {large[0]}")
    return labels.astype(np.int64)


SCALES = ("none", "minmax", "standard")


@dataclass(frozen=True, eq=False)
class Scaling:
    """(x - offset) * factor, feature by feature.

    Attributes
    ----------
    offset, factor : ndarray of shape (n_features,)
    """

    offset: np.ndarray
    factor: np.ndarray

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Scale rows of features."""
        return (X - self.offset) * self.factor


def fit_scaling(scale: str, X: np.ndarray) -> Scaling | None:
    """Scaling that brings X to [0, 1] (``minmax``) or to mean 0 and standard deviation 1 (``standard``).

    A feature that does not vary becomes 0. None for ``none``.
    """
    if scale == "none":
        return None
    if scale == "minmax":
        offset, width = X.min(axis=0), np.ptp(X, axis=0)
    else:
        offset, width = X.mean(axis=0), X.std(axis=0)
        width = np.where(np.ptp(X, axis=0) > 0, width, 0.0)  # what is left of a constant is rounding
    return Scaling(offset, 1 / np.where(width > 0, width, 1.0))


# The split draws from [seed, SPLIT_STREAM], so that it is independent of theta's first draw from plain [seed].
SPLIT_STREAM = 1


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples with their labels, and what is known of them.

    Attributes
    ----------
    name : str
        What the data set is called; not part of its digest.
    X : ndarray of shape (n_samples, n_features)
        float64, C-contiguous, read-only.
    y : ndarray of shape (n_samples,)
        int64, read-only, index into `classes`.
    classes : tuple of str
        Names of the classes, one an output of the network.
    image_shape : tuple of int or None
        (height, width) where a row of `X` is a picture.
    image_order : {"C", "F"}
        Whether a row of `X` holds its picture row by row or column by column, as MATLAB and the exercise do.
    groups : ndarray of shape (n_samples,) or None
        Which samples belong together (of one writer, one patient); given as any texts or numbers, kept as int64 by
        first appearance, read-only. A split by groups never divides one.

    Raises
    ------
    ValueError
        Where shapes, labels, classes or groups do not fit together.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    image_shape: tuple[int, int] | None = None
    image_order: Literal["C", "F"] = "C"
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.X.ndim != 2 or self.y.shape != self.X.shape[:1]:
            raise ValueError(f"expected X (n, features) and y (n,), got {self.X.shape} and {self.y.shape}")
        if self.y.size and not 0 <= self.y.min() <= self.y.max() < len(self.classes):
            raise ValueError(f"expected labels 0 to {len(self.classes) - 1}, got {self.y.min()} to {self.y.max()}")
        if self.image_shape is not None and self.image_shape[0] * self.image_shape[1] != self.X.shape[1]:
            raise ValueError(f"expected {self.X.shape[1]} pixels an image, got image_shape {self.image_shape}")
        object.__setattr__(self, "X", _read_only(self.X, np.float64))
        object.__setattr__(self, "y", _read_only(self.y, np.int64))
        if self.groups is not None:
            groups = groups_of(self.groups)
            if groups.shape != self.y.shape:
                raise ValueError(f"expected groups ({self.y.size},), got {groups.shape}")
            object.__setattr__(self, "groups", _read_only(groups, np.int64))

    def __len__(self) -> int:
        return self.X.shape[0]

    @cached_property
    def Y(self) -> np.ndarray:
        """One-hot labels, float64 of shape (n_samples, n_classes), read-only."""
        return _read_only(self.y[:, None] == np.arange(len(self.classes)), np.float64)

    @cached_property
    def digest(self) -> str:
        """First 32 hexadecimal digits of the SHA-256 of the content: everything above but the name."""
        header = [self.X.shape, self.classes, self.image_shape, self.image_order]
        digest = hashlib.sha256(json.dumps(header).encode())
        digest.update(self.X.astype("<f8", copy=False).data)
        digest.update(self.y.astype("<i8", copy=False).data)
        if self.groups is not None:
            digest.update(b"groups" + self.groups.astype("<i8", copy=False).tobytes())
        return digest.hexdigest()[:32]

    def images(self, X: np.ndarray | None = None) -> np.ndarray:
        """Rows of features as upright pictures.

        Parameters
        ----------
        X : ndarray of shape (n, n_features), optional
            Default: all of this data set.

        Returns
        -------
        ndarray of shape (n, height, width)
            A view where possible.

        Raises
        ------
        ValueError
            Where the samples are not pictures.
        """
        if self.image_shape is None:
            raise ValueError(f"the samples of {self.name} are not images")
        return upright(self.X if X is None else X, self.image_shape, self.image_order)

    def subset(self, indices: np.ndarray) -> Dataset:
        """Make a data set of the samples at `indices`, in that order."""
        groups = None if self.groups is None else self.groups[indices]
        return replace(self, X=self.X[indices], y=self.y[indices], groups=groups)

    def split(
        self,
        test_size: float = 0.0,
        validation_size: float = 0.0,
        seed: int = 0,
        scale: str = "none",
        *,
        kind: str = "stratified",
        groups: int | None = None,
        folds: int | None = None,
        fold: int = 0,
    ) -> Split:
        """Hold out a test part, then a validation part of the rest.

        Rows keep their order within a part, and each class keeps at least one sample to train on. The test part does
        not depend on `validation_size`.

        Parameters
        ----------
        test_size, validation_size : float
            Shares in [0, 1), of all samples and of what the test part leaves; 0 makes no such part, more than 0 at
            least one sample.
        seed : int
            Equal seeds give equal parts.
        scale : {"none", "minmax", "standard"}
            How all parts are scaled, by the statistics of the training part alone.
        kind : {"stratified", "ordered", "grouped"}
            Of each class its exact share, drawn at random; or as neighbours; or whole groups, see
            :func:`nnexp.datasets.partition.hold_out`.
        groups : int, optional
            For ``grouped``: so many consecutive rows are one group. Default: the groups of this data set.
        folds : int, optional
            Take for the test part not a share but a part of a cross-validation of so many.
        fold : int
            Which of them, from 0. The others have the same seed.

        Returns
        -------
        Split

        Raises
        ------
        ValueError
            Where a class would be left without a sample to train on, or there are no groups, or too few.
        """
        rng = np.random.default_rng([seed, SPLIT_STREAM])
        by_group = self.groups if groups is None else np.arange(len(self)) // groups
        rest = np.arange(len(self))
        held_out: dict[str, Dataset | None] = {}
        for part, share in (("test", test_size), ("validation", validation_size)):
            y, of_rest = self.y[rest], None if by_group is None else by_group[rest]
            if part == "test" and folds is not None:
                drawn = draw_fold(y, folds, fold, rng, kind=kind, groups=of_rest)
            elif share:
                drawn = hold_out(y, share, rng, key=f"data.{part}_size", kind=kind, groups=of_rest)
            else:
                drawn = np.empty(0, np.intp)
            held_out[part] = self.subset(rest[drawn]) if drawn.size else None
            rest = np.delete(rest, drawn)
        if kind == GROUPED and (lost := np.setdiff1d(self.y, self.y[rest])).size:
            raise ValueError(
                f"`data.split` = grouped leaves no sample of class {self.classes[lost[0]]!r} to train on, with the "
                f"split of seed {seed}; try another `data.split_seed`, or hold out less"
            )
        train = self.subset(rest) if rest.size < len(self) else self
        split = Split(train, held_out["validation"], held_out["test"])
        scaling = fit_scaling(scale, train.X)
        return split if scaling is None else split.scaled(scaling)


@dataclass(frozen=True, eq=False)
class Split:
    """Parts of one data set without a common sample; what is not held out is None."""

    train: Dataset
    validation: Dataset | None
    test: Dataset | None
    scaling: Scaling | None = None  # that was applied to the parts

    def scaled(self, scaling: Scaling) -> Split:
        """The same parts, scaled."""

        def scaled(part: Dataset) -> Dataset:
            return replace(part, X=scaling(part.X))

        validation, test = (part and scaled(part) for part in (self.validation, self.test))
        return Split(scaled(self.train), validation, test, scaling)


def upright(X: np.ndarray, image_shape: tuple[int, int], image_order: str) -> np.ndarray:
    """Rows of pixels as pictures of shape (n, height, width)."""
    height, width = image_shape
    if image_order == "C":
        return X.reshape(-1, height, width)
    return X.reshape(-1, width, height).transpose(0, 2, 1)


def _read_only(array: np.ndarray, dtype: type) -> np.ndarray:
    view = np.ascontiguousarray(array, dtype=dtype).view()
    view.flags.writeable = False
    return view
