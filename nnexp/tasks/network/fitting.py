"""The fit of a run for data in hand: nothing is kept, nothing is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from nnexp import kernels, optim
from nnexp.datasets import Dataset, Split
from nnexp.datasets.dataset import classes_of
from nnexp.nn import Activation, as_activation, check_activation
from nnexp.optim import METHODS
from nnexp.readers import ConfigError, integer
from nnexp.runs.history import Row
from nnexp.tasks.network import activation as named
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
    activation: str | Callable[..., Any] = "sigmoid",
    init_scale: float | str = 0.12,
    method: str | Callable[..., Any] = "TNC",
    maxiter: int = 400,
    maxfun: int = 400,
    options: Mapping[str, Any] | None = None,
    dtype: str = "float64",
    threads: int = 1,
    kernel: str = "native",
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
        As the config keys of ``model``: several hidden layers as a list, lambda, ...; an activation may be a function.
    method, maxiter, maxfun, options
        As the config keys of ``optimizer``: the method, its two budgets, further options of it; a method may be a
        function of a module, in SciPy's convention.
    dtype, threads, kernel, evaluate_every, seed
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
    name, arithmetic = method_of(method), _read("dtype", dtype)
    given = optim.check_options(name, dict(options or {}))
    kernels.require(_read("kernel", kernel))
    return training.fit(
        split,
        hidden_sizes=sizes,
        l2=_read("l2", l2),
        activation=activation_of(activation, arithmetic, name),
        init_scale=_read("init_scale", init_scale),
        method=name,
        maxiter=_read("maxiter", maxiter),
        maxfun=_read("maxfun", maxfun),
        options={key: given[key] for key in options or {}},
        dtype=arithmetic,
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


def activation_of(given: Any, dtype: str | None = None, method: Any = None) -> str | Activation:
    """An activation by its name or as a function, seen to be right for an arithmetic and a method where they are given.

    Raises
    ------
    ValueError
        If there is none of that name, or it is no activation, or its derivatives are wrong or missing.
    """
    needs_second_derivative = isinstance(method, str) and method in METHODS and METHODS[method].needs_hessp
    if isinstance(given, str):
        if dtype is not None:
            named.check(given, dtype, needs_second_derivative=needs_second_derivative)
        return named.activation_of(given)
    own = as_activation(given, getattr(given, "__name__", type(given).__name__))
    if dtype is not None:
        check_activation(own, np.dtype(dtype))
        if needs_second_derivative and own.second_derivative is None:
            raise ValueError(f"`activation` {own.name} has no second derivative, which `method` {method} needs")
    return own


def method_of(given: Any) -> str:
    """An optimizer's name: of a function of a module its dotted path.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(given, str):
        return given
    name = getattr(given, "__qualname__", "")
    if not name.isidentifier():
        raise ValueError(f"`method` must be a name or a function of a module, got {given!r}")
    return f"{given.__module__}.{name}"


def plain(value: Any) -> Any:
    """A setting as a config would have it: searches give NumPy's numbers, and sequences of any kind."""
    if isinstance(value, np.generic | np.ndarray):
        return cast("Any", value).tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("list[Any] | tuple[Any, ...]", value)]
    return value


def _read(name: str, value: Any) -> Any:
    """A setting as its reader in the config reads it."""
    return READ[name](name, plain(value))
