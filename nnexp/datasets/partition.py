"""Which samples are held out: positions drawn at random, as blocks of neighbours, or by whole groups.

A share of the samples is drawn by `hold_out`, one part of a cross-validation by `draw_fold`. With folds, the same state
of the generator gives the same partition, whichever of its parts is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

KINDS = STRATIFIED, ORDERED, GROUPED = "stratified", "ordered", "grouped"
NO_GROUPS = (
    "`data.split` = grouped needs `data.groups`: an integer N takes N consecutive rows for one group; a text is the "
    "name of a column (csv) or variable (mat); a function of your own may return groups"
)
MISSING = ("None", "nan", "NaT", "<NA>")


def groups_of(values: Any) -> np.ndarray:
    """Numbers of groups, 0, 1, ... by their first appearance, so that the names of groups do not matter.

    Parameters
    ----------
    values : array-like of shape (n_samples,)
        Texts or numbers; equal ones are one group.

    Raises
    ------
    ValueError
        If one is missing; in one line.
    """
    values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(f"groups must hold one value a sample, got shape {values.shape}")
    if values.dtype.kind in "Of":
        values = values.astype(str)
        if (missing := np.flatnonzero(np.isin(values, MISSING))).size:
            raise ValueError(f"groups: {missing.size} values are missing, the first in row {missing[0]}")
    _, first, groups = np.unique(values, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[groups]


def hold_out(
    y: np.ndarray, share: float, rng: np.random.Generator, *, key: str, kind: str, groups: np.ndarray | None = None
) -> np.ndarray:
    """Positions of a share of the samples, ascending.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Classes.
    share : float
        In (0, 1). At least one sample, or group, is held out.
    key : str
        Of the share, for messages.
    kind : {"stratified", "ordered", "grouped"}
        ``stratified``: each class gives its exact share, rounded by the largest remainder. ``ordered``: so many
        neighbours of each class, from one relative place that is drawn for all classes, cyclic. ``grouped``: whole
        groups in random order, so many that their samples come nearest to the share.
    groups : ndarray of shape (n_samples,), optional
        Needed for ``grouped``.

    Raises
    ------
    ValueError
        If a class, or group, would be left without a sample to train on.
    """
    if kind == GROUPED:
        return _whole_groups(_known(groups), share, rng, key)
    counts = np.bincount(y)
    wanted = max(1, int(share * y.size + 0.5))
    most = int(np.maximum(counts - 1, 0).sum())
    if wanted > most:
        raise ValueError(
            f"`{key}` must leave at least one sample of each class to train on: "
            f"at most {most} of {y.size} samples can be held out, got {share!r}, which takes {wanted}"
        )
    take, remainder = np.divmod(counts * wanted, y.size)
    by_remainder = np.lexsort((rng.permutation(counts.size), -remainder))  # ties in random order
    while (missing := wanted - int(take.sum())) > 0:
        with_room = by_remainder[take[by_remainder] + 1 < counts[by_remainder]]
        take[with_room[:missing]] += 1
    return _joined(members[:n] for members, n in zip(_by_class(y, kind, rng), take, strict=True))


def draw_fold(
    y: np.ndarray, folds: int, place: int, rng: np.random.Generator, *, kind: str, groups: np.ndarray | None = None
) -> np.ndarray:
    """Positions of one of `folds` parts that are disjoint and together all samples, ascending.

    Parameters
    ----------
    y, kind, groups
        As of :func:`hold_out`. The sizes of parts differ by one sample at most, and so do those of each class in them;
        with ``grouped``, sizes differ by the size of a group at most.
    place : int
        Which part, from 0.

    Raises
    ------
    ValueError
        If there are too few samples or groups.
    """
    if kind == GROUPED:
        return _groups_of_fold(_known(groups), folds, place, rng)
    counts = np.bincount(y)
    if folds > y.size:
        raise ValueError(f"`data.folds` must be <= {y.size}, the number of samples, got {folds}")
    if (single := np.flatnonzero(counts == 1)).size:
        raise ValueError(
            f"`data.folds` = {folds} needs 2 samples of each class at least, so that one is always trained on; "
            f"{single.size} class{'es have' if single.size > 1 else ' has'} only one"
        )
    # Each class goes on where the one before it ended, so that the sizes of the parts differ by one at most too.
    sizes = np.array([np.bincount(np.sort(y)[part::folds], minlength=counts.size) for part in range(place + 1)])
    begin, end = sizes[:place].sum(axis=0), sizes.sum(axis=0)
    return _joined(members[a:b] for members, a, b in zip(_by_class(y, kind, rng), begin, end, strict=True))


def _by_class(y: np.ndarray, kind: str, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The positions of each class: in random order, or in theirs from a relative place on that the classes share."""
    start = rng.random() if kind == ORDERED else 0.0
    for label in range(int(y.max()) + 1):
        members = np.flatnonzero(y == label)
        yield np.roll(members, -int(start * members.size)) if kind == ORDERED else rng.permutation(members)


def _joined(parts: Iterator[np.ndarray]) -> np.ndarray:
    return np.sort(np.concatenate(list(parts)))


def _known(groups: np.ndarray | None) -> np.ndarray:
    if groups is None:
        raise ValueError(NO_GROUPS)
    return groups


def _whole_groups(groups: np.ndarray, share: float, rng: np.random.Generator, key: str) -> np.ndarray:
    names, sizes = np.unique(groups, return_counts=True)
    if names.size < 2:
        raise ValueError(f"`{key}` = {share!r} must leave a whole group to train on, but all samples are of one group")
    order = rng.permutation(names.size)
    totals = np.cumsum(sizes[order])[:-1]  # not all of them
    n = 1 + int(np.argmin(np.abs(totals - share * groups.size)))
    return np.flatnonzero(np.isin(groups, names[order[:n]]))


def _groups_of_fold(groups: np.ndarray, folds: int, place: int, rng: np.random.Generator) -> np.ndarray:
    """Groups in random order, each to the part that is the smallest so far."""
    names, sizes = np.unique(groups, return_counts=True)
    if folds > names.size:
        raise ValueError(f"`data.folds` must be <= {names.size}, the number of groups, got {folds}")
    totals, part_of = np.zeros(folds, int), np.empty(names.size, int)
    for group in rng.permutation(names.size):
        part_of[group] = np.argmin(totals)
        totals[part_of[group]] += sizes[group]
    return np.flatnonzero(np.isin(groups, names[part_of == place]))
