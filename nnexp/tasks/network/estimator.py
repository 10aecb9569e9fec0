# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportUntypedBaseClass=false, reportUntypedFunctionDecorator=false
# pyright: reportConstantRedefinition=false
"""The network as a classifier of scikit-learn, trained by the `fit` of a run: same seed, same numbers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from nnexp.datasets import Dataset, Scaling, Split
from nnexp.datasets.dataset import SCALES, fit_scaling
from nnexp.nn import Forward, pack, unpack
from nnexp.readers import Reader, choice
from nnexp.tasks.network.activation import recorded
from nnexp.tasks.network.config import READERS
from nnexp.tasks.network.fitting import activation_of, method_of, plain
from nnexp.tasks.network.served_model import labels_of, probabilities
from nnexp.tasks.network.sklearn_callbacks import CallbackSupportMixin, Hooks, with_callbacks
from nnexp.tasks.network.training import fit

SEEDS = 2**31 - 1
# The parameters by the keys of a run's config.
KEYS = {
    **{name: f"model.{name}" for name in ("hidden_size", "l2", "activation", "init_scale")},
    **{name: f"optimizer.{name}" for name in ("method", "maxiter", "maxfun")},
    **{"scale": "data.scale", "dtype": "training.dtype", "random_state": "seed"},
}
OPTION = "optimizer.options."
# What `fit` would refuse too late or not at all is read as a config is.
CHECKED: dict[str, Reader] = {
    **{name: READERS["model"][name] for name in ("hidden_size", "l2", "init_scale")},
    **{name: READERS["optimizer"][name] for name in ("maxiter", "maxfun", "options")},
    **{"dtype": READERS["training"]["dtype"], "scale": choice(*SCALES)},
}


class NeuralNetworkClassifier(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Classifier with sigmoid outputs, one a class, trained by hand-written back-propagation.

    The parameters are the keys of a run's config. Fitted on the training part of a run, with the seed of the run as
    `random_state`, it has the run's numbers to the last bit, where the classes are in the run's order, as they are in
    the `y` of an :class:`nnexp.Dataset`.

    Parameters
    ----------
    hidden_size : int or sequence of int
        Units of the hidden layer, or of each of them.
    l2 : float
        The penalty's lambda; it is divided by 2 n_samples, as in the exercise.
    activation : str or callable
        Of the hidden units: a name as in `model.activation`, or one of your own, with its derivative.
    init_scale : float or "glorot"
        Range of the initial weights, see :func:`nnexp.nn.initialize`.
    scale : {"none", "minmax", "standard"}
        How features are scaled, by the statistics of the samples that are trained on.
    method : str or callable
        The optimizer: a name as in `optimizer.method`, or a function of a module, in SciPy's convention.
    maxiter, maxfun : int
        Iterations, and evaluations of cost and gradient, at most. A :class:`ConvergenceWarning` says that one of them
        ended the training.
    options : dict, optional
        Further options of the method.
    dtype : {"float64", "float32"}
        Arithmetic of cost and gradient.
    random_state : int, RandomState instance or None
        The seed of the initial weights and of the order of mini-batches. An int gives the same numbers each time.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    theta_ : ndarray of shape (n_parameters,)
        All weights and biases, packed as :func:`nnexp.nn.unpack` says.
    layer_sizes_ : tuple of int
    weights_, biases_ : list of ndarray
        Of each layer, of shapes (n_out, n_in) and (n_out,); views of `theta_`.
    loss_, cost_ : float
        Without and with the penalty, nats per sample, over the samples that were trained on.
    loss_curve_ : ndarray of shape (n_iter_ + 1,)
        The loss at the start and after each iteration.
    history_ : dict of str to ndarray of shape (n_iter_ + 1,)
        All that a run's history has, under the same names.
    n_iter_, n_fev_ : int
        Iterations and evaluations.
    status_, message_ : str
        ``converged``, ``maxiter``, ``maxfun``, ``failed`` or ``stopped`` (by a callback), and the reason in words.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where `X` had names that are all texts.
    """

    classes_: np.ndarray
    theta_: np.ndarray
    layer_sizes_: tuple[int, ...]
    n_features_in_: int
    scaling_: Scaling | None
    history_: Mapping[str, np.ndarray]

    def __init__(
        self,
        hidden_size: Any = 25,
        *,
        l2: float = 1.0,
        activation: Any = "sigmoid",
        init_scale: float | str = 0.12,
        scale: str = "none",
        method: Any = "TNC",
        maxiter: int = 400,
        maxfun: int = 400,
        options: Mapping[str, Any] | None = None,
        dtype: str = "float64",
        random_state: Any = 0,
    ) -> None:
        self.hidden_size = hidden_size
        self.l2 = l2
        self.activation = activation
        self.init_scale = init_scale
        self.scale = scale
        self.method = method
        self.maxiter = maxiter
        self.maxfun = maxfun
        self.options = options
        self.dtype = dtype
        self.random_state = random_state

    @with_callbacks
    def fit(self, X: Any, y: Any) -> NeuralNetworkClassifier:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Labels of any kind.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter has a value that is not allowed, or the samples do not serve.
        """
        settings = {name: read(name, plain(getattr(self, name))) for name, read in CHECKED.items()}
        width, scale = settings.pop("hidden_size"), settings.pop("scale")
        X, y = validate_data(self, X, y, dtype=np.float64, order="C")
        check_classification_targets(y)
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"`y` must hold at least 2 classes, got 1 class: {self.classes_[0]}")
        self.scaling_ = fit_scaling(scale, X)
        train = Dataset("", self._scaled(X), indices, tuple(str(each) for each in self.classes_))
        widths = width if isinstance(width, list) else [width]
        self.layer_sizes_ = (X.shape[1], *widths, len(self.classes_))
        self.activation_ = self.activation

        hooks = Hooks(self, X, y, settings["maxiter"]) if hasattr(self, "_init_callback_context") else None
        result = fit(
            Split(train, None, None),
            hidden_sizes=widths,
            activation=activation_of(self.activation, settings["dtype"], self.method),
            method=method_of(self.method),
            seed=self._seed(),
            on_iterate=hooks if hasattr(self, "_skl_callbacks") else None,
            **settings,
        )
        if result.status == "interrupted":
            raise KeyboardInterrupt  # or a search would go on with the next candidate
        self.theta_ = result.theta
        self.loss_, self.cost_ = result.loss, result.cost
        self.n_iter_, self.n_fev_ = result.n_iter, result.n_fev
        self.status_, self.message_ = result.status, result.message
        self.history_ = result.history
        self.loss_curve_ = result.history["loss/train"]
        if self.status_ in ("maxiter", "maxfun", "failed"):
            hint = "" if self.status_ == "failed" else f" Increase {self.status_}, or scale the data."
            warnings.warn(f"The training has not converged: {self.message_}{hint}", ConvergenceWarning, stacklevel=2)
        if hooks is not None:
            hooks.close()
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """The logits; of two classes the logarithm of the ratio of their probabilities, above 0 for the second.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
        """
        z = self._logits(X)
        if z.shape[1] != 2:
            return z
        # Not the difference of the logits: it does not order samples as the probabilities do.
        ratio = np.logaddexp(0, -z[:, 0]) - np.logaddexp(0, -z[:, 1])
        return np.where(ratio == 0, np.sign(z[:, 1] - z[:, 0]) * np.finfo(float).tiny, ratio)

    def predict(self, X: Any) -> np.ndarray:
        """The label of the largest output of each sample, (n_samples,)."""
        best = self._logits(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of shape (n_samples, n_classes): the outputs, divided by their sum over the classes."""
        return probabilities(self._logits(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @property
    def weights_(self) -> list[np.ndarray]:
        """Weights of each layer."""
        return unpack(self.theta_, self.layer_sizes_)[0]

    @property
    def biases_(self) -> list[np.ndarray]:
        """Biases of each layer."""
        return unpack(self.theta_, self.layer_sizes_)[1]

    def _logits(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "theta_")
        X = validate_data(self, X, dtype=np.float64, order="C", reset=False)
        act, dtype = activation_of(self.activation_), np.dtype(self.dtype)
        return Forward(self._scaled(X), self.layer_sizes_, activation=act, dtype=dtype)(self.theta_)

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        return X if self.scaling_ is None else self.scaling_(X)

    def _seed(self) -> int:
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(SEEDS))


def from_run(
    params: Mapping[str, Any], arrays: Mapping[str, Any], values: Mapping[str, Any], history: Mapping[str, Any]
) -> NeuralNetworkClassifier:
    """The classifier that a run has trained.

    Parameters
    ----------
    params
        Of the run's record.
    arrays
        The content of its `weights.npz`.
    values
        Of its result, and its message.
    history
        Columns of its history.
    """
    options = {key.removeprefix(OPTION): value for key, value in params.items() if key.startswith(OPTION)}
    keys = {name: key for name, key in KEYS.items() if key in params}
    made = NeuralNetworkClassifier(**{name: params[key] for name, key in keys.items()}, options=options or None)
    labels = labels_of(arrays["classes"])
    order = labels.argsort()  # scikit-learn has classes ascending; the exercise has its class 0 last
    made.classes_ = labels[order]
    made.layer_sizes_ = tuple(int(size) for size in arrays["layer_sizes"])
    made.n_features_in_ = made.layer_sizes_[0]
    made.activation_ = str(arrays["activation"])
    recorded(made.activation_, arrays)
    made.scaling_ = Scaling(arrays["scale_offset"], arrays["scale_factor"]) if "scale_offset" in arrays else None
    weights, biases = unpack(arrays["theta"], made.layer_sizes_)
    made.theta_ = pack([*weights[:-1], weights[-1][order]], [*biases[:-1], biases[-1][order]])
    made.loss_, made.cost_ = values["loss"], values["cost"]
    made.n_iter_, made.n_fev_ = values["n_iter"], values["n_fev"]
    made.status_, made.message_ = values["optimizer_status"], values["message"]
    made.history_, made.loss_curve_ = history, history["loss/train"]
    return made
