"""Where the time of one evaluation goes: a stopwatch on its steps while it is made, and what gemm's rate would be."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from unittest import mock

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import machine, problem
from benchmarks.measure import Line, alternate
from nnexp.nn import Objective
from nnexp.nn.engine import passes
from nnexp.nn.engine.products import aligned_copy, input_products

TITLE = "Where the time of an evaluation goes, 5,000 x 400-25-10, one thread"
IN_CACHE = 192  # images that stay in the second-level cache: 0.6 MB in float64
FORWARD, GRADIENT = "product with the images, forward", "product with the images, gradient"
TURNS = 5  # evaluations by the stopwatch between two without it


def steps(objective: Objective) -> dict[str, list[tuple[object, str]]]:
    """The functions of each step, none of which calls another of them."""
    inputs = type(objective._passes[0].inputs)
    packing = [(passes.Sums, name) for name in ("clear", "merge", "gradient")]
    return {
        FORWARD: [(inputs, "forward")],
        GRADIENT: [(inputs, "add_gradient")],
        "products of the other layer": [(passes, "multiply"), (passes.Sums, "add")],
        "tanh of the hidden units": [(passes.Passes, "_activate")],
        "loss: tanh, logarithms and sums of the outputs": [(passes.Passes, "loss")],
        "packing: theta, gradient, penalty": [(passes.FoldedWeights, "load"), (Objective, "penalty"), *packing],
    }


@contextmanager
def stopwatch(functions: dict[str, list[tuple[object, str]]]) -> Iterator[dict[str, float]]:
    """Seconds of the processor that functions take while they are called, by step."""
    spent: dict[str, float] = defaultdict(float)

    def timed(step: str, function: Callable[..., object]) -> Callable[..., object]:
        @wraps(function)
        def call(*args, **kwargs):
            begin = time.thread_time()
            result = function(*args, **kwargs)
            spent[step] += time.thread_time() - begin
            return result

        return call

    with ExitStack() as patches:
        for step, owned in functions.items():
            for owner, name in owned:
                patches.enter_context(mock.patch.object(owner, name, timed(step, getattr(owner, name))))
        yield spent


def cached_products(objective: Objective) -> dict[str, Callable[[], object]]:
    """The two large products, for the same few images again and again."""
    X, weights = aligned_copy(objective._X[:IN_CACHE], objective.dtype), objective._folded.forward[0]
    inputs = input_products(X, len(weights))
    out, total = np.empty((len(weights), len(X)), X.dtype), np.zeros_like(weights)
    deltas = np.ones_like(out)
    times = range(len(objective._X) // IN_CACHE)
    return {
        FORWARD: lambda: [inputs.forward(weights, out=out) for _ in times],
        GRADIENT: lambda: [inputs.add_gradient(deltas, total) for _ in times],
    }


def run(quick: bool) -> list[Line]:
    return [line for dtype in ("float64", "float32") for line in _lines(dtype, 0.1 if quick else 2.0)]


def _lines(dtype: str, seconds: float) -> list[Line]:
    theta, data = problem.theta0(), problem.data()
    objective = Objective(data.X.astype(dtype), data.Y, problem.LAYERS, l2=problem.L2, dtype=dtype)
    parts: list[dict[str, float]] = []  # seconds of an evaluation by step

    def evaluate() -> None:
        with stopwatch(functions) as spent:
            begin = time.thread_time()
            objective(theta)
            parts.append({"evaluation": time.thread_time() - begin, **spent})

    with threadpool_limits(1):
        objective(theta)
        functions, cached = steps(objective), cached_products(objective)
        contenders = {"evaluation": lambda: [evaluate() for _ in range(TURNS)], "gemm": machine.gemm_call(dtype)}
        times = alternate(contenders | cached, seconds, clock=time.thread_time)
    mean = {name: sum(part[name] for part in parts) / len(parts) for name in parts[0]}
    whole, gemm = mean.pop("evaluation"), 2 * 1000**3 / times["gemm"]

    def rate(n_images: int, took: float) -> float:
        return 2.0 * n_images * problem.LAYERS[0] * problem.LAYERS[1] / took / gemm

    lines: list[Line] = []
    for name in functions:
        note = f"{mean[name] * 1e3:.2f} ms"
        if name in cached:
            in_cache = rate(len(data) // IN_CACHE * IN_CACHE, times[name])
            note += f": {rate(len(data), mean[name]):.0%} of gemm's rate; {in_cache:.0%} on images in the cache"
        lines.append(Line(f"{dtype}: {name}", 100 * mean[name] / whole, "%", note=note))
    rest = whole - sum(mean.values())
    lines.append(Line(f"{dtype}: offsets, slopes, Python", 100 * rest / whole, "%", note=f"{rest * 1e3:.2f} ms"))
    at_gemms_rate = problem.flop(len(data)) / gemm
    note = f"{at_gemms_rate * 1e3:.2f} ms of {whole * 1e3:.2f} ms"
    lines.append(Line(f"{dtype}: all products, were they as fast as gemm", 100 * at_gemms_rate / whole, "%", note=note))
    return lines
