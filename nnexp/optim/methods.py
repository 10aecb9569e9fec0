"""The table of the methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from nnexp.optim import bfgs, gradient_descent, scipy_methods, stochastic, trust_region
from nnexp.optim import options as option_tables
from nnexp.optim.evaluations import Ending, Evaluations
from nnexp.optim.options import Option


@dataclass(frozen=True)
class Method:
    """What the table says of one method.

    Attributes
    ----------
    summary : str
    solve : callable
        ``solve(run, theta0, options) -> Ending``, where `run` is an `Evaluations`.
    options : Mapping of str to Option
    ascending : tuple of pairs of str
        Options of which the first must be smaller than the second.
    needs_hessp : bool
        Whether it takes Hessian-vector products.
    memory_bytes : callable or None
        Bytes that n_params parameters take, where that grows with their square.
    """

    summary: str
    solve: Callable[[Evaluations, np.ndarray, dict], Ending]
    options: Mapping[str, Option]
    ascending: tuple[tuple[str, str], ...] = ()
    needs_hessp: bool = False
    memory_bytes: Callable[[int], int] | None = None


def _scipy(method: str, summary: str, *ascending: tuple[str, str], hessp: bool = False) -> Method:
    solve = partial(scipy_methods.solve, method=method)
    return Method(summary, solve, scipy_methods.OPTIONS[method], ascending, needs_hessp=hessp)


def _trust_region(subproblem: str, summary: str) -> Method:
    solve = partial(trust_region.solve, subproblem=subproblem)
    radii = ("initial_trust_radius", "max_trust_radius")
    return Method(summary, solve, trust_region.OPTIONS[subproblem], (radii,), needs_hessp=True)


WOLFE = ("c1", "c2")

METHODS: dict[str, Method] = {
    "TNC": _scipy("TNC", "truncated Newton, Hessian-vector products by differences of gradients"),
    "L-BFGS-B": _scipy("L-BFGS-B", "quasi-Newton from the last few steps"),
    "CG": _scipy("CG", "nonlinear conjugate gradients (Polak-Ribiere)", WOLFE),
    "BFGS": Method("quasi-Newton with a full matrix", bfgs.solve, bfgs.OPTIONS, (WOLFE,), False, bfgs.memory_bytes),
    "Newton-CG": _scipy("Newton-CG", "truncated Newton with a line search", WOLFE, hessp=True),
    "trust-ncg": _trust_region("ncg", "truncated Newton in a trust region (Steihaug)"),
    "trust-krylov": _trust_region("krylov", "Newton in a trust region by Lanczos's method (GLTR)"),
    "GD": Method("full-batch gradient descent", gradient_descent.solve, gradient_descent.OPTIONS),
    "SGD": Method("mini-batch gradient descent with momentum", stochastic.solve_sgd, stochastic.SGD_OPTIONS),
    "Adam": Method("steps scaled by each gradient's history", stochastic.solve_adam, stochastic.ADAM_OPTIONS),
}


def find(method: str) -> Method:
    """Return the table's entry; ValueError with the choices if there is none."""
    if method not in METHODS:
        raise ValueError(f"`optimizer.method` must be one of {', '.join(METHODS)}, got {method!r}")
    return METHODS[method]


def check_options(method: str, options: Mapping[str, object] | None = None) -> dict:
    """Check a method's name and its options; fill in the defaults.

    Parameters
    ----------
    method : str
        A key of `METHODS`.
    options : Mapping, optional
        What differs from the method's defaults.

    Returns
    -------
    dict
        Every option of the method, given or default, as the type the method takes.

    Raises
    ------
    ValueError
        One line that names `optimizer.method` or `optimizer.options`, the value given and what is allowed.
    """
    entry = find(method)
    checked = option_tables.check(method, entry.options, options)
    for small, large in entry.ascending:
        low, high = checked[small], checked[large]
        if not low < high:
            raise ValueError(f"`optimizer.options` of {method} must have {small} < {large}, got {low} and {high}")
    return checked
