"""The table of the methods: their options, and what they take of the memory, checked before anything is trained."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from nnexp.arrays import Array
from nnexp.optim import bfgs, gradient_descent, own_method
from nnexp.optim import options as option_tables
from nnexp.optim.evaluations import N_REMEMBERED, Ending, Evaluations
from nnexp.optim.options import Option
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
    """Look a method up by its name: a key of `METHODS`, or the dotted path of a function in SciPy's convention.

    Raises
    ------
    ValueError
        If there is none of that name; with the choices.
    """
    if method in METHODS:
        return METHODS[method]
    function = own_method.find(method, METHODS)
    return Method("the user's own", own_method.OwnMethod(method, function), dict)


def check_options(method: str, options: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Check a method's name and its options; fill in the defaults, but for those of a user's own method.

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
    if isinstance(entry.solve, own_method.OwnMethod):
        return own_method.check_options(method, entry.solve.function, options)
    checked = option_tables.check(method, entry.options_type, options)
    if entry.ascending:
        low, high = (checked[name] for name in entry.ascending)
        if not cast(float, low) < cast(float, high):
            small, large = entry.ascending
            raise ValueError(f"`optimizer.options` of {method} must have {small} < {large}, got {low} and {high}")
    return checked


OWN_VECTORS = 4  # of the size of theta that each method keeps at least, besides the points remembered
PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


def memory_bytes(method: str, n_params: int) -> int | None:
    """Bytes that `method` takes where that grows with the square of the parameters; None for the other methods.

    Parameters
    ----------
    method : str
        A key of `METHODS`.
    n_params : int
        Length of theta.
    """
    quadratic = find(method).memory_bytes
    return None if quadratic is None else quadratic(n_params)


def check_memory(method: str, n_params: int, besides: int = 0) -> None:
    """Check that a method fits in memory; pass where the system does not say how much there is.

    Parameters
    ----------
    method : str
        A key of `METHODS`.
    n_params : int
        Length of theta.
    besides : int
        Bytes that the objective takes.

    Raises
    ------
    ValueError
        If it does not; with the figures.
    """
    matrix, available = memory_bytes(method, n_params) or 0, available_bytes()
    if available is None:
        return
    if matrix > available:
        raise ValueError(
            f"`optimizer.method` {method} holds a matrix of {n_params:,} x {n_params:,}: {matrix / 1e9:.1f} GB, but "
            f"{available / 1e9:.1f} GB are available; take one whose memory is linear, such as L-BFGS-B"
        )
    needed = matrix + (2 * N_REMEMBERED + OWN_VECTORS) * 8 * n_params + besides
    if needed > available:
        raise ValueError(
            f"`model.hidden_size` makes a network of {n_params:,} parameters, which takes about {needed / 1e9:.1f} GB "
            f"to train by {method}, but {available / 1e9:.1f} GB are available"
        )


def available_bytes() -> int | None:
    """Bytes that a process can still take without swapping, or None if unknown: the least of what the limits leave."""
    return min((room for room in (_machine(), *_cgroups()) if room is not None), default=None)


def _machine() -> int | None:
    try:
        for line in (PROC / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:  # not Linux
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _cgroups() -> list[int | None]:
    """Room that the control groups of this process (a container's limit, version 1 or 2) still leave."""
    try:
        lines = (PROC / "self/cgroup").read_text().splitlines()
    except OSError:
        return []
    rooms: list[int | None] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, names = CGROUP, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root, names = CGROUP / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = root / path.lstrip("/")
        # A container sees its own group as the root, under a path that exists only outside.
        for folder in (group, *group.parents):
            if folder.is_relative_to(root):
                rooms.append(_room(folder, *names))
    return rooms


def _room(folder: Path, limit: str, usage: str, cache: str) -> int | None:
    try:
        allowed, used = int((folder / limit).read_text()), int((folder / usage).read_text())
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return max(0, allowed - used + int(statistics.get(cache, 0)))
