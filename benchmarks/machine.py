"""Describes the machine on which a result was measured, and its rate of matrix products, the upper bound."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib import metadata

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

SIZE = 2000
PACKAGES = ("numpy", "scipy", "scikit-learn", "hydra-core", "mlflow", "matplotlib", "torch", "jax")


def cpu() -> str:
    """The processor's name."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        return names[0] if names else platform.processor()
    except OSError:
        return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Versions of Python and of the measured packages."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def gemm_rate(dtype: str, threads: int, repeats: int = 7) -> float:
    """The best rate of a square matrix product, in FLOP/s: the upper bound for an evaluation."""
    a = np.random.default_rng(0).random((SIZE, SIZE)).astype(dtype)
    out = np.empty_like(a)
    with threadpool_limits(threads):
        np.matmul(a, a, out=out)
        best = np.inf
        for _ in range(repeats):
            begin = time.perf_counter()
            np.matmul(a, a, out=out)
            best = min(best, time.perf_counter() - begin)
    return 2 * SIZE**3 / best


def gemm_call(dtype: str, size: int = 1000) -> Callable[[], float]:
    """A square product that takes turns with the programs, so that a busy machine slows it equally."""
    a = np.random.default_rng(0).random((size, size)).astype(dtype)
    out = np.empty_like(a)
    return lambda: np.matmul(a, a, out=out)[0, 0]


def describe() -> dict[str, object]:
    """Everything that a table of results should state about the machine."""
    blas = sorted({str(info.get("architecture")) for info in threadpool_info() if info["user_api"] == "blas"})
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "blas_kernels": ", ".join(blas),
        "versions": versions(),
        "load": os.getloadavg()[0],
        "gflops": {
            f"{kind} {n}": round(gemm_rate(kind, n) / 1e9, 1) for kind in ("float64", "float32") for n in (1, 2)
        },
    }
