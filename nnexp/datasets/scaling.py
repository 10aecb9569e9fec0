"""Scaling of features, by the statistics of the samples that are trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
