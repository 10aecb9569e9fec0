# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportIncompatibleMethodOverride=false
"""The network as MLflow serves it: this file travels inside the model, beside `weights.npz`, and needs NumPy only."""

from collections.abc import Callable
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def _relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0.0)


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"sigmoid": _sigmoid, "tanh": np.tanh, "relu": _relu}


class ServedNetwork(PythonModel):
    """Class labels and the sigmoid outputs of the network for rows of pixels."""

    def load_context(self, context: Any) -> None:
        """Read the weights once."""
        with np.load(context.artifacts["weights"]) as stored:
            self.layers = [(stored[f"weights_{i}"], stored[f"biases_{i}"]) for i in range(int(stored["n_layers"]))]
            self.scale = [stored[name] for name in ("scale_offset", "scale_factor") if name in stored.files]
            self.classes = stored["classes"].astype(str)
            self.activation = ACTIVATIONS[str(stored["activation"])]

    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> dict[str, Any]:
        """Predict from inputs of shape (n_samples, n_features).

        Returns a dict: `label`, the class of the largest output of each sample, and `output`, all outputs, in the
        order of `classes`.
        """
        a = np.asarray(model_input, dtype=float)
        if self.scale:  # inputs are raw, whatever the network was trained on
            offset, factor = self.scale
            a = (a - offset) * factor
        for i, (weights, biases) in enumerate(self.layers):
            z = a @ weights.T + biases  # (n, n_in) @ (n_in, n_out) -> (n, n_out)
            a = self.activation(z) if i + 1 < len(self.layers) else _sigmoid(z)
        return {"label": self.classes[a.argmax(axis=1)].tolist(), "output": a.tolist()}


set_model(ServedNetwork())
