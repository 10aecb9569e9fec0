"""One evaluation with two threads: the gain of a single run from `training.threads=2`."""

from __future__ import annotations

from threadpoolctl import threadpool_limits

from benchmarks import peers, problem
from benchmarks.measure import Line, alternate, left_out

TITLE = "Evaluation with `training.threads=2`, 5,000 x 400-25-10"


def run(quick: bool) -> list[Line]:
    dataset, lines = problem.data(), []
    for dtype in ("float64", "float32"):
        arguments = problem.theta0(), problem.LAYERS, dataset.X.astype(dtype), dataset.Y, problem.L2
        with threadpool_limits(1):
            calls = {"one thread": peers.ours(*arguments), "nnexp": peers.ours(*arguments, threads=2)}
            for name, make in {
                "PyTorch": lambda *a: peers.torch_autograd(*a, threads=2),
                "JAX": peers.jax_jit,
            }.items():
                try:
                    calls[name] = make(*arguments)
                except ImportError:
                    lines.append(left_out(f"{dtype}: against {name}", "not installed (pip install 'nnexp[bench]')"))
            times = alternate(calls, 0.2 if quick else 2.0)
        own = times.pop("nnexp")
        for name, theirs in times.items():
            note = f"{own * 1e3:.2f} ms against {theirs * 1e3:.2f} ms"
            bound = None if name == "one thread" else 1.0
            lines.append(Line(f"{dtype}: time against {name}", own / theirs, at_most=bound, note=note))
    return lines
