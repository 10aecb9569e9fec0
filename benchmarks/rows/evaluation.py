"""One evaluation of cost and gradient on one thread."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import machine, peers, problem
from benchmarks.measure import Line, alternate, left_out

TITLE = "Evaluation of cost and gradient, 5,000 x 400-25-10, one thread"
TARGETS = {"float64": 0.9, "float32": 0.85}
SLOWER = {"scikit-learn": peers.sklearn_mlp, "vectorised notebook": peers.notebook_vectorised}


def contenders(dtype: str, X, Y, *, with_loop: bool) -> tuple[dict[str, peers.Call], list[Line]]:
    """The installed libraries, and lines for missing ones; all must agree on the cost, or the work is not the same."""
    arguments = problem.theta0(), problem.LAYERS, X, Y, problem.L2
    calls = {"nnexp": peers.ours(*arguments)}
    missing = []
    for name, make in {"PyTorch": peers.torch_autograd, "JAX": peers.jax_jit, **SLOWER}.items():
        try:
            with peers.OneCore():
                calls[name] = make(*arguments)
        except ImportError:
            missing.append(left_out(f"{dtype}: against {name}", "not installed (pip install 'nnexp[bench]')"))
    if with_loop:
        calls["notebook's loop"] = peers.notebook_loop(*arguments)
    costs = {name: call() for name, call in calls.items()}
    np.testing.assert_allclose(list(costs.values()), costs["nnexp"], rtol=1e-8 if dtype == "float64" else 1e-4)
    return calls, missing


def run(quick: bool) -> list[Line]:
    dataset, lines = problem.data(), []
    with threadpool_limits(1):
        for dtype, target in TARGETS.items():
            X = dataset.X.astype(dtype)
            calls, missing = contenders(dtype, X, dataset.Y, with_loop=dtype == "float64")
            times = alternate(calls | {"gemm": machine.gemm_call(dtype)}, 0.2 if quick else 2.0)
            own = times.pop("nnexp")
            share = problem.flop(len(X)) / own / (2 * 1000**3 / times.pop("gemm"))
            lines.append(
                Line(
                    f"{dtype}: share of gemm's rate",
                    100 * share,
                    "%",
                    note=f"{own * 1e3:.2f} ms; a product of 1,000 x 1,000",
                )
            )
            for name, theirs in times.items():
                note = f"{own * 1e3:.2f} ms against {theirs * 1e3:.2f} ms"
                if name == "notebook's loop":
                    lines.append(Line(f"{dtype}: times faster than the {name}", theirs / own, at_least=50, note=note))
                else:
                    bound = target if name == "PyTorch" else 1.0
                    lines.append(Line(f"{dtype}: time against {name}", own / theirs, at_most=bound, note=note))
            lines += missing
    return lines
