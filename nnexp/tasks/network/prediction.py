"""The trained network of a run, as a function of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnexp.blas import blas_threads
from nnexp.datasets import Scaling
from nnexp.nn import Activation, Forward, predict
from nnexp.readers import ConfigError
from nnexp.runs.directory import RunDirectory
from nnexp.runs.files import read_arrays
from nnexp.tasks.network.activation import recorded
from nnexp.tasks.network.served_model import labels_of

WEIGHTS = "weights.npz"


@dataclass(frozen=True)
class Predictor:
    """A trained network.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
    layer_sizes, activation
        The network.
    dtype : str
        Arithmetic of the run, in which it predicts too.
    labels : ndarray of shape (n_classes,)
        What the outputs stand for: integers where the data set's classes are, else texts.
    scaling : Scaling or None
        What is done with raw samples before the first layer.
    """

    theta: np.ndarray
    layer_sizes: tuple[int, ...]
    activation: str | Activation
    dtype: str
    labels: np.ndarray
    scaling: Scaling | None = None

    @classmethod
    def of(cls, directory: RunDirectory) -> Predictor:
        """Read the network of a run directory.

        Raises
        ------
        ConfigError
            If the run has no weights, or its activation was the user's own and is another one now.
        RecordError
            If they are damaged.
        """
        try:
            stored = read_arrays(directory.path / WEIGHTS)
        except FileNotFoundError as error:
            raise ConfigError(f"{directory.path} has no {WEIGHTS}: the run was not trained to its end") from error
        scaling = Scaling(stored["scale_offset"], stored["scale_factor"]) if "scale_offset" in stored else None
        return cls(
            theta=stored["theta"],
            layer_sizes=tuple(int(size) for size in stored["layer_sizes"]),
            activation=recorded(str(stored["activation"]), stored),
            dtype=_dtype_of(directory),
            labels=labels_of(stored["classes"]),
            scaling=scaling,
        )

    def __call__(self, X: Any) -> np.ndarray:
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Raw samples, as the data set has them.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self.labels[predict(self.logits(X))]

    def logits(self, X: Any) -> np.ndarray:
        """Outputs before the sigmoid, of shape (n_samples, n_classes)."""
        samples, n_features = np.asarray(X, dtype=float), self.layer_sizes[0]
        if samples.ndim != 2 or samples.shape[1] != n_features:
            raise ValueError(f"expected X of shape (n, {n_features}), got {samples.shape}")
        if self.scaling is not None:
            samples = self.scaling(samples)
        with blas_threads(1):  # as in the fit
            forward = Forward(samples, self.layer_sizes, activation=self.activation, dtype=np.dtype(self.dtype))
            return forward(self.theta)


def _dtype_of(directory: RunDirectory) -> str:
    """The arithmetic of a run; runs fetched from the store have no record, and predict in double precision."""
    try:
        return str(directory.record.details.get("dtype", "float64"))
    except (OSError, ValueError):
        return "float64"
