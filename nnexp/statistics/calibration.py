"""Whether probabilities can be believed: the Brier score, the expected calibration error, and what both are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

N_BINS = 15
EDGES = np.linspace(0.0, 1.0, N_BINS + 1)
EDGES.flags.writeable = False


@dataclass(frozen=True, eq=False)
class Calibration:
    """Samples in bins by the largest of their probabilities p; bin b holds `EDGES[b]` < p <= `EDGES[b + 1]`.

    Attributes
    ----------
    brier : float
        See :func:`calibration`.
    counts, right : ndarray of shape (N_BINS,)
        int64, the samples of each bin, and those of them whose most probable class is the true one.
    confidences : ndarray of shape (N_BINS,)
        Mean of the largest probability over the samples of each bin; NaN in an empty one.
    """

    brier: float
    counts: np.ndarray
    right: np.ndarray
    confidences: np.ndarray

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.counts.sum())

    @property
    def accuracies(self) -> np.ndarray:
        """Share of right predictions in each bin, (N_BINS,); NaN in an empty one."""
        return np.divide(self.right, self.counts, out=np.full(N_BINS, np.nan), where=self.counts > 0)

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean of |accuracy - confidence| over the bins, weighted by their samples.

        Naeini, Cooper and Hauskrecht, *Obtaining well calibrated probabilities using Bayesian binning*, 2015, for the
        most probable class of several, with 15 bins, as Guo, Pleiss, Sun and Weinberger have it (*On calibration of
        modern neural networks*, 2017, equation 3). It has a bias upwards where there are few samples.
        """
        gaps = np.abs(self.accuracies - self.confidences)
        return float(np.nansum(self.counts * gaps) / self.n)

    def as_dict(self) -> dict[str, Any]:
        """The figures and the bins, of types that JSON knows; None is the confidence of an empty bin."""
        confidences = [float(p) if n else None for p, n in zip(self.confidences, self.counts, strict=True)]
        bins = {"counts": self.counts.tolist(), "right": self.right.tolist(), "confidences": confidences}
        return {"n": self.n, "brier": self.brier, "ece": self.ece, "edges": EDGES.tolist(), "bins": bins}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Calibration:
        """What `as_dict` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is something else, such as bins of other edges.
        """
        bins = content["bins"]
        if not np.array_equal(np.array(content["edges"], dtype=float), EDGES):
            raise ValueError(f"expected {N_BINS} bins of equal width")
        counts, right = (np.array(bins[name], dtype=np.int64) for name in ("counts", "right"))
        return cls(float(content["brier"]), counts, right, np.array(bins["confidences"], dtype=float))


def calibration(probabilities: np.ndarray, y: np.ndarray) -> Calibration:
    """Measure how well probabilities fit what came true.

    The Brier score is the mean over the samples of sum_k (p_k - [y = k])^2 over all classes k (Brier, *Verification of
    forecasts expressed in terms of probability*, 1950): 0 at best, 2 at worst, and of two classes twice what is called
    so where one probability alone is given.

    Parameters
    ----------
    probabilities : ndarray of shape (n_samples, n_classes)
        Each row sums to 1.
    y : ndarray of shape (n_samples,)
        Indices of the true classes.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there are no samples.
    """
    p, y = np.asarray(probabilities, dtype=float), np.asarray(y)
    if p.ndim != 2 or y.shape != p.shape[:1] or not y.size:
        raise ValueError(f"expected probabilities (n, n_classes) and y (n,), n >= 1, got {p.shape} and {y.shape}")
    rows = np.arange(len(y))
    squares = (p**2).sum(axis=1) - 2 * p[rows, y] + 1
    confidence, is_right = p.max(axis=1), p.argmax(axis=1) == y
    # From the left, so that a probability on an edge falls into the bin below it; 0 is in the first.
    bins = np.clip(np.searchsorted(EDGES, confidence, side="left") - 1, 0, N_BINS - 1)
    counts = np.bincount(bins, minlength=N_BINS)
    sums = np.bincount(bins, weights=confidence, minlength=N_BINS)
    return Calibration(
        brier=float(squares.mean()),
        counts=counts,
        right=np.bincount(bins[is_right], minlength=N_BINS),
        confidences=np.divide(sums, counts, out=np.full(N_BINS, np.nan), where=counts > 0),
    )


def pooled(parts: Sequence[Calibration]) -> Calibration:
    """The samples of several measurements taken together."""
    counts = np.sum([part.counts for part in parts], axis=0)
    sums = np.nansum([part.counts * part.confidences for part in parts], axis=0)
    return Calibration(
        brier=float(np.average([part.brier for part in parts], weights=[part.n for part in parts])),
        counts=counts,
        right=np.sum([part.right for part in parts], axis=0),
        confidences=np.divide(sums, counts, out=np.full(N_BINS, np.nan), where=counts > 0),
    )
