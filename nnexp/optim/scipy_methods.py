"""The methods of `scipy.optimize.minimize`, within our budgets."""

from __future__ import annotations

import numpy as np
import scipy.optimize

from nnexp.optim.evaluations import Ending, Evaluations, HessianProduct
from nnexp.optim.options import C1, GTOL, NORM, integer, real

# SciPy's limits on iterations and evaluations, out of the way of ours.
NEVER = 2**31 - 1
TNC_MAXFUN = 3  # the status with which TNC ends at its own budget
# Power of epsilon that TNC's differences of gradients take as step in float32. The square root balances the errors of a
# gradient that is known to epsilon; ours, a sum over all samples, is known better. Measured on ex4 and digits, 200
# evaluations: the cost ends 0 to 10 % above float64's, with the square root (3.5e-4) 5 to 24 %.
TNC_STEP = 0.75

OPTIONS = {
    "TNC": {
        "maxCGit": integer(-1, "[-1, inf)", "Hessian-vector products an iteration; -1: max(1, min(50, n/2))"),
        "eta": real(-1.0, "[-1, 1]", "severity of the line search; below 0: 0.25"),
        "stepmx": real(0.0, "[0, inf)", "longest step of a line search; 0: 10"),
        "accuracy": real(0.0, "[0, inf)", "relative step of the finite differences; 0: 1.5e-8, in float32 6.4e-6"),
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
}


def solve(run: Evaluations, theta0: np.ndarray, options: dict, *, method: str) -> Ending:
    """Minimize by SciPy's `method`.

    TNC: Nash 1984, "Newton-type minimization via the Lanczos method". L-BFGS-B: Byrd, Lu, Nocedal and Zhu 1995. CG:
    Polak and Ribiere's variant, Nocedal and Wright 2006, p. 120 to 122. Newton-CG: ibid., algorithm 7.1.
    """
    budgets = dict.fromkeys({"L-BFGS-B": ["maxfun", "maxiter"]}.get(method, ["maxiter"]), NEVER)
    if method == "TNC":
        # Stopped from outside it would throw away the direction that it has half built; by itself it searches along it.
        budgets = {"maxfun": run.n_left + 1}  # theta0, which it counts, was evaluated before
        if not options["accuracy"] and run.dtype != np.float64:  # its own default is for float64
            options = options | {"accuracy": float(np.finfo(run.dtype).eps) ** TNC_STEP}
    result = scipy.optimize.minimize(
        run.cost,
        theta0,
        method=method,
        jac=run.gradient,
        hessp=_products(run) if method == "Newton-CG" else None,
        callback=run.iterated,
        options=options | budgets,
    )
    if method == "TNC" and result.status == TNC_MAXFUN:
        run.end_evaluations()
    return Ending(result.x, bool(result.success), str(result.message))


def _products(run: Evaluations) -> HessianProduct:
    """Make products for Newton-CG that end its inner iteration while an evaluation is left for the direction it has.

    SciPy takes the direction so far when it meets no curvature.
    """
    at: np.ndarray | None = None

    def hessp(theta: np.ndarray, v: np.ndarray) -> np.ndarray:
        nonlocal at
        is_first = at is None or not np.array_equal(theta, at)
        at = theta.copy()
        return run.hessp(theta, v) if is_first or run.n_left > 1 else np.zeros_like(v)

    return hessp
