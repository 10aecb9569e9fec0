"""Time per FLOP against PyTorch for larger problems, one thread, and its figure."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import machine, peers, problem
from benchmarks.measure import Line, alternate, left_out

TITLE = "Larger work: time a FLOP against PyTorch, one thread"
HIDDEN = (25, 50, 100, 200, 400, 1000)
SAMPLES = (5_000, 60_000)


def measure(quick: bool) -> list[dict]:
    """Times of both libraries for each size."""
    dataset, points = problem.data(), []
    for n in SAMPLES[:1] if quick else SAMPLES:
        rows = np.arange(n) % len(dataset.y)
        for dtype in ("float64", "float32"):
            X, Y = dataset.X[rows].astype(dtype), dataset.Y[rows]
            for hidden in HIDDEN[:1] if quick else HIDDEN:
                layers = (400, hidden, 10)
                arguments = problem.theta0(layers), layers, X, Y, problem.L2
                calls = {"nnexp": peers.ours(*arguments), "torch": peers.torch_autograd(*arguments)}
                calls["gemm"] = machine.gemm_call(dtype)
                times = alternate(calls, 0.1 if quick else 0.4, least=2)
                share = problem.flop(n, layers) / times["nnexp"] / (2 * 1000**3 / times["gemm"])
                points.append({"n": n, "dtype": dtype, "hidden": hidden, "peak_share": share, **times})
    return points


def draw(points: list[dict], path: str) -> None:
    """The figure of the documentation: time per FLOP over the width, against gemm and against PyTorch."""
    from nnexp.figures.colors import PART_COLORS
    from nnexp.figures.style import new_figure, styled

    @styled
    def drawn():
        figure = new_figure(8.6, 3.5)
        left, right = (figure.add_axes((x, 0.15, 0.39, 0.73)) for x in (0.075, 0.565))
        for dtype, color in zip(("float64", "float32"), PART_COLORS.values(), strict=False):
            for n, line in zip(SAMPLES, ("-", "--"), strict=True):
                mine = [point for point in points if (point["n"], point["dtype"]) == (n, dtype)]
                hidden = [point["hidden"] for point in mine]
                look = {"color": color, "linestyle": line, "marker": "o", "markersize": 4}
                left.plot(hidden, [point["nnexp"] / point["torch"] for point in mine], **look)
                label = f"{n:,} samples, {dtype}"
                right.plot(hidden, [100 * point["peak_share"] for point in mine], label=label, **look)
        left.axhline(1, color="gray", linewidth=0.8)
        left.set(title="Time a FLOP, nnexp / PyTorch's autograd", ylabel="ratio, less is faster", ylim=(0, 1.05))
        right.set(title="Share of the rate of a plain matrix product", ylabel="%", ylim=(0, 105))
        right.legend(loc="lower right")
        for axes in (left, right):
            axes.set(xscale="log", xlabel="hidden units")
            axes.set_xticks(HIDDEN, [str(hidden) for hidden in HIDDEN], minor=False)
            axes.minorticks_off()
            axes.grid(visible=True)
        figure.savefig(path, dpi=110)

    drawn()


def run(quick: bool, figure: str | None = None) -> list[Line]:
    with threadpool_limits(1):
        try:
            points = measure(quick)
        except ImportError:
            return [left_out(TITLE, "PyTorch is not installed (pip install 'nnexp[bench]')")]
    if figure:
        draw(points, figure)
    return [
        Line(
            f"{p['n']:,} samples, H = {p['hidden']}, {p['dtype']}",
            p["nnexp"] / p["torch"],
            at_most=1.0,
            note=f"{p['nnexp'] * 1e3:.1f} ms against {p['torch'] * 1e3:.1f} ms; {100 * p['peak_share']:.0f} % of gemm",
        )
        for p in points
    ]
