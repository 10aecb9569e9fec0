"""The fit of a run for data in hand: nothing is kept, nothing is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from nnexp import optim
from nnexp.datasets import Dataset, Split
from nnexp.datasets.dataset import classes_of
from nnexp.readers import ConfigError, integer
from nnexp.runs.history import Row
from nnexp.tasks.network import training
from nnexp.tasks.network.config import READERS
from nnexp.tasks.network.training import FitResult

READ = READERS["model"] | READERS["optimizer"] | READERS["training"] | {"seed": integer(0)}


def fit(
    data: Split | Dataset | Any,
    y: Any = None,
    *,
    hidden_size: int | Sequence[int] = 25,
    l2: float = 1.0,
    activation: str = "sigmoid",
    init_scale: float | str = 0.12,
    method: str = "TNC",
    maxiter: int = 400,
    maxfun: int = 400,
    options: Mapping[str, Any] | None = None,
    dtype: str = "float64",
    threads: int = 1,
    evaluate_every: int = 1,
    seed: int = 0,
    on_row: Callable[[Row], None] | None = None,
) -> FitResult:
    """Train a network as a run does, with the same numbers for the same settings.

    Parameters
    ----------
    data : Split, Dataset, or array-like of shape (n_samples, n_features)
        What to train on. Of a split the held-out parts are evaluated every `evaluate_every` iterations.
    y : array-like of shape (n_samples,)
        Labels, integers or texts, where `data` is an array.
    hidden_size, l2, activation, init_scale
        As the config keys of ``model``: several hidden layers as a list, lambda, ...
    method, maxiter, maxfun, options
        As the config keys of ``optimizer``: the method, its two budgets, further options of it.
    dtype, threads, evaluate_every, seed
        As the config keys of ``training``, and ``seed``: of the initial theta and the order of samples.
    on_row
        Called with each row of the history, one iteration late.

    Returns
    -------
    FitResult
        `theta`, `cost`, `history`, `status`, ...; also when a budget ended or Ctrl-C came.

    Raises
    ------
    ValueError
        If the data or a setting is wrong; one line that names it, its value and what is allowed.
    nnexp.optim.NonFiniteCostError
        Where the cost stops being a finite number.

    Examples
    --------
    >>> import nnexp
    >>> digits = nnexp.load_dataset("digits")
    >>> result = nnexp.fit(digits.split(test_size=0.2), hidden_size=10, method="L-BFGS-B", maxfun=50)
    >>> result.n_fev
    50
    """
    split, widths = split_of(data, y), _read("hidden_size", hidden_size)
    sizes: list[int] = [widths] if isinstance(widths, int) else widths
    method = _read("method", method)
    given = optim.check_options(method, dict(options or {}))
    return training.fit(
        split,
        hidden_sizes=sizes,
        l2=_read("l2", l2),
        activation=_read("activation", activation),
        init_scale=_read("init_scale", init_scale),
        method=method,
        maxiter=_read("maxiter", maxiter),
        maxfun=_read("maxfun", maxfun),
        options={key: given[key] for key in options or {}},
        dtype=_read("dtype", dtype),
        threads=_read("threads", threads),
        evaluate_every=_read("evaluate_every", evaluate_every),
        seed=_read("seed", seed),
        on_row=on_row,
    )


def split_of(data: Any, y: Any = None) -> Split:
    """What to train on as a split, which may have one part only.

    Raises
    ------
    ValueError
        If labels are missing, or too many, or do not fit the samples.
    """
    if isinstance(data, Split | Dataset):
        if y is not None:
            raise ConfigError(f"`y` must be left out where `data` has labels itself, got {type(y).__name__}")
        return data if isinstance(data, Split) else Split(data, None, None)
    if y is None:
        raise ConfigError("`y` must be given where `data` is an array")
    X, labels = np.asarray(data, dtype=float), np.asarray(y)
    if labels.ndim != 1 or X.ndim != 2 or len(X) != len(labels):
        raise ConfigError(f"expected data of shape (n, features) and y of shape (n,), got {X.shape} and {labels.shape}")
    if not np.isfinite(X).all():
        raise ConfigError("`data` must be finite numbers")
    classes, indices = classes_of(labels)
    return Split(Dataset("data", X, indices, classes), None, None)


def _read(name: str, value: Any) -> Any:
    """A setting as its reader in the config reads it; numbers of NumPy are numbers, tuples and arrays lists."""
    if isinstance(value, np.generic | np.ndarray | tuple):
        value = np.asarray(cast("Any", value)).tolist()
    return READ[name](name, value)
