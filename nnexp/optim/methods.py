"""The table of the methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from nnexp.arrays import Array
from nnexp.optim import bfgs, gradient_descent
from nnexp.optim import options as option_tables
from nnexp.optim.evaluations import Ending, Evaluations
from nnexp.optim.options import Option, Value
from nnexp.optim.scipy_methods import (
    CgOptions,
    LbfgsbOptions,
    NewtonCgOptions,
    TncOptions,
    solve_cg,
    solve_lbfgsb,
    solve_newton_cg,
    solve_tnc,
)
from nnexp.optim.stochastic import AdamOptions, SgdOptions, solve_adam, solve_sgd
from nnexp.optim.trust_region import KrylovOptions, NcgOptions, solve_krylov, solve_ncg

OptionsType = TypeVar("OptionsType")


@dataclass(frozen=True)
class Method(Generic[OptionsType]):
    """What the table says of one method.

    Attributes
    ----------
    summary : str
    solve : callable
        ``solve(run, theta0, options) -> Ending``, where `run` is an `Evaluations`.
    options_type : type
        Dataclass of its options.
    ascending : tuple of str, optional
        Two options of which the first must be smaller than the second.
    needs_hessp : bool
        Whether it takes Hessian-vector products.
    memory_bytes : callable or None
        Bytes that n_params parameters take, where that grows with their square.
    """

    summary: str
    solve: Callable[[Evaluations, Array, OptionsType], Ending]
    options_type: type[OptionsType]
    ascending: tuple[str, str] | None = None
    needs_hessp: bool = False
    memory_bytes: Callable[[int], int] | None = None

    @property
    def options(self) -> Mapping[str, Option]:
        """Its options by name."""
        return option_tables.table(self.options_type)


WOLFE, RADII = ("c1", "c2"), ("initial_trust_radius", "max_trust_radius")

METHODS: dict[str, Method[Any]] = {
    "TNC": Method("truncated Newton, Hessian-vector products by differences of gradients", solve_tnc, TncOptions),
    "L-BFGS-B": Method("quasi-Newton from the last few steps", solve_lbfgsb, LbfgsbOptions),
    "CG": Method("nonlinear conjugate gradients (Polak-Ribiere)", solve_cg, CgOptions, WOLFE),
    "BFGS": Method("quasi-Newton with a full matrix", bfgs.solve, bfgs.Options, WOLFE, memory_bytes=bfgs.memory_bytes),
    "Newton-CG": Method(
        "truncated Newton with a line search", solve_newton_cg, NewtonCgOptions, WOLFE, needs_hessp=True
    ),
    "trust-ncg": Method(
        "truncated Newton in a trust region (Steihaug)", solve_ncg, NcgOptions, RADII, needs_hessp=True
    ),
    "trust-krylov": Method(
        "Newton in a trust region by Lanczos's method (GLTR)", solve_krylov, KrylovOptions, RADII, needs_hessp=True
    ),
    "GD": Method("full-batch gradient descent", gradient_descent.solve, gradient_descent.Options),
    "SGD": Method("mini-batch gradient descent with momentum", solve_sgd, SgdOptions),
    "Adam": Method("steps scaled by each gradient's history", solve_adam, AdamOptions),
}


def find(method: str) -> Method[Any]:
    """Look a method up by its name.

    Raises
    ------
    ValueError
        If there is none of that name; with the choices.
    """
    if method not in METHODS:
        raise ValueError(f"`optimizer.method` must be one of {', '.join(METHODS)}, got {method!r}")
    return METHODS[method]


def check_options(method: str, options: Mapping[str, object] | None = None) -> dict[str, Value]:
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
        If one of them is not allowed: one line that names `optimizer.method` or `optimizer.options`, the value given
        and what is allowed.
    """
    entry = find(method)
    checked = option_tables.check(method, entry.options_type, options)
    if entry.ascending:
        low, high = (checked[name] for name in entry.ascending)
        if not cast(float, low) < cast(float, high):
            small, large = entry.ascending
            raise ValueError(f"`optimizer.options` of {method} must have {small} < {large}, got {low} and {high}")
    return checked
