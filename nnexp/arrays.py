"""Types of arrays. NumPy's own say nothing of shapes: those stand in the docstrings and beside the products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]  # theta, gradients, and all that is summed up
Floats = NDArray[np.floating]  # float64 or float32, as the config chooses
Numbers = NDArray[np.inexact]  # complex ones too
Indices = NDArray[np.intp]
FloatType = np.dtype[np.floating]
