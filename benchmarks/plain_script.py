"""A plain Hydra + MLflow script in the usual style, which does and logs the work of the default run.

``python plain_script.py -m seed=0,1 hydra/launcher=joblib``; the store is MLFLOW_TRACKING_URI.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import hydra
import matplotlib
import mlflow
import mlflow.pyfunc
import numpy as np
from hydra.core.config_store import ConfigStore
from mlflow.data.numpy_dataset import from_numpy
from mlflow.pyfunc.model import PythonModel
from scipy.optimize import minimize
from sklearn.metrics import classification_report, confusion_matrix, f1_score
from sklearn.model_selection import train_test_split

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import notebook

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LAYERS = (400, 25, 10)
ConfigStore.instance().store(
    "plain", {"seed": 0, "l2": 1.0, "maxfun": 400, "test_size": 0.2, "images": "data/ex4.npz", "method": "TNC"}
)


class _EnoughError(Exception):
    pass


class Model(PythonModel):
    """The trained network for MLflow."""

    def __init__(self, theta):
        self.theta = theta

    def predict(self, context, model_input, params=None):
        return outputs(self.theta, np.asarray(model_input)).argmax(axis=1)


def outputs(theta, X):
    """Of the network."""
    theta1, theta2 = notebook.unroll(theta, LAYERS)
    hidden = notebook.sigmoid(X @ theta1[:, 1:].T + theta1[:, 0])
    return notebook.sigmoid(hidden @ theta2[:, 1:].T + theta2[:, 0])


def loss(theta, X, Y):
    h = outputs(theta, X)
    return -np.mean(np.sum(Y * np.log(h) + (1 - Y) * np.log(1 - h), axis=1))


@hydra.main(version_base="1.3", config_path=None, config_name="plain")
def main(cfg: Any) -> None:
    images = np.load(cfg.images)
    X, y = images["X"], images["y"]
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=cfg.test_size, stratify=y, random_state=cfg.seed
    )
    Y_train, Y_test = np.eye(10)[y_train], np.eye(10)[y_test]
    theta = np.random.default_rng(cfg.seed).uniform(-0.12, 0.12, 25 * 401 + 10 * 26)
    evaluations, curve = [0], []

    mlflow.set_experiment("plain")
    with mlflow.start_run():
        mlflow.log_params({"seed": cfg.seed, "l2": cfg.l2, "maxfun": cfg.maxfun, "method": cfg.method})
        mlflow.log_input(from_numpy(X_train, targets=y_train, name="ex4"), context="training")
        best = [np.inf, theta]

        def fun(theta):
            if evaluations[0] >= cfg.maxfun:
                raise _EnoughError
            evaluations[0] += 1
            cost, gradient = notebook.vectorised(theta, LAYERS, X_train, Y_train, cfg.l2)
            if cost < best[0]:
                best[:] = cost, theta.copy()
            return cost, gradient

        def callback(theta):
            cost, gradient = notebook.vectorised(theta, LAYERS, X_train, Y_train, cfg.l2)
            values = {
                "cost/train": cost,
                "loss/train": loss(theta, X_train, Y_train),
                "loss/test": loss(theta, X_test, Y_test),
                "accuracy/train": np.mean(outputs(theta, X_train).argmax(axis=1) == y_train),
                "accuracy/test": np.mean(outputs(theta, X_test).argmax(axis=1) == y_test),
                "optimizer/gradient_norm": np.linalg.norm(gradient),
                "optimizer/n_fev": evaluations[0],
            }
            for key, value in values.items():
                mlflow.log_metric(key, float(value), step=len(curve))
            curve.append((values["loss/train"], values["loss/test"]))

        begin = time.perf_counter()
        try:
            minimize(fun, theta, jac=True, method=cfg.method, callback=callback, options={"maxfun": cfg.maxfun})
        except _EnoughError:
            pass
        mlflow.log_metric("fit_seconds", time.perf_counter() - begin)
        theta = best[1]
        report(theta, X_test, y_test, curve)
        mlflow.pyfunc.log_model(name="model", python_model=Model(theta), input_example=X_test[:2])
    print(json.dumps({"cost": best[0]}))


def report(theta, X, y, curve) -> None:
    """Reports and figures."""
    predicted = outputs(theta, X).argmax(axis=1)
    mlflow.log_metric("f1/test", f1_score(y, predicted, average="macro"))
    text: Any = classification_report(y, predicted)
    mlflow.log_text(text, "classification_report.txt")
    per_class: Any = classification_report(y, predicted, output_dict=True)
    mlflow.log_dict(per_class, "reports/classification_report.json")
    rows = {k: v for k, v in per_class.items() if isinstance(v, dict)}
    mlflow.log_table({"class": list(rows), "f1-score": [row["f1-score"] for row in rows.values()]}, "per_class.json")

    figure, axes = plt.subplots()
    axes.plot(np.array(curve))
    mlflow.log_figure(figure, "cost_curves.png")
    figure, axes = plt.subplots()
    axes.imshow(confusion_matrix(y, predicted))
    mlflow.log_figure(figure, "confusion_matrix.png")
    theta1, _ = notebook.unroll(theta, LAYERS)
    mlflow.log_figure(tiles(theta1[:, 1:], 5), "hidden_layer.png")
    mlflow.log_figure(tiles(X[:100], 10), "figures/sample.png")
    mlflow.log_figure(tiles(X[predicted != y][:25], 5), "figures/worst_mistakes.png")
    mlflow.log_image(theta1[:25, 1:401].reshape(100, 100), key="hidden_layer", step=len(curve))
    np.savez("weights.npz", theta=theta)
    mlflow.log_artifact("weights.npz")
    plt.close("all")


def tiles(images, side):
    """A square grid of small images, one axis each."""
    axes: Any
    figure, axes = plt.subplots(side, side)
    for picture, axis in zip(images, axes.flat, strict=False):
        axis.imshow(picture.reshape(20, 20, order="F"), cmap="gray")
        axis.axis("off")
    return figure


if __name__ == "__main__":
    main()
