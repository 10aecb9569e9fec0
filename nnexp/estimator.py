"""The classifier for scikit-learn, where it is imported from; `nnexp.NeuralNetworkClassifier` is the same."""

from nnexp.tasks.network.estimator import NeuralNetworkClassifier

__all__ = ["NeuralNetworkClassifier"]
