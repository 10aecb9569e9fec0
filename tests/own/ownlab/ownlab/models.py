"""A model of scikit-learn, trained by the harness."""

import time

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_wine
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import scale

from nnexp import MetricSpec


def linear(run, alpha: float = 1e-3, epochs: int = 4, pause: float = 0.0, draw: bool = False):
    X, y = load_wine(return_X_y=True)
    X = scale(X)
    held_out = np.random.default_rng(run.seed).permutation(len(y)) % 4 == 0
    model = SGDClassifier(loss="log_loss", alpha=alpha, random_state=run.seed)
    for epoch in range(epochs):
        model.partial_fit(X[~held_out], y[~held_out], classes=[0, 1, 2])
        run.log({"score/train": model.score(X[~held_out], y[~held_out])}, step=epoch)
        time.sleep(pause)
    if draw:
        figure = Figure()
        figure.subplots().imshow(model.coef_)
        run.figure("coefficients", figure)
    run.save("model.npz", coef=model.coef_, intercept=model.intercept_)
    return {"score/test": model.score(X[held_out], y[held_out])}


linear.metrics = {"score/test": MetricSpec("held-out score", higher_is_better=True, is_share=True)}
linear.objective = "score/test"
