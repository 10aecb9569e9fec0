# pyright: reportMissingTypeStubs=false
"""Products of a small matrix with many samples, in arrays of units x samples.

OpenBLAS has kernels for small products, on processors with AVX-512, that skip the packing of their operands. At 5,000
samples, 400 pixels and 25 units they take two thirds of the time of the plain product. They are entered only below
limits that lie in the library's source, so the samples are cut into stacks of narrow slices that stay below them.
SciPy's wrapper of gemm holds the interpreter's lock; called without it, as here, other threads run meanwhile.
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
from numpy.typing import DTypeLike, NDArray

from nnexp.arrays import Floats, FloatType

# Pointers to gemm are part of SciPy's documented interface for Cython, where they stand in capsules named by their
# signature. A BLAS with 64-bit integers has other arguments: called with these it would read beyond them.
GEMM_ARGUMENTS = b"void (char *, char *, int *, int *, int *, "
SMALL_KERNELS = {"SkylakeX", "Cooperlake", "SapphireRapids"}


@cache
def has_small_kernels() -> bool:
    """Whether the wheels of NumPy and SciPy brought an OpenBLAS each that uses small kernels on this processor."""
    if not has_gemm():  # asked first, since it loads SciPy's BLAS, which is not listed before
        return False
    libraries = cast(list[dict[str, Any]], cast(Any, threadpoolctl).threadpool_info())
    wheels = {"numpy.libs", "scipy.libs"}
    kernels = [library.get("architecture") for library in libraries if Path(library["filepath"]).parent.name in wheels]
    return len(kernels) == 2 and SMALL_KERNELS.issuperset(kernels)


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


FORWARD_LIMIT = 1200  # rows x columns of the result, where the right operand is transposed
LIMIT = 1_000_000  # multiplications, in the other products
MOST_UNITS = 64  # of the first layer, and
NARROWEST = 32  # samples in a slice: beyond either the plain product is as fast


def float_type(dtype: DTypeLike) -> FloatType:
    """The dtype of the passes.

    Raises
    ------
    ValueError
        If it is neither float64 nor float32.
    """
    kind = np.dtype(dtype)
    if kind not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise ValueError(f"`dtype` must be float64 or float32, got {kind}")
    return cast(FloatType, kind)


def aligned(shape: tuple[int, ...], dtype: FloatType) -> Floats:
    """Empty array that begins on a cache line of 64 bytes."""
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(n_bytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


def aligned_copy(array: NDArray[Any], dtype: FloatType) -> Floats:
    """`array` in row-major order on a cache line; itself where it is so already and nobody can change it."""
    if array.dtype == dtype and array.flags.c_contiguous and not array.flags.writeable and array.ctypes.data % 64 == 0:
        return array
    copy = aligned(array.shape, dtype)
    copy[...] = array
    return copy


def slices(array: Floats, width: int) -> list[Floats]:
    """Stacks (n_slices, n_rows, width) of the columns of `array`, views: the whole slices, then what remains."""
    n_rows, n_columns = array.shape
    whole = n_columns - n_columns % width
    stacks: list[Floats] = []
    if whole:
        stacks.append(array[:, :whole].reshape(n_rows, -1, width).transpose(1, 0, 2))
    if whole < n_columns:
        stacks.append(array[None, :, whole:])
    return stacks


def _pays(n_weights: int) -> bool:
    """Whether slices for a matrix of so many weights stay wide enough below `LIMIT`."""
    return has_small_kernels() and LIMIT // n_weights >= NARROWEST


def _width(limit: int, size: int) -> int:
    """Columns of a slice such that `size` times them stays within `limit`, whole vectors of 8."""
    return max(8, limit // size // 8 * 8)


def multiply(weights: Floats, right: Floats, out: Floats) -> None:
    """``out = weights @ right``, (n_out, n_in) @ (n_in, n_samples) -> (n_out, n_samples)."""
    if not _pays(weights.size):
        np.matmul(weights, right, out=out)
        return
    width = _width(LIMIT, weights.size)
    for right_stack, out_stack in zip(slices(right, width), slices(out, width), strict=True):
        # (n_out, n_in) @ (n_slices, n_in, width) -> (n_slices, n_out, width)
        np.matmul(weights, right_stack, out=out_stack)


class InputProducts:
    """The two large products, those with the samples X themselves.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), row-major
    """

    def __init__(self, X: Floats) -> None:
        self.X = X

    def forward(self, weights: Floats, out: Floats) -> None:
        """``out = weights @ X.T``, (n_units, n_features) @ (n_features, n_samples) -> (n_units, n_samples)."""
        np.matmul(weights, self.X.T, out=out)

    def add_gradient(self, deltas: Floats, total: Floats) -> None:
        """``total += deltas @ X``, (n_units, n_samples) @ (n_samples, n_features) -> (n_units, n_features)."""
        total += deltas @ self.X


class SlicedInputProducts(InputProducts):
    """The same by small kernels, for a first layer of `n_units` units."""

    def __init__(self, X: Floats, n_units: int) -> None:
        super().__init__(X)
        self.forward_width = _width(FORWARD_LIMIT, n_units)
        self.forward_slices = slices(X.T, self.forward_width)
        self.gradient = SlicedProduct(X, n_units, _width(LIMIT, n_units * X.shape[1]))

    def forward(self, weights: Floats, out: Floats) -> None:
        """``out = weights @ X.T``, a slice of the samples at a time."""
        for x, out_slices in zip(self.forward_slices, slices(out, self.forward_width), strict=True):
            # (n_units, n_features) @ (n_slices, n_features, width) -> (n_slices, n_units, width)
            np.matmul(weights, x, out=out_slices)

    def add_gradient(self, deltas: Floats, total: Floats) -> None:
        """``total += deltas @ X``, summed over slices of the samples."""
        self.gradient.add_to(total, deltas)


def input_products(X: Floats, n_units: int) -> InputProducts:
    """Choose the kind that is faster for these samples and a first layer of `n_units` units."""
    sliced = n_units <= MOST_UNITS and _pays(n_units * X.shape[1])
    return SlicedInputProducts(X, n_units) if sliced else InputProducts(X)
