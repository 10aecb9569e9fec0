"""The methods of `scipy.optimize.minimize`, within our budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from nnexp.arrays import Array
from nnexp.optim.evaluations import Ending, Evaluations, HessianProduct
from nnexp.optim.from_scipy import ScipyResult, minimize
from nnexp.optim.options import C1, C2, GTOL, NORM, integer, real

# SciPy's limits on iterations and evaluations, out of the way of ours.
NEVER = 2**31 - 1
TNC_MAXFUN = 3  # the status with which TNC ends at its own budget
# Power of epsilon that TNC's differences of gradients take as step in float32. The square root balances the errors of a
# gradient that is known to epsilon; ours, a sum over all samples, is known better. Measured on ex4 and digits, 200
# evaluations: the cost ends 0 to 10 % above float64's, with the square root (3.5e-4) 5 to 24 %.
TNC_STEP = 0.75


@dataclass(frozen=True)
class TncOptions:
    """Options of TNC, by SciPy's names and with its defaults."""

    maxCGit: int = integer(-1, "[-1, inf)", "Hessian-vector products an iteration; -1: max(1, min(50, n/2))")  # noqa: N815
    eta: float = real(-1.0, "[-1, 1]", "severity of the line search; below 0: 0.25")
    stepmx: float = real(0.0, "[0, inf)", "longest step of a line search; 0: 10")
    accuracy: float = real(0.0, "[0, inf)", "relative step of the finite differences; 0: 1.5e-8, in float32 6.4e-6")
    minfev: float = real(0.0, "(-inf, inf)", "estimate of the minimum, by which the first step is scaled")
    ftol: float = real(-1.0, "[-1, inf)", "converged when the cost changes less; below 0: 0")
    xtol: float = real(
        -1.0, "[-1, inf)", "converged when the scaled theta changes less; below 0: sqrt of the machine's"
    )
    gtol: float = real(-1.0, "[-1, inf)", "converged at a smaller projected gradient; below 0: 0.01 sqrt(accuracy)")
    rescale: float = real(-1.0, "[-1, inf)", "log10 of the factor that triggers a rescaling of the cost; below 0: 1.3")


@dataclass(frozen=True)
class LbfgsbOptions:
    """Options of L-BFGS-B, by SciPy's names and with its defaults."""

    maxcor: int = integer(10, "[1, inf)", "pairs of changes kept to model the Hessian")
    ftol: float = real(2.2204460492503131e-09, "[0, inf)", "converged at a smaller relative decrease of the cost")
    gtol: float = real(*GTOL)
    maxls: int = integer(20, "[1, inf)", "steps of one line search")


@dataclass(frozen=True)
class CgOptions:
    """Options of CG, by SciPy's names and with its defaults."""

    gtol: float = real(*GTOL)
    norm: float = real(*NORM)
    c1: float = real(*C1)
    c2: float = real(0.4, *C2)


@dataclass(frozen=True)
class NewtonCgOptions:
    """Options of Newton-CG, by SciPy's names and with its defaults."""

    xtol: float = real(1e-5, "[0, inf)", "converged when theta changes less, on average over its entries")
    c1: float = real(*C1)
    c2: float = real(0.9, *C2)


def solve_tnc(run: Evaluations, theta0: Array, options: TncOptions) -> Ending:
    """Minimize by truncated Newton: Nash 1984, "Newton-type minimization via the Lanczos method"."""
    # Stopped from outside it would throw away the direction that it has half built; by itself it searches along it.
    budget = {"maxfun": run.n_left + 1}  # theta0, which it counts, was evaluated before
    if not options.accuracy and run.dtype != np.float64:  # its own default is for float64
        options = replace(options, accuracy=float(np.finfo(run.dtype).eps) ** TNC_STEP)
    result = _minimize(run, theta0, "TNC", asdict(options) | budget)
    if result.status == TNC_MAXFUN:
        run.end_evaluations()
    return _ending(result)


def solve_lbfgsb(run: Evaluations, theta0: Array, options: LbfgsbOptions) -> Ending:
    """Minimize by limited-memory BFGS: Byrd, Lu, Nocedal and Zhu 1995."""
    return _ending(_minimize(run, theta0, "L-BFGS-B", asdict(options) | {"maxfun": NEVER, "maxiter": NEVER}))


def solve_cg(run: Evaluations, theta0: Array, options: CgOptions) -> Ending:
    """Minimize by conjugate gradients, Polak and Ribiere's variant: Nocedal and Wright 2006, p. 120 to 122."""
    return _ending(_minimize(run, theta0, "CG", asdict(options) | {"maxiter": NEVER}))


def solve_newton_cg(run: Evaluations, theta0: Array, options: NewtonCgOptions) -> Ending:
    """Minimize by truncated Newton with a line search: Nocedal and Wright 2006, algorithm 7.1."""
    return _ending(_minimize(run, theta0, "Newton-CG", asdict(options) | {"maxiter": NEVER}, _products(run)))


def _minimize(
    run: Evaluations, theta0: Array, method: str, options: Mapping[str, object], hessp: HessianProduct | None = None
) -> ScipyResult:
    return minimize(run.cost, theta0, method, run.gradient, hessp, run.iterated, options)


def _ending(result: ScipyResult) -> Ending:
    return Ending(result.x, result.success, result.message)


def _products(run: Evaluations) -> HessianProduct:
    """Make products for Newton-CG that end its inner iteration while an evaluation is left for the direction it has.

    SciPy takes the direction so far when it meets no curvature.
    """
    at: Array | None = None

    def hessp(theta: Array, v: Array) -> Array:
        nonlocal at
        is_first = at is None or not np.array_equal(theta, at)
        at = theta.copy()
        return run.hessp(theta, v) if is_first or run.n_left > 1 else np.zeros_like(v)

    return hessp
