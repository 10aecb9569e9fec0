"""Functions with known minima, and a way to run any method on them that counts the true calls."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import rosen, rosen_der, rosen_hess_prod

from nnexp.optim import METHODS, Iterate, OptimizeResult, minimize


@dataclass(frozen=True)
class Problem:
    name: str
    fun: Callable
    hessp: Callable
    theta0: np.ndarray
    minimizer: np.ndarray | None
    minimum: float
    gradient_descent_step: float
    batch: Callable | None = None
    n_samples: int | None = None

    def __repr__(self) -> str:
        return self.name


def _quadratic() -> Problem:
    scales, centre = np.array([1.0, 4.0, 9.0, 25.0]), np.array([0.5, -1.0, 2.0, 0.25])

    def fun(theta):
        return 0.5 * (theta - centre) @ (scales * (theta - centre)) - 3.0, scales * (theta - centre)

    return Problem("quadratic", fun, lambda theta, v: scales * v, np.zeros(4), centre, -3.0, 0.04)


def _rosenbrock() -> Problem:
    def fun(theta):
        return float(rosen(theta)), rosen_der(theta)

    return Problem("rosenbrock", fun, rosen_hess_prod, np.array([-1.2, 1.0]), np.ones(2), 0.0, 1e-3)


def _beale() -> Problem:
    def residuals(theta):
        x, y = theta
        return np.array([1.5, 2.25, 2.625]) - x + x * y ** np.arange(1, 4)

    def jacobian(theta):
        x, y = theta
        powers = np.arange(1, 4)
        return np.stack([-1 + y**powers, x * powers * y ** (powers - 1)], axis=1)

    def fun(theta):
        r = residuals(theta)
        return r @ r, 2 * jacobian(theta).T @ r

    def hessp(theta, v):
        x, y = theta
        r, jac, powers = residuals(theta), jacobian(theta), np.arange(1, 4)
        mixed = r @ (powers * y ** (powers - 1))
        second = r @ (x * powers * (powers - 1) * y ** np.maximum(powers - 2, 0))
        return 2 * (jac.T @ (jac @ v) + np.array([mixed * v[1], mixed * v[0] + second * v[1]]))

    return Problem("beale", fun, hessp, np.array([1.0, 1.0]), np.array([3.0, 0.5]), 0.0, 5e-3)


def _logistic() -> Problem:
    rng = np.random.default_rng(3)
    X, y, ridge = rng.normal(size=(60, 5)), (rng.random(60) < 0.4).astype(float), 0.1

    def on(rows):
        def fun(theta):
            z = X[rows] @ theta
            residual = (1 / (1 + np.exp(-z)) - y[rows]) / len(z)
            cost = np.mean(np.logaddexp(0, z) - y[rows] * z) + 0.5 * ridge * theta @ theta
            return cost, X[rows].T @ residual + ridge * theta

        return fun

    def hessp(theta, v):
        p = 1 / (1 + np.exp(-(X @ theta)))
        return X.T @ (p * (1 - p) * (X @ v)) / len(X) + ridge * v

    fun = on(np.arange(60))
    newton = np.zeros(5)
    for _ in range(20):
        hessian = np.stack([hessp(newton, e) for e in np.eye(5)])
        newton = newton - np.linalg.solve(hessian, fun(newton)[1])
    return Problem(
        "logistic",
        fun,
        hessp,
        np.full(5, 0.7),
        newton,
        fun(newton)[0],
        1.0,
        lambda theta, indices: on(indices)(theta),
        60,
    )


PROBLEMS = [_quadratic(), _rosenbrock(), _beale(), _logistic()]
QUADRATIC, ROSENBROCK, BEALE, LOGISTIC = PROBLEMS


def options_for(method: str, problem: Problem) -> dict:
    """Steps with which the methods of fixed steps get along on the problem."""
    step = problem.gradient_descent_step
    if method == "GD":
        return {"learning_rate": step}
    if method == "SGD":
        return {"learning_rate": step / 4, "batch_size": None if problem.batch is None else 8}
    if method == "Adam":
        return {"learning_rate": 0.02, "batch_size": None if problem.batch is None else 8}
    return {}


@dataclass
class Run:
    """One run with the costs of all its calls and the iterates reported."""

    result: OptimizeResult | None = None
    costs: list[float] = field(default_factory=list)
    n_products: int = 0
    n_batches: int = 0
    iterates: list[Iterate] = field(default_factory=list)

    @property
    def went_uphill(self) -> bool:
        return bool((np.diff([iterate.cost for iterate in self.iterates]) > 0).any())


def run(
    method: str, problem: Problem, *, maxiter=10_000, maxfun=10_000, options=None, callback=None, before=None
) -> Run:
    """Minimize; `before(n)` is called before the n-th call of fun or hessp."""
    record = Run()

    def called():
        if before is not None:
            before(len(record.costs) + record.n_products)

    def fun(theta):
        record.costs.append(np.nan)
        called()
        cost, gradient = problem.fun(theta)
        record.costs[-1] = cost
        return cost, gradient

    def hessp(theta, v):
        record.n_products += 1
        called()
        return problem.hessp(theta, v)

    def batch(theta, indices):
        record.n_batches += 1
        assert problem.batch is not None
        return problem.batch(theta, indices)

    def listen(iterate):
        record.iterates.append(iterate)
        if callback is not None:
            callback(iterate)

    record.result = minimize(
        fun,
        problem.theta0,
        method=method,
        maxiter=maxiter,
        maxfun=maxfun,
        options=options_for(method, problem) if options is None else options,
        hessp=hessp if METHODS[method].needs_hessp else None,
        batch=batch,
        n_samples=problem.n_samples,
        rng=np.random.default_rng(0),
        callback=listen,
    )
    return record
