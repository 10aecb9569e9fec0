"""The BLAS libraries of this process and their threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
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

    The pools are the process's. Fits in several threads hold them together, and the last one gives them back: given
    back by the first, the others would go on with other numbers of threads, and so with other last digits.
    """
    with _lock:
        held = _together.get(threads)
        if held is None:
            held = _together[threads] = _Held(_limited(threads))
        held.users += 1
    try:
        yield
    finally:
        with _lock:
            held.users -= 1
            if not held.users:
                del _together[threads]
                held.limits.close()


@dataclass
class _Held:
    """Limits of the pools, and how many hold them."""

    limits: ExitStack
    users: int = 0


_lock = threading.Lock()
_together: dict[int, _Held] = {}  # by the number of threads


def _limited(threads: int) -> ExitStack:
    import_module("scipy.linalg")  # loads SciPy's BLAS, which would come with the threads of its default later
    controller = ThreadpoolController()
    scipys = [lib.filepath for lib in controller.lib_controllers if is_scipys(lib.filepath)]
    limits = ExitStack()
    _take_control(controller)
    limits.enter_context(controller.limit(limits=threads))
    limits.enter_context(controller.select(filepath=scipys).limit(limits=1))
    limits.callback(_take_control, controller)  # which is done first: the one who ends it may be another thread
    return limits


def _take_control(controller: ThreadpoolController) -> None:
    """Let this thread set the pools: threadpoolctl leaves them to one thread, and ignores what others ask for."""
    for library in controller.lib_controllers:
        clear = getattr(library, "clear_controlling_thread", None)  # since 3.8
        if clear is not None:
            clear(force=True)
