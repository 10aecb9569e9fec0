# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
"""The network as MLflow serves it: this file travels with the model, and needs NumPy and pandas only.

An instance has what MLflow's `evaluate` asks of a scikit-learn classifier: `predict` gives labels, `predict_proba`
probabilities in the order of `classes_`. Called, it gives both as a table, which is what the served model answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module, metadata
from typing import Any

import numpy as np


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def _relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0.0)


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"sigmoid": _sigmoid, "tanh": np.tanh, "relu": _relu}
INTEGER = re.compile(r"0|-?[1-9]\d{0,17}")


def labels_of(names: Iterable[Any]) -> np.ndarray:
    """The labels of classes by their names: integers where all names are written as such, as the data had them."""
    texts = [str(name) for name in names]
    if all(INTEGER.fullmatch(text) for text in texts):
        return np.array([int(text) for text in texts], dtype=np.int64)
    return np.array(texts)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Sigmoids of the logits, divided by their sum, so that those of a sample sum to 1.

    Each output is trained to be the probability of its class by itself, so that the sum is near 1 already; a softmax of
    the logits would count the same evidence several times. The largest probability is where the largest logit is.

    Parameters
    ----------
    logits : ndarray of shape (n_samples, n_classes)

    Returns
    -------
    ndarray of shape (n_samples, n_classes), float64
    """
    z = np.asarray(logits, dtype=np.float64)
    log_sigmoids = -np.logaddexp(0.0, -z)  # the sigmoids themselves may all be 0 in a row
    p = np.exp(log_sigmoids - log_sigmoids.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    best = z.argmax(axis=1)
    tied = np.flatnonzero(p.argmax(axis=1) != best)  # above 37 all sigmoids are 1, as far as floating point can tell
    p[tied, best[tied]] = np.nextafter(p[tied].max(axis=1), 2.0)
    return p


def own_activation(name: str, values: np.ndarray | None) -> Callable[[np.ndarray], np.ndarray]:
    """The function of a user's own, whose module travels with the model.

    Parameters
    ----------
    name
        Its dotted path, or the name that an installed package has registered.
    values : ndarray of shape (2, n)
        Points z, and what the function was there when the network was trained.

    Raises
    ------
    ValueError
        If the function is another one here: a process has one module of a name, maybe that of another model.
    """
    points = metadata.entry_points(group="nnexp.activations") if "." not in name else ()
    path = next((point.value for point in points if point.name == name), name).replace(":", ".")
    words, found = path.split("."), None
    for n in range(len(words) - 1, 0, -1):
        try:
            found = import_module(".".join(words[:n]))
        except ModuleNotFoundError:
            continue
        for word in words[n:]:
            found = getattr(found, word)
        break
    if found is None:
        raise ValueError(f"there is no module {words[0]!r} of the activation {name}")
    found = found() if isinstance(found, type) else found
    function: Any = found[0] if isinstance(found, tuple) else found

    def activate(z: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(function(z), dtype=float)

    if values is not None and not np.allclose(activate(values[0]), values[1], rtol=1e-9, atol=1e-9):
        raise ValueError(f"the activation {name} is not what the network was trained with")
    return activate


class ServedNetwork:
    """Labels and probabilities for raw samples, whatever the network was trained on.

    Parameters
    ----------
    arrays : Mapping
        The content of a run's `weights.npz`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, ascending, as scikit-learn has them.
    n_features_in_ : int
    columns : dict of str to str
        Columns of the table and their types, in MLflow's words.
    """

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        names = arrays["classes"].astype(str)
        order = labels_of(names).argsort()  # the exercise has its class 0 last
        self.layers = [(arrays[f"weights_{i}"], arrays[f"biases_{i}"]) for i in range(int(arrays["n_layers"]))]
        weights, biases = self.layers[-1]
        self.layers[-1] = weights[order], biases[order]
        self.scale = [arrays[name] for name in ("scale_offset", "scale_factor") if name in arrays]
        self.classes_ = labels_of(names[order])
        self.activation = str(arrays["activation"])
        self.activation_values = arrays.get("activation_values")
        self.n_features_in_ = int(self.layers[0][0].shape[1])
        kind = "long" if self.classes_.dtype.kind == "i" else "string"
        self.columns = {"label": kind} | {f"probability_{name}": "double" for name in names[order]}

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits of shape (n_samples, n_classes) for samples of shape (n_samples, n_features)."""
        a = np.asarray(X, dtype=float)
        if self.scale:
            offset, factor = self.scale
            a = (a - offset) * factor
        activate = ACTIVATIONS.get(self.activation) or own_activation(self.activation, self.activation_values)
        z = a
        for i, (weights, biases) in enumerate(self.layers):
            a = activate(z) if i else a
            z = a @ weights.T + biases  # (n, n_in) @ (n_in, n_out) -> (n, n_out)
        return z

    def predict(self, X: Any) -> np.ndarray:
        """The label of the largest output of each sample, (n_samples,)."""
        return self.classes_[self.decision_function(X).argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of shape (n_samples, n_classes)."""
        return probabilities(self.decision_function(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of the samples that are predicted right."""
        return float(np.average(self.predict(X) == np.asarray(y), weights=sample_weight))

    def __call__(self, X: Any, params: Any = None) -> Any:
        """The table of a served model: the column `label`, and `probability_CLASS` of each class."""
        import pandas as pd

        p = self.predict_proba(X)
        index = X.index if isinstance(X, pd.DataFrame) else None
        values = [self.classes_[p.argmax(axis=1)], *p.T]
        return pd.DataFrame(dict(zip(self.columns, values, strict=True)), index=index)


load = ServedNetwork
