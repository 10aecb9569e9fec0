"""SciPy's gemm without its wrapper, which holds the interpreter's lock: here other threads run meanwhile."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import byref, c_char, c_int, c_void_p
from functools import cache
from typing import Any

import numpy as np
from scipy.linalg import cython_blas  # pyright: ignore[reportAttributeAccessIssue]  (a compiled module)

_ARGUMENTS = b"void (char *, char *, int *, int *, int *, "  # a BLAS with 64-bit integers has others


@cache
def _gemm(dtype: np.dtype) -> Callable[..., None] | None:
    """Look up the function for this dtype; None if it takes other arguments than expected."""
    capsule = cython_blas.__pyx_capi__["dgemm" if dtype == np.float64 else "sgemm"]
    get_name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
    signature = get_name(capsule)
    if not signature.startswith(_ARGUMENTS):
        return None
    prototype = ctypes.PYFUNCTYPE(c_void_p, ctypes.py_object, ctypes.c_char_p)
    get_pointer = prototype(("PyCapsule_GetPointer", ctypes.pythonapi))
    return ctypes.CFUNCTYPE(None)(get_pointer(capsule, signature))


def has_gemm() -> bool:
    """Whether SciPy's gemm can be called this way."""
    return all(_gemm(np.dtype(kind)) is not None for kind in (np.float64, np.float32))


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

    def __init__(self, right: np.ndarray, n_rows: int, width: int) -> None:
        n, n_columns = right.shape
        self.gemm: Any = _gemm(right.dtype)
        self.right, self.step = right, width * right.itemsize  # kept: gemm is given addresses only
        self.one = byref((ctypes.c_double if right.dtype == np.float64 else ctypes.c_float)(1))
        self.as_is, self.rows, self.columns = byref(c_char(b"N")), byref(c_int(n_rows)), byref(c_int(n_columns))
        starts = range(0, n, width)
        self.slices = [(c_void_p(right[i:].ctypes.data), byref(c_int(min(width, n - i)))) for i in starts]

    def add_to(self, total: np.ndarray, left: np.ndarray) -> None:
        """Add the product with `left` (n_rows, n), contiguous along its rows, to `total` (n_rows, n_columns)."""
        gemm, as_is, rows, columns, one = self.gemm, self.as_is, self.rows, self.columns, self.one
        left_slice, stride = c_void_p(left.ctypes.data), byref(c_int(left.strides[0] // left.itemsize))
        total_start = c_void_p(total.ctypes.data)
        for right_slice, n in self.slices:
            # The transposes are column-major, as gemm wants them: total.T += right.T @ left.T.
            gemm(
                as_is, as_is, columns, rows, n, one, right_slice, columns, left_slice, stride, one, total_start, columns
            )
            left_slice.value += self.step  # pyright: ignore[reportOperatorIssue]
