import pytest
from threadpoolctl import threadpool_limits

from nnexp.nn.engine import products as engine_products


@pytest.fixture(autouse=True, scope="package")
def _one_blas_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(params=["small kernels", "plain products"])
def products(request, monkeypatch):
    """Both ways of multiplying, whichever this machine would choose."""
    monkeypatch.setattr(engine_products, "has_small_kernels", lambda: request.param == "small kernels")
