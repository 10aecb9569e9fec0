"""Gradient descent with momentum, as `scipy.optimize.minimize` takes a method of one's own."""

import numpy as np
from scipy.optimize import OptimizeResult

from . import steps


def heavy_ball(fun, x0, args=(), jac=None, callback=None, *, lr: float = 0.3, momentum=0.9, steps_at_most=30, **given):
    x, v = np.array(x0), np.zeros_like(x0)
    for _ in range(steps_at_most):
        v = steps.velocity(v, jac(x, *args), lr, momentum)
        x = x + v
        if callback is not None:
            callback(x)
    return OptimizeResult(x=x, fun=fun(x, *args), nit=steps_at_most, success=True, message="all steps were made")
