"""Products of a small matrix with many samples, in arrays of units x samples.

OpenBLAS has kernels for small products, on processors with AVX-512, that skip the packing of their operands. At 5,000
samples, 400 pixels and 25 units they take two thirds of the time of the plain product. They are entered only below
limits that lie in the library's source, so the samples are cut into stacks of narrow slices that stay below them.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnexp.arrays import Floats, FloatType
from nnexp.nn.engine.blas import SlicedProduct, has_small_kernels

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
