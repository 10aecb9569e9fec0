"""Training to 400 evaluations from the same start, each method against the way it is usually called."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import notebook, problem
from benchmarks.measure import Line, left_out, median
from nnexp.nn import unpack
from nnexp.optim import METHODS
from nnexp.tasks.network.training import fit

TITLE = "Training to 400 evaluations, default settings on all cores"
METHODS_OF_SCRIPTS = ("TNC", "L-BFGS-B", "CG", "Newton-CG", "trust-ncg", "trust-krylov", "GD", "SGD", "Adam")
ROUNDS, LONG = 2, 4.0  # a contender that takes longer than LONG seconds is not repeated
SAME_COST = 1.01  # equal methods diverge by rounding; their final costs agree within a percent

Trained = tuple[float, float]  # seconds, cost


class _EnoughError(Exception):
    pass


class Counted:
    """The vectorised notebook code, stopped after so many evaluations; keeps the lowest cost."""

    def __init__(self, X, Y, budget: int) -> None:
        self.X, self.Y, self.budget, self.n, self.best = X, Y, budget, 0, np.inf

    def __call__(self, theta):
        if self.n >= self.budget:
            raise _EnoughError
        self.n += 1
        cost, gradient = notebook.vectorised(theta, problem.LAYERS, self.X, self.Y, problem.L2)
        self.best = min(self.best, cost)
        return cost, gradient

    def hessp(self, theta, v):
        """Difference of gradients: how a script without second derivatives does it."""
        step = 1e-5 / max(float(np.linalg.norm(v)), 1e-12)
        return (self(theta + step * v)[1] - self(theta - step * v)[1]) / (2 * step)


def by_scipy(method: str, train, budget: int) -> Trained:
    """`scipy.optimize.minimize(fun, theta, jac=True)` in a script, SciPy's and NumPy's threads at their defaults."""
    from scipy.optimize import minimize

    fun = Counted(train.X, train.Y, budget)
    extra = {"hessp": fun.hessp} if method.startswith("trust") else {}
    options = {"maxfun": budget} if method in ("TNC", "L-BFGS-B") else {"maxiter": budget}
    if method == "L-BFGS-B":
        options["maxiter"] = budget
    begin = time.perf_counter()
    try:
        minimize(fun, problem.theta0(), jac=True, method=method, options=options, **extra)
    except _EnoughError:
        pass
    return time.perf_counter() - begin, fun.best


def by_descent(train, budget: int) -> Trained:
    """Gradient descent in a loop, the step of our default."""
    fun, theta = Counted(train.X, train.Y, budget), problem.theta0()
    begin = time.perf_counter()
    for _ in range(budget - 1):
        _, gradient = fun(theta)
        theta = theta - gradient
    return time.perf_counter() - begin, fun.best


def _torch_model(train):
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(400, 25), torch.nn.Sigmoid(), torch.nn.Linear(25, 10)).double()
    weights, biases = unpack(problem.theta0(), problem.LAYERS)
    with torch.no_grad():
        for layer, weight, bias in zip((model[0], model[2]), weights, biases, strict=True):
            layer.weight.copy_(torch.tensor(weight))
            layer.bias.copy_(torch.tensor(bias))
    x, y = torch.from_numpy(train.X.copy()), torch.from_numpy(train.Y.copy())

    def cost(rows: Any = slice(None)):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x[rows]), y[rows], reduction="sum")
        penalty = sum((p**2).sum() for name, p in model.named_parameters() if name.endswith("weight"))
        return loss / len(x[rows]) + problem.L2 / (2 * len(x)) * penalty

    return model, cost


def by_torch_lbfgs(train, budget: int) -> Trained:
    """`torch.optim.LBFGS` with its line search."""
    import torch

    model, cost = _torch_model(train)
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=budget, max_eval=budget, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        value = cost()
        value.backward()
        return value

    begin = time.perf_counter()
    optimizer.step(closure)
    return time.perf_counter() - begin, float(cost().detach())


def by_torch_batches(method: str, train, budget: int) -> Trained:
    """`torch.optim` on mini-batches of 32, for as many epochs as nnexp: an evaluation each, and one for the start."""
    import torch

    model, cost = _torch_model(train)
    kind = {"SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), "Adam": lambda p: torch.optim.Adam(p, lr=0.003)}
    optimizer, n = kind[method](model.parameters()), len(train.y)
    best = np.inf
    begin = time.perf_counter()
    for _ in range(budget - 1):
        for rows in torch.randperm(n).split(32):
            optimizer.zero_grad()
            cost(rows).backward()
            optimizer.step()
        best = min(best, float(cost().detach()))  # nnexp also evaluates all samples at the end of each epoch
    return time.perf_counter() - begin, best


def by_sklearn(train, budget: int) -> Trained:
    """`MLPClassifier(solver="lbfgs")` on one-hot labels, which has the same objective as nnexp."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        (25,), "logistic", solver="lbfgs", alpha=problem.L2, max_iter=budget, max_fun=budget, tol=1e-8, random_state=0
    )
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(train.X, train.Y.astype(int))
    return time.perf_counter() - begin, float(model.loss_)


def by_us(method: str, budget: int) -> Trained:
    """The fit of a run: with its history, its check of the gradient and the test part evaluated each iteration."""
    begin = time.perf_counter()
    result = fit(problem.split(), hidden_sizes=[25], method=method, maxiter=budget, maxfun=budget)
    return time.perf_counter() - begin, result.cost


def contenders(method: str, train, budget: int) -> dict[str, Callable[[], Trained]]:
    """The other programs that train by this method."""
    if method == "GD":
        return {"a script": lambda: by_descent(train, budget)}
    if method in ("SGD", "Adam"):
        return {f"torch.optim.{method}": lambda: by_torch_batches(method, train, budget)}
    others: dict[str, Callable[[], Trained]] = {"a script": lambda: by_scipy(method, train, budget)}
    if method == "L-BFGS-B":
        others |= {
            "MLPClassifier": lambda: by_sklearn(train, budget),
            "torch.optim.LBFGS": lambda: by_torch_lbfgs(train, budget),
        }
    return others


def take_turns(calls: dict[str, Callable[[], Trained]], rounds: int) -> dict[str, list[Trained]]:
    """Results of each program, measured in turns; slow ones have one turn."""
    done: dict[str, list[Trained]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            if not done[name] or done[name][0][0] < LONG:
                done[name].append(call())
    return done


def run(quick: bool) -> list[Line]:
    train, budget, lines = problem.split().train, 12 if quick else 400, []
    assert set(METHODS_OF_SCRIPTS) <= set(METHODS)
    for method in METHODS_OF_SCRIPTS:
        calls: dict[str, Callable[[], Trained]] = {"nnexp": lambda method=method: by_us(method, budget)}
        for name, call in contenders(method, train, budget).items():
            try:
                if "torch" in name:
                    import torch  # noqa: F401
                calls[name] = call
            except ImportError:
                lines.append(left_out(f"{method}: against {name}", "not installed (pip install 'nnexp[bench]')"))
        slow = method in ("SGD", "Adam")
        results = take_turns(calls, 1 if quick or slow else ROUNDS)
        own, own_cost = (median([each[i] for each in results["nnexp"]]) for i in (0, 1))
        for name in [name for name in results if name != "nnexp"]:
            theirs, cost = (median([each[i] for each in results[name]]) for i in (0, 1))
            note = f"{own:.2f} s, cost {own_cost:.4f}, against {theirs:.2f} s, cost {cost:.4f}"
            lines.append(Line(f"{method}: time against {name}", own / theirs, at_most=1.0, note=note))
            lines.append(Line(f"{method}: cost against {name}", own_cost / cost, at_most=SAME_COST))
    return lines
