"""Which hidden unit of one network is like which of another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ODD = ("sigmoid", "tanh")  # a unit with all signs turned does the same work: 1 - sigmoid(z), -tanh(z)


@dataclass(frozen=True)
class Match:
    """For each unit of the reference its partner.

    Attributes
    ----------
    partner : ndarray of shape (n_reference,)
        Index of the unit that stands beside it, -1 where there is none left.
    correlation : ndarray of shape (n_reference,)
        Correlation of the two units' weights, 0 where there is no partner.
    """

    partner: np.ndarray
    correlation: np.ndarray


def match_units(reference: np.ndarray, other: np.ndarray, *, either_sign: bool = True) -> Match:
    """Pair the hidden units of two networks one to one, the sum of the correlations of their weights being largest.

    Hidden units can be permuted, and those of an odd activation also turned in sign, without changing what a network
    computes, so two trainings agree at best up to both. The assignment problem is solved exactly (Crouse, *On
    implementing 2D rectangular assignment algorithms*, 2016).

    Parameters
    ----------
    reference : ndarray of shape (n_reference, n_features)
        Weights into the hidden units, without biases.
    other : ndarray of shape (n_other, n_features)
    either_sign : bool
        Whether a unit with all signs turned counts as like.

    Returns
    -------
    Match
    """
    from scipy.optimize import linear_sum_assignment

    correlations = _rows(reference) @ _rows(other).T
    rows, columns = linear_sum_assignment(np.abs(correlations) if either_sign else correlations, maximize=True)
    partner, correlation = np.full(len(reference), -1), np.zeros(len(reference))
    partner[rows], correlation[rows] = columns, correlations[rows, columns]
    return Match(partner, correlation)


def _rows(weights: np.ndarray) -> np.ndarray:
    """Rows centred and of length one; a constant row becomes zero."""
    centred = weights - weights.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.where(lengths > 0, lengths, 1)
