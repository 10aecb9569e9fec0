"""How far apart the numbers of two runs may be by rounding alone.

Optimizers amplify rounding. Measured with three kernels of OpenBLAS and with its threads, in float64: what begins as
one unit in the last place of the first cost is 1e-16 after 200 iterations of gradient descent, 1e-11 after 100 of CG,
1e-3 after 190 of L-BFGS-B, and 1e-2 after twenty of TNC, which takes differences of gradients. No bound on the end of a
run can therefore tell rounding from a change. What can be said:

- at iteration 0 nothing is amplified yet. There, one evaluation at the same theta, rounding is a few units in the last
  place (measured: at most 2), so a relative difference above :data:`AT_START` (in such units) is none of rounding;
- two runs that stay within :data:`LATER` of each other at every iteration took the same path to so many digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

AT_START = 1000  # units in the last place, sums over very many samples included
LATER = {"float64": 1e-6, "float32": 1e-3}


def tolerance(key: str, step: int | None, params: Mapping[str, Any]) -> float:
    """The largest relative difference of a metric at a step, or of an array (step None), that may be rounding."""
    if key == "gradient_check":
        return np.inf  # it is the rounding of a difference quotient, and nothing but that
    dtype = str(params.get("training.dtype", "float64"))
    return AT_START * float(np.finfo(dtype).eps) if step == 0 or key == "theta0" else LATER[dtype]
