"""Experiments with small neural networks trained by hand-written back-propagation.

What is offered from Python is imported at its first use: `import nnexp` costs nothing.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False  # as in `typing`, whose import is not needed
if TYPE_CHECKING:
    from nnexp.datasets import Dataset as Dataset
    from nnexp.datasets import Split as Split
    from nnexp.nn.activations import Activation as Activation
    from nnexp.readers import ConfigError as ConfigError
    from nnexp.tasks.interface import Ending as Ending
    from nnexp.tasks.interface import Run as Run
    from nnexp.tasks.interface import Task as Task
    from nnexp.tasks.network.estimator import NeuralNetworkClassifier as NeuralNetworkClassifier
    from nnexp.tasks.presentation import MetricSpec as MetricSpec

# Where each name comes from. The block above says the same to editors and type checkers.
_MODULES = {
    "Activation": "nnexp.nn.activations",
    "ConfigError": "nnexp.readers",
    "Dataset": "nnexp.datasets",
    "Ending": "nnexp.tasks.interface",
    "MetricSpec": "nnexp.tasks.presentation",
    "NeuralNetworkClassifier": "nnexp.tasks.network.estimator",
    "Run": "nnexp.tasks.interface",
    "Split": "nnexp.datasets",
    "Task": "nnexp.tasks.interface",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
