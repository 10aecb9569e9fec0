# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportAssignmentType=false
"""The callbacks of scikit-learn, which the classifier calls in each iteration."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnexp.optim import Iterate
from nnexp.optim.evaluations import BudgetSpent

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before scikit-learn 1.9, which brought them

    class CallbackSupportMixin:  # pyright: ignore[reportRedeclaration]
        """No callbacks."""

    def with_callbacks(method: Any) -> Any:
        """The method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "Hooks", "with_callbacks"]


class Hooks:
    """Calls scikit-learn's callbacks: each iteration is a task of its own within the fit."""

    def __init__(self, estimator: Any, X: np.ndarray, y: np.ndarray, maxiter: int) -> None:
        self._estimator, self._maxiter = estimator, maxiter
        self._data = {"X": X, "y": y}
        self._fit = estimator._init_callback_context(max_subtasks=maxiter)
        self._fit.call_on_fit_task_begin(estimator=estimator, **self._data)
        self._iteration: Any = None
        self._n_iter = -1

    def __call__(self, iterate: Iterate) -> None:
        """The iteration has ended, and the next one begins.

        Raises
        ------
        BudgetSpent
            If a callback wants the training to stop.
        """
        if iterate.n_iter == self._n_iter:
            return  # reported once more
        self._n_iter = iterate.n_iter
        state = {**self._data, "reconstruction_attributes": {"theta_": iterate.theta}}
        if self._iteration is not None and self._end(**state):
            raise BudgetSpent("stopped", "stopped by a callback")
        if iterate.n_iter < self._maxiter:
            self._iteration = self._fit.subcontext(task_name="iteration")
            self._iteration.call_on_fit_task_begin(estimator=self._estimator, **state)

    def _end(self, **state: Any) -> bool:
        ended, self._iteration = self._iteration, None
        return ended.call_on_fit_task_end(estimator=self._estimator, **state)

    def close(self) -> None:
        """The fit has ended, perhaps in the middle of an iteration."""
        if self._iteration is not None:
            self._end()
        self._fit.call_on_fit_task_end(estimator=self._estimator, reconstruction_attributes={}, **self._data)
