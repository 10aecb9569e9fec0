"""Experiments with small neural networks trained by hand-written back-propagation.

What is offered from Python is imported at its first use: `import nnexp` costs nothing.
"""

import sys

__version__ = "0.1.0"

TYPE_CHECKING = False  # as in `typing`, whose import is not needed
if TYPE_CHECKING:
    from types import ModuleType

    from nnexp.api.loading import load_dataset as load_dataset
    from nnexp.api.loading import load_run as load_run
    from nnexp.api.loading import load_runs as load_runs
    from nnexp.api.loading import report as report
    from nnexp.api.many import Rerun as Rerun
    from nnexp.api.many import Sweep as Sweep
    from nnexp.api.result import Result as Result
    from nnexp.api.running import RunFailedError as RunFailedError
    from nnexp.api.running import rerun as rerun
    from nnexp.api.running import run as run
    from nnexp.api.running import sweep as sweep
    from nnexp.datasets import Dataset as Dataset
    from nnexp.datasets import Split as Split
    from nnexp.nn.activations import Activation as Activation
    from nnexp.readers import ConfigError as ConfigError
    from nnexp.tasks.interface import Ending as Ending
    from nnexp.tasks.interface import Run as Run
    from nnexp.tasks.interface import Task as Task
    from nnexp.tasks.network.estimator import NeuralNetworkClassifier as NeuralNetworkClassifier
    from nnexp.tasks.network.fitting import fit as fit
    from nnexp.tasks.presentation import MetricSpec as MetricSpec
else:
    ModuleType = type(sys)

# Where each name comes from. The block above says the same to editors and type checkers.
_MODULES = {
    "Activation": "nnexp.nn.activations",
    "ConfigError": "nnexp.readers",
    "Dataset": "nnexp.datasets",
    "Ending": "nnexp.tasks.interface",
    "MetricSpec": "nnexp.tasks.presentation",
    "NeuralNetworkClassifier": "nnexp.tasks.network.estimator",
    "Rerun": "nnexp.api.many",
    "Result": "nnexp.api.result",
    "Run": "nnexp.tasks.interface",
    "RunFailedError": "nnexp.api.running",
    "Split": "nnexp.datasets",
    "Sweep": "nnexp.api.many",
    "Task": "nnexp.tasks.interface",
    "fit": "nnexp.tasks.network.fitting",
    "load_dataset": "nnexp.api.loading",
    "load_run": "nnexp.api.loading",
    "load_runs": "nnexp.api.loading",
    "report": "nnexp.api.loading",
    "rerun": "nnexp.api.running",
    "run": "nnexp.api.running",
    "sweep": "nnexp.api.running",
}


class _Package(ModuleType):
    """Keeps `nnexp.report` and `nnexp.rerun` the functions of these names, and not the folders, once imported.

    The import system binds a submodule in its package; `from nnexp.report import ...` does not need that.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _MODULES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[object, ...]:  # as any module goes to joblib's workers with a script's function
        from importlib import import_module

        return import_module, (self.__name__,)


if not TYPE_CHECKING:  # which would take any name then

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})


sys.modules[__name__].__class__ = _Package
