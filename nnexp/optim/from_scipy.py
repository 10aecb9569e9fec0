# pyright: reportMissingTypeStubs=false
"""What is taken from SciPy, with types. SciPy has none, so this is the one place of `optim` that casts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import scipy.linalg
import scipy.optimize

from nnexp.arrays import Array
from nnexp.optim.evaluations import Point

# The line search of Moré and Thuente, by which SciPy's own BFGS, CG and Newton-CG begin, is in a private module, and
# nothing public leads to it. Without it our BFGS would take other steps than SciPy's. Should a SciPy have moved it, the
# public search alone takes over: other steps, to the same minima. `tests/optim/test_from_scipy.py` tells then.
try:
    from scipy.optimize import _linesearch

    more_thuente = cast(Any, _linesearch).line_search_wolfe1
except (ImportError, AttributeError):
    more_thuente = None

_linalg, _optimize = cast(Any, scipy.linalg), cast(Any, scipy.optimize)

LONGEST_STEP, SHORTEST_STEP = 1e100, 1e-100  # what SciPy's BFGS sets

_symv, _syr2 = cast(
    tuple[Callable[..., Array], Callable[..., Array]],
    _linalg.get_blas_funcs(("symv", "syr2"), dtype=np.float64),
)


class ScipyResult(NamedTuple):
    """What `scipy.optimize.minimize` says at its end."""

    x: Array
    status: int
    success: bool
    message: str


def minimize(
    cost: Callable[[Array], float],
    x0: Array,
    method: str,
    gradient: Callable[[Array], Array],
    hessp: Callable[[Array, Array], Array] | None,
    callback: Callable[[Array], None],
    options: Mapping[str, object],
) -> ScipyResult:
    """`scipy.optimize.minimize`."""
    result = _optimize.minimize(
        cost, x0, method=method, jac=gradient, hessp=hessp, callback=callback, options=dict(options)
    )
    return ScipyResult(result.x, int(result.status), bool(result.success), str(result.message))


def wolfe_step(
    cost: Callable[[Array], float],
    gradient: Callable[[Array], Array],
    start: Point,
    direction: Array,
    cost_before: float,
    *,
    c1: float,
    c2: float,
) -> float | None:
    """Step along `direction` that fulfils the strong Wolfe conditions, or None if none is found.

    By the two searches that SciPy's BFGS tries in turn: Moré and Thuente 1994, "Line search algorithms with guaranteed
    sufficient decrease"; algorithms 3.5 and 3.6 of Nocedal and Wright 2006. The length of the first step tried comes
    from the last decrease, from `cost_before` to the cost at `start`.
    """
    arguments = cost, gradient, start.theta, direction, start.gradient, start.cost, cost_before
    if more_thuente is not None:
        step: float | None = more_thuente(*arguments, c1=c1, c2=c2, amin=SHORTEST_STEP, amax=LONGEST_STEP)[0]
        if step is not None:
            return step
    with warnings.catch_warnings():
        # It warns where it finds none, which the None says too. The warning's class is in the private module.
        warnings.filterwarnings("ignore", ".*line search", RuntimeWarning)
        return cast(float | None, _optimize.line_search(*arguments, c1=c1, c2=c2, amax=LONGEST_STEP)[0])


def norm(v: Array) -> float:
    """Euclidean norm, which neither overflows nor underflows on the way (BLAS's nrm2)."""
    return cast(float, _linalg.norm(v))


def symmetric_product(a: Array, x: Array) -> Array:
    """``a @ x`` for a symmetric `a` of which only the upper triangle is read."""
    return _symv(1.0, a, x)


def add_symmetric_rank_two(a: Array, x: Array, y: Array) -> Array:
    """``a += x y' + y x'`` in the upper triangle, in place if `a` is column-major."""
    return _syr2(1.0, x, y, a=a, overwrite_a=1)


def eigh_tridiagonal(diagonal: Sequence[float], off_diagonal: Sequence[float]) -> tuple[Array, Array]:
    """Eigenvalues in ascending order, and eigenvectors in the columns, of a symmetric tridiagonal matrix."""
    return cast(tuple[Array, Array], _linalg.eigh_tridiagonal(diagonal, off_diagonal))


def root(fun: Callable[[float], float], low: float, high: float) -> float:
    """Root of `fun` between two points of opposite sign, to the last digit (Brent's method)."""
    return float(_optimize.brentq(fun, low, high, xtol=1e-300, maxiter=500))
