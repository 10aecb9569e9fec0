"""Data sets that others publish: those that scikit-learn ships, and OpenML."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np

from nnexp.datasets.dataset import Dataset, classes_of
from nnexp.datasets.matfile import fit_image_shape


def digits() -> Dataset:
    """Load scikit-learn's 1,797 digits of 8 x 8 pixels, 0 to 1."""
    from sklearn.datasets import load_digits

    X, y = (np.asarray(array) for array in load_digits(return_X_y=True))
    return Dataset("digits", X / 16, y, tuple("0123456789"), (8, 8))


def shipped(name: str) -> Dataset:
    """Load one of scikit-learn's small tables as it is: ``wine``, ``breast_cancer`` or ``iris``."""
    from sklearn import datasets

    table: Any = getattr(datasets, f"load_{name}")()
    return Dataset(name, table.data, table.target, tuple(str(label) for label in table.target_names))


def check_openml(openml_name: Any, version: Any) -> None:
    """Raise a ValueError where this cannot name a data set of OpenML."""
    if not isinstance(openml_name, str) or not re.fullmatch(r"[\w.-]+", openml_name):
        raise ValueError(f"`data.openml_name` must be a name as on openml.org, e.g. mnist_784, got {openml_name!r}")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"`data.version` must be an integer >= 1, got {version!r}")


def openml(openml_name: str, version: int, folder: str | None) -> Dataset:
    """Fetch a classification data set of OpenML with numbers as features.

    Parameters
    ----------
    openml_name, version : str, int
        As on openml.org.
    folder : str or None
        Where the download is kept.

    Returns
    -------
    Dataset
        Integers from 0 to 255 in which both occur are taken for pixels and divided by 255. Samples with a square
        number of features are taken for pictures.

    Raises
    ------
    ValueError
        One line: nothing of that name, no network, or not a table of numbers with labels.
    """
    wanted = f"{openml_name} version {version}"
    table = _fetch(openml_name, version, folder, wanted)
    try:
        X = np.asarray(table.data, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"`data.openml_name` = {openml_name}: {wanted} has features that are not numbers") from None
    if table.target is None or np.ndim(table.target) != 1:
        raise ValueError(f"`data.openml_name` = {openml_name}: {wanted} does not have exactly one column of labels")
    if not np.isfinite(X).all():
        raise ValueError(f"`data.openml_name` = {openml_name}: {wanted} has missing values")
    if X.max() == 255 and X.min() == 0 and np.array_equal(X, np.round(X)):
        X /= 255
    classes, y = classes_of(np.asarray(table.target))
    if len(classes) < 2:
        raise ValueError(f"`data.openml_name` = {openml_name}: {wanted} has only {len(classes)} class")
    return Dataset(openml_name, X, y, classes, fit_image_shape("auto", X.shape[1]))


def _fetch(openml_name: str, version: int, folder: str | None, wanted: str) -> Any:
    from sklearn.datasets import fetch_openml

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of each attempt; what counts is whether the last one succeeds
        try:
            return fetch_openml(
                openml_name,
                version=version,
                data_home=folder,
                cache=folder is not None,
                as_frame=False,
                parser="pandas",
                n_retries=1,
            )
        except ValueError as error:  # OpenML's own answer
            reason = " ".join(str(error).split())
            raise ValueError(f"`data.openml_name` = {openml_name}: OpenML has no {wanted} ({reason})") from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise ValueError(
                f"`data.openml_name` = {openml_name}: {wanted} is not in the cache and openml.org does not answer "
                f"({reason}); the first use needs a network connection"
            ) from None
