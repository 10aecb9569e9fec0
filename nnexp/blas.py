"""The BLAS libraries of this process and their threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from threadpoolctl import ThreadpoolController


def is_scipys(library: str) -> bool:
    """Whether the library at this path came with SciPy; NumPy's wheels bring one of nearly the same file name."""
    folder = Path(library).parent
    return folder.name == "scipy.libs" or (folder.name, folder.parent.name) == (".dylibs", "scipy")


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Give NumPy's BLAS pool `threads` threads and SciPy's own pool one.

    NumPy's and SciPy's wheels each bring an OpenBLAS; with both at their defaults they spin against each other, and
    L-BFGS-B, which calls LAPACK on tiny matrices, becomes several times slower. A fit leaves both at one: its objective
    divides the samples among threads of its own.
    """
    import_module("scipy.linalg")  # loads SciPy's BLAS, which would come with the threads of its default later
    controller = ThreadpoolController()
    scipys = [lib.filepath for lib in controller.lib_controllers if is_scipys(lib.filepath)]
    with controller.limit(limits=threads), controller.select(filepath=scipys).limit(limits=1):
        yield
