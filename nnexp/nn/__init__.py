"""The mathematics: a multilayer perceptron's cost, gradient and Hessian-vector product. NumPy and SciPy only."""

from nnexp.nn.activations import ACTIVATIONS, Activation, name_of
from nnexp.nn.gradcheck import GradientCheck, LayerCheck, directional_check, full_check
from nnexp.nn.network import Forward, cross_entropy, predict, probabilities
from nnexp.nn.objective import Objective, gradient_check_bytes, gradient_check_seconds, objective_bytes
from nnexp.nn.own_activation import as_activation, check_activation, probe
from nnexp.nn.parameters import initialize, n_parameters, pack, unpack

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Forward",
    "GradientCheck",
    "LayerCheck",
    "Objective",
    "as_activation",
    "check_activation",
    "cross_entropy",
    "directional_check",
    "full_check",
    "gradient_check_bytes",
    "gradient_check_seconds",
    "initialize",
    "n_parameters",
    "name_of",
    "objective_bytes",
    "pack",
    "predict",
    "probabilities",
    "probe",
    "unpack",
]
