"""The methods of `scipy.optimize.minimize`, run without SciPy's own budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import scipy.optimize
from scipy.optimize import _trustregion_krylov

from nnexp.optim.evaluations import Ending, Evaluations
from nnexp.optim.krylov import KrylovSubproblem
from nnexp.optim.options import C1, GTOL, NORM, boolean, integer, real

# SciPy's limits on iterations and evaluations, out of the way of ours; TNC keeps its limit in a C int.
NEVER = 2**31 - 1

TRUST_REGION = {
    "initial_trust_radius": real(1.0, "(0, inf)", "radius of the first trust region"),
    "max_trust_radius": real(1000.0, "(0, inf)", "longest step ever proposed"),
    "eta": real(0.15, "[0, 0.25)", "share of the predicted decrease a step must bring to be taken"),
    "gtol": real(1e-4, "[0, inf)", "converged when the gradient's Euclidean norm is smaller"),
}
OPTIONS = {
    "TNC": {
        "maxCGit": integer(-1, "[-1, inf)", "Hessian-vector products an iteration; -1: max(1, min(50, n/2))"),
        "eta": real(-1.0, "[-1, 1]", "severity of the line search; below 0: 0.25"),
        "stepmx": real(0.0, "[0, inf)", "longest step of a line search; 0: 10"),
        "accuracy": real(0.0, "[0, inf)", "relative precision of the finite differences; 0: sqrt of the machine's"),
        "minfev": real(0.0, "(-inf, inf)", "estimate of the minimum, by which the first step is scaled"),
        "ftol": real(-1.0, "[-1, inf)", "converged when the cost changes less; below 0: 0"),
        "xtol": real(-1.0, "[-1, inf)", "converged when the scaled theta changes less; below 0: sqrt of the machine's"),
        "gtol": real(-1.0, "[-1, inf)", "converged at a smaller projected gradient; below 0: 0.01 sqrt(accuracy)"),
        "rescale": real(-1.0, "[-1, inf)", "log10 of the factor that triggers a rescaling of the cost; below 0: 1.3"),
    },
    "L-BFGS-B": {
        "maxcor": integer(10, "[1, inf)", "pairs of changes kept to model the Hessian"),
        "ftol": real(2.2204460492503131e-09, "[0, inf)", "converged at a smaller relative decrease of the cost"),
        "gtol": GTOL,
        "maxls": integer(20, "[1, inf)", "steps of one line search"),
    },
    "CG": {"gtol": GTOL, "norm": NORM, "c1": C1, "c2": real(0.4, "(0, 1)", "curvature asked of a step (Wolfe)")},
    "Newton-CG": {
        "xtol": real(1e-5, "[0, inf)", "converged when theta changes less, on average over its entries"),
        "c1": C1,
        "c2": real(0.9, "(0, 1)", "curvature asked of a step (Wolfe)"),
    },
    "trust-ncg": TRUST_REGION,
    "trust-krylov": TRUST_REGION | {"inexact": boolean(True, "solve subproblems roughly: fewer products a step")},
}


def solve(run: Evaluations, theta0: np.ndarray, options: dict, *, method: str, hessp: bool = False) -> Ending:
    """Minimize by SciPy's `method`.

    TNC: Nash 1984, "Newton-type minimization via the Lanczos method". L-BFGS-B: Byrd, Lu, Nocedal and Zhu 1995. CG:
    Polak and Ribiere's variant, Nocedal and Wright 2006, p. 120 to 122. Newton-CG: ibid., algorithm 7.1. trust-ncg:
    ibid., algorithm 7.2 (Steihaug). trust-krylov: Gould, Lucidi, Roma and Toint 1999 (GLTR).
    """
    budgets = {"TNC": ["maxfun"], "L-BFGS-B": ["maxfun", "maxiter"]}.get(method, ["maxiter"])
    with _repeatable() if method == "trust-krylov" else nullcontext():
        result = scipy.optimize.minimize(
            run.cost,
            theta0,
            method=method,
            jac=run.gradient,
            hessp=run.hessp if hessp else None,
            callback=run.iterated,
            options=options | dict.fromkeys(budgets, NEVER),
        )
    return Ending(result.x, bool(result.success), str(result.message))


def _krylov_subproblem(tol_rel_i: float, **_: Any) -> Callable[..., KrylovSubproblem]:
    return lambda *args: KrylovSubproblem(*args, inexact=tol_rel_i < 0)


@contextmanager
def _repeatable() -> Iterator[None]:
    """Let SciPy's trust-krylov use our subproblem."""
    before = _trustregion_krylov.get_trlib_quadratic_subproblem
    _trustregion_krylov.get_trlib_quadratic_subproblem = _krylov_subproblem
    try:
        yield
    finally:
        _trustregion_krylov.get_trlib_quadratic_subproblem = before
