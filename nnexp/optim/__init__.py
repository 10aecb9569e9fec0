"""Minimizing a cost whose gradient comes with it: one call, one table of methods, budgets that bind.

Knows only ``fun(theta) -> (cost, gradient)``, nothing of networks.
"""

from nnexp.optim.methods import METHODS, Method, available_bytes, check_memory, check_options, memory_bytes
from nnexp.optim.minimizer import minimize
from nnexp.optim.results import Iterate, NonFiniteCostError, OptimizeResult

__all__ = [
    "METHODS",
    "Iterate",
    "Method",
    "NonFiniteCostError",
    "OptimizeResult",
    "available_bytes",
    "check_memory",
    "check_options",
    "memory_bytes",
    "minimize",
]
