"""``GridSearchCV(MLPClassifier)`` with MLflow's autologging; arguments: images, number of candidates."""

from __future__ import annotations

import sys
import warnings

import mlflow.sklearn
import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier


def main(images: str, n: int, budget: int) -> None:
    """One split, two jobs at a time, every candidate logged; with one-hot labels it has the same objective as nnexp."""
    arrays = np.load(images)
    X, y = arrays["X"], arrays["y"]
    mlflow.set_experiment("grid")
    mlflow.sklearn.autolog(max_tuning_runs=n)
    model = MLPClassifier((25,), "logistic", solver="lbfgs", alpha=1.0, max_iter=budget, max_fun=budget)
    split = list(StratifiedShuffleSplit(1, test_size=0.2, random_state=0).split(X, y))
    search = GridSearchCV(model, {"random_state": list(range(n))}, n_jobs=2, cv=split, refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, (y[:, None] == np.unique(y)).astype(int))
    print(search.cv_results_["mean_test_score"].mean())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
