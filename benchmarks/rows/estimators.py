"""The classifier beside those of scikit-learn: held-out accuracy and the time of a fit, over seeds."""

from __future__ import annotations

import time
import warnings
from importlib import import_module
from statistics import fmean, median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import problem
from benchmarks.measure import Line

TITLE = "Test accuracy, mean of 5 seeds, and CPU time of a fit on one thread, beside scikit-learn's classifiers"
SEEDS, TEST_SIZE = 5, 0.2
IMAGES = ("ex4", "digits")


def data_sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    from sklearn import datasets

    ex4 = problem.data()
    found = {"ex4": (ex4.X, ex4.y)}
    for name in ("digits", "breast_cancer", "wine"):
        found[name] = getattr(datasets, f"load_{name}")(return_X_y=True)
    return found


def classifiers(budget: int, seed: int) -> dict[str, Any]:
    """The same network, penalty and budgets for the networks; the same penalty for the linear one."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    from nnexp import NeuralNetworkClassifier

    ours = {"maxiter": budget, "maxfun": budget, "random_state": seed}
    theirs = {"alpha": 1.0, "max_iter": budget, "max_fun": budget, "random_state": seed}
    return {
        "NeuralNetworkClassifier (TNC)": NeuralNetworkClassifier(**ours),
        "NeuralNetworkClassifier (L-BFGS-B)": NeuralNetworkClassifier(method="L-BFGS-B", **ours),
        "MLPClassifier (lbfgs)": MLPClassifier((25,), "logistic", solver="lbfgs", **theirs),
        "LogisticRegression": LogisticRegression(max_iter=budget),
    }


def scaler(name: str) -> Any:
    """Pixels are brought to [0, 1], the features of tables to one deviation."""
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    return MinMaxScaler() if name in IMAGES else StandardScaler()


def measured(name: str, X: np.ndarray, y: np.ndarray, budget: int, seeds: int) -> dict[str, list[tuple[float, float]]]:
    """Accuracy and seconds of each classifier and seed; they take turns, on the same samples."""
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline

    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(seeds):
        parts = train_test_split(X, y, test_size=TEST_SIZE, random_state=seed, stratify=y)
        X_train, X_test, y_train, y_test = parts
        for kind, classifier in classifiers(budget, seed).items():
            model = make_pipeline(scaler(name), classifier)
            begin = time.process_time()  # of one thread, which other programs on the machine do not lengthen
            model.fit(X_train, y_train)
            seconds = time.process_time() - begin
            found.setdefault(kind, []).append((100 * model.score(X_test, y_test), seconds))
    return found


def run(quick: bool) -> list[Line]:
    budget, seeds = (5, 1) if quick else (400, SEEDS)
    lines = []
    import_module("scipy.linalg")  # whose BLAS would come with the threads of its default later, and spin
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # of budgets that end a fit
        for name, (X, y) in data_sets().items():
            for kind, values in measured(name, X, y, budget, seeds).items():
                accuracies, seconds = zip(*values, strict=True)
                note = f"{fmean(accuracies):.2f} % ({min(accuracies):.2f} to {max(accuracies):.2f}), "
                lines.append(Line(f"{name}: {kind}", fmean(accuracies), "%", note=f"{note}{show(median(seconds))}"))
    return lines


def show(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.1f} ms"
