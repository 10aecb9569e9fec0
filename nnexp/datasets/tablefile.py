"""Data sets in tables: a CSV or Parquet file with a column of labels beside columns of numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nnexp.datasets.dataset import Dataset, classes_of
from nnexp.datasets.matfile import fit_image_shape
from nnexp.datasets.partition import groups_of

PARQUET = (".parquet", ".pq")


def check(path: Any, target: Any, groups: Any = None) -> None:
    """Raise a ValueError where these cannot be a table, its column of labels and one of groups, if there is one."""
    if not isinstance(path, str) or not path.strip():
        raise ValueError(f"`data.path` must name a CSV or Parquet file, got {path!r}")
    if not Path(path).expanduser().is_file():
        raise ValueError(f"`data.path` must name an existing CSV or Parquet file, got {path!r}: there is no such file")
    if not isinstance(target, str) or not target:
        raise ValueError(f"`data.target` must name the column of labels, got {target!r}")
    if groups == target:
        raise ValueError(f"`data.groups` must name another column than `data.target`, got {groups!r}")


def read(
    path: str, target: str, image_shape: Any = "auto", image_order: str = "C", groups: str | None = None
) -> Dataset:
    """Read a table with a line of names; all columns but `target` and `groups` are features, in their order.

    Parameters
    ----------
    path : str
        Parquet where the name ends in .parquet or .pq; otherwise CSV, separated by tabs where it ends in .tsv.
    target : str
        The column of labels: texts or integers.
    image_shape, image_order
        As of :func:`matfile.read`.
    groups : str, optional
        A column that tells which samples belong together, texts or numbers.

    Raises
    ------
    ValueError
        One line that names the key, the file and what is wrong with it.
    """
    check(path, target, groups)
    table = _table(path)
    columns = [str(name) for name in table.columns]
    for key, name in (("target", target), ("groups", groups)):
        if name is not None and name not in columns:
            shown = ", ".join(columns[:20]) + (", ..." if len(columns) > 20 else "")
            raise ValueError(f"`data.{key}` must be a column of {path!r}: {shown}; got {name!r}")
    table.columns = columns
    labels, features = table[target], table.drop(columns=[name for name in (target, groups) if name is not None])
    if labels.isna().any():
        raise _bad(path, f"{labels.isna().sum()} labels are missing, the first in row {labels.isna().argmax()}")
    if 0 in features.shape:
        raise _bad(path, f"expected rows, and columns of numbers beside {target!r}, got shape {table.shape}")
    X = numbers_of(features, lambda fault: _bad(path, fault))
    try:
        classes, y = classes_of(labels.to_numpy(dtype=object if labels.dtype.kind not in "buif" else None))
    except ValueError as error:
        raise _bad(path, f"column {target!r}: {error}") from None
    if len(classes) < 2:
        raise _bad(path, f"column {target!r} must hold at least 2 classes, got {len(classes)}")
    shape = fit_image_shape(image_shape, X.shape[1])
    try:
        of_group = None if groups is None else groups_of(table[groups].to_numpy(dtype=object))
    except ValueError as error:
        raise _bad(path, f"column {groups!r}: {error}") from None
    return Dataset(Path(path).stem, X, y, classes, shape, "F" if image_order == "F" else "C", of_group)


def _table(path: str) -> Any:
    import pandas as pd

    file = Path(path).expanduser()
    try:
        if file.suffix.lower() in PARQUET:
            return pd.read_parquet(file)
        return pd.read_csv(file, sep="\t" if ".tsv" in file.suffixes else ",")
    except Exception as error:  # the readers meet broken files with all kinds of exceptions
        raise _bad(path, f"not a table that can be read ({' '.join(str(error).split())[:200]})") from None


def numbers_of(frame: Any, bad: Callable[[str], ValueError]) -> np.ndarray:
    """The columns of a pandas DataFrame as one matrix; an error made by `bad` where they are not finite numbers."""
    return np.column_stack([_numbers(column, bad) for _, column in frame.items()])


def _numbers(column: Any, bad: Callable[[str], ValueError]) -> np.ndarray:
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
        raise bad(f"column {column.name!r} must hold numbers, got {column.dtype}; leave it out or encode it")
    values = column.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # no negative zeros
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise bad(f"column {column.name!r} has {wrong.size} missing or infinite values, first in row {wrong[0]}")
    return values


def _bad(path: str, fault: str) -> ValueError:
    return ValueError(f"`data.path` = {path!r}: {fault}")
