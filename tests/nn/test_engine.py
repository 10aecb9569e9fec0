"""SciPy's gemm without its wrapper; here a SciPy that changed its interface for Cython shows first."""

import subprocess
import sys

import numpy as np
import pytest
import scipy

from nnexp.nn.engine.products import SlicedProduct, float_type, has_gemm


def test_gemm_is_where_scipy_documents_it():
    # Without it the plain products serve: right, and a third slower where the small kernels are.
    assert has_gemm(), f"SciPy {scipy.__version__} has no gemm in scipy.linalg.cython_blas, or one of other arguments"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("width", [1, 8, 37, 100])
def test_a_product_in_slices_is_added_to_what_was_there(width, dtype):
    rng = np.random.default_rng(0)
    right, left = rng.normal(size=(37, 6)).astype(dtype), rng.normal(size=(5, 37)).astype(dtype)
    total = np.ones((5, 6), dtype)
    SlicedProduct(right, 5, width).add_to(total, left)
    np.testing.assert_allclose(total, 1 + left @ right, rtol=1e-5 if dtype == np.float32 else 1e-13)


@pytest.mark.parametrize("dtype", ["float16", ">f8", "int64", "complex128"])
def test_other_arithmetic_is_rejected(dtype):
    with pytest.raises(ValueError, match="`dtype` must be float64 or float32, got "):
        float_type(dtype)


FIRST_GRADIENT = """
import hashlib, numpy as np
from nnexp.nn import Objective
rng = np.random.default_rng(0)
X, Y = rng.random((5000, 400)), np.eye(10)[rng.integers(10, size=5000)]
cost, gradient = Objective(X, Y, (400, 25, 10), dtype=np.float32)(rng.normal(size=10285) / 10)
print(hashlib.sha256(gradient).hexdigest())
"""


def test_the_bits_do_not_depend_on_what_was_imported_before():
    """SciPy's BLAS is loaded by some of its modules only, and the kernels are chosen by what is loaded."""
    digests = {
        subprocess.run([sys.executable, "-c", before + FIRST_GRADIENT], capture_output=True, text=True).stdout
        for before in ("", "import scipy.optimize", "import nnexp.optim")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64
