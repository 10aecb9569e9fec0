# pyright: reportMissingTypeStubs=false
"""The BLAS libraries of NumPy and SciPy: which kernels they use, and SciPy's gemm without its wrapper.

SciPy's wrapper of gemm holds the interpreter's lock; called as here, other threads run meanwhile.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import byref, c_char, c_int, c_void_p
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import threadpoolctl

from nnexp.arrays import Floats, FloatType

# Pointers to gemm are part of SciPy's documented interface for Cython, where they stand in capsules named by their
# signature. A BLAS with 64-bit integers has other arguments: called with these it would read beyond them.
GEMM_ARGUMENTS = b"void (char *, char *, int *, int *, int *, "
SMALL_KERNELS = {"SkylakeX", "Cooperlake", "SapphireRapids"}


@cache
def has_small_kernels() -> bool:
    """Whether the wheels of NumPy and SciPy brought an OpenBLAS each that uses small kernels on this processor."""
    libraries = cast(list[dict[str, Any]], cast(Any, threadpoolctl).threadpool_info())
    wheels = {"numpy.libs", "scipy.libs"}
    kernels = [library.get("architecture") for library in libraries if Path(library["filepath"]).parent.name in wheels]
    return len(kernels) == 2 and SMALL_KERNELS.issuperset(kernels) and has_gemm()


def has_gemm() -> bool:
    """Whether SciPy's gemm can be called without its wrapper."""
    return all(_gemm(np.dtype(kind)) is not None for kind in (np.float64, np.float32))


@cache
def _gemm(dtype: FloatType) -> Callable[..., None] | None:
    """Look up the function for this dtype; None if it takes other arguments than expected."""
    capsules = import_module("scipy.linalg.cython_blas").__pyx_capi__
    capsule = capsules["dgemm" if dtype == np.float64 else "sgemm"]
    get_name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
    signature = get_name(capsule)
    if not signature.startswith(GEMM_ARGUMENTS):
        return None
    prototype = ctypes.PYFUNCTYPE(c_void_p, ctypes.py_object, ctypes.c_char_p)
    get_pointer = prototype(("PyCapsule_GetPointer", ctypes.pythonapi))
    return ctypes.CFUNCTYPE(None)(get_pointer(capsule, signature))


class SlicedProduct:
    """``total += left @ right`` for a fixed `right`, summed over slices of so many of its rows.

    Parameters
    ----------
    right : ndarray of shape (n, n_columns), float64 or float32, row-major
    n_rows : int
        Rows of `left`.
    width : int
        Rows of `right` in a slice.
    """

    def __init__(self, right: Floats, n_rows: int, width: int) -> None:
        n, n_columns = right.shape
        self.gemm: Any = _gemm(right.dtype)
        self.right, self.step = right, width * right.itemsize  # kept: gemm is given addresses only
        self.one = byref((ctypes.c_double if right.dtype == np.float64 else ctypes.c_float)(1))
        self.as_is, self.rows, self.columns = byref(c_char(b"N")), byref(c_int(n_rows)), byref(c_int(n_columns))
        starts = range(0, n, width)
        self.slices = [(c_void_p(right[i:].ctypes.data), byref(c_int(min(width, n - i)))) for i in starts]

    def add_to(self, total: Floats, left: Floats) -> None:
        """Add the product with `left` (n_rows, n), contiguous along its rows, to `total` (n_rows, n_columns)."""
        gemm, as_is, rows, columns, one = self.gemm, self.as_is, self.rows, self.columns, self.one
        left_start, stride = left.ctypes.data, byref(c_int(left.strides[0] // left.itemsize))
        total_start = c_void_p(total.ctypes.data)
        for i, (right_slice, n) in enumerate(self.slices):
            left_slice = c_void_p(left_start + i * self.step)
            # (n_rows, width) @ (width, n_columns) -> (n_rows, n_columns). To gemm, which is column-major, the memory
            # of each is its transpose, so: total.T += right.T @ left.T.
            gemm(
                as_is, as_is, columns, rows, n, one, right_slice, columns, left_slice, stride, one, total_start, columns
            )
