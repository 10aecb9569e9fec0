"""How runs of the network are shown."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from nnexp import datasets
from nnexp.nn import ACTIVATIONS
from nnexp.optim.methods import METHODS
from nnexp.own import last_name
from nnexp.runs.records import RunRecord, RunResult
from nnexp.tasks.network.activation import VALUES
from nnexp.tasks.network.activation import packages as activation_packages
from nnexp.tasks.presentation import Deferred, ModelSource, Presentation
from nnexp.terminal import clock, percent, progress_line

PARTS = ("train", "validation", "test")
SERVED_CODE = Path(__file__).with_name("served_model.py")


class NetworkPresentation(Presentation):
    """Accuracies, losses and costs of the parts."""

    params = ("data.name", "optimizer.method", "model.l2", "model.hidden_size", "seed")
    columns = ("accuracy/validation", "accuracy/test", "accuracy/train", "loss/validation", "loss/test", "loss/train",
               "cost/train", "f1/test", "n_iter", "fit_seconds")  # fmt: skip
    charts = {  # noqa: RUF012 - as in the base class, never changed
        "cost and loss": ("cost/train", "loss/train", "loss/validation", "loss/test"),
        "accuracy": ("accuracy/train", "accuracy/validation", "accuracy/test"),
    }
    images = {"hidden layer over iterations": ("hidden_layer",)}  # noqa: RUF012
    pictures = ("cost_curves", "hidden_layer")
    synonyms = {  # noqa: RUF012 - what the exercise, SciPy, scikit-learn and PyTorch call keys of ours
        "lambda": "model.l2",
        "alpha": "model.l2",
        "weight_decay": "model.l2",
        "lr": "optimizer.options.learning_rate",
        "learning_rate_init": "optimizer.options.learning_rate",
        "hidden_layer_sizes": "model.hidden_size",
        "random_state": "seed",
        "max_iter": "optimizer.maxiter",
        "epochs": "optimizer.maxiter",
        "maxfev": "optimizer.maxfun",
        "solver": "optimizer",
        "method": "optimizer",
        "dataset": "data",
        "n_splits": "data.folds",
        "cv": "data.folds",
    }
    lists = ("model.hidden_size", "data.image_shape")
    option_names = tuple(sorted({option for method in METHODS.values() for option in method.options}))
    choices_with = {  # noqa: RUF012
        f"data.{key}": [f"data={name}" for name, keys in datasets.KEYS.items() if key in keys]
        for key in sorted({key for keys in datasets.KEYS.values() for key in keys})
    }

    def what(self, record: RunRecord) -> str:
        """Data, method, lambda, hidden units and seed."""
        params, sizes = record.params, record.details.get("layer_sizes")
        if "data.name" not in params or sizes is None:
            return record.name
        return (
            f"{last_name(params['data.name'])}, {last_name(params['optimizer.method'])}, λ = {params['model.l2']:g}, "
            f"H = {' × '.join(map(str, sizes[1:-1]))}, seed {params['seed']}"
        )

    def outcome(self, result: RunResult) -> str:
        """The accuracies and the cost."""
        values = result.values
        if "cost" not in values:
            return ""
        shown = [f"{part} {percent(values[f'accuracy/{part}'])}" for part in _parts(values, "accuracy")[::-1]]
        return f"accuracy {', '.join(shown)}; cost {values['cost']:.5g}"

    def brief(self, result: RunResult) -> str:
        """Cost and accuracy."""
        return f"cost {result.values['cost']:.6g}, accuracy {percent(result.values['accuracy'])}"

    def facts(self, result: RunResult) -> list[tuple[str, str]]:
        """The rows of the table at the end of a run."""
        values = result.values
        if "cost" not in values:
            return []
        return [
            ("cost", f"{values['cost']:.6f} (loss {values['loss']:.6f})"),
            *((f"{part} accuracy", percent(values[f"accuracy/{part}"])) for part in _parts(values, "accuracy")),
            ("iterations", f"{values['n_iter']}, {values['n_fev']} evaluations"),
            ("fit", clock(values["fit_seconds"])),
            ("gradient check", f"{values['gradient_check']:.1e} relative difference"),
        ]

    def table(self, result: RunResult) -> list[str]:
        """Train beside test."""
        values = result.values
        rows = ["| part | loss (nats per sample) | accuracy |", "|---|---|---|"]
        return rows + [
            f"| {part} | {values[f'loss/{part}']:.5g} | {percent(values[f'accuracy/{part}'])} |"
            for part in _parts(values, "loss")
        ]

    def progress(self, row: Mapping[str, float]) -> str:
        """Cost and evaluations so far."""
        n_fev, cost = row.get("optimizer/n_fev"), row.get("cost/train")
        return "" if n_fev is None or cost is None else f"cost {cost:.3g}, {n_fev:.0f} evals"

    def model(self, record: RunRecord) -> ModelSource | None:
        """The network, as a function of raw samples."""
        activation = record.details.get("activation")
        if activation is None:
            return None
        is_own = activation not in ACTIVATIONS
        requires = activation_packages(activation) if is_own else ()
        return ModelSource("weights.npz", SERVED_CODE, _estimator, requires, is_own)


def _estimator(
    params: Mapping[str, Any], arrays: Mapping[str, Any], values: Mapping[str, Any], history: Mapping[str, Any]
) -> Deferred:
    needed = ("theta", "layer_sizes", "classes", "activation", VALUES, "scale_offset", "scale_factor")
    kept = {name: arrays[name] for name in needed if name in arrays}
    return load_estimator, (dict(params), kept, dict(values), dict(history))


def load_estimator(*arguments: Any) -> Any:
    """The classifier of scikit-learn that a run has trained. Models in a store name this function."""
    from nnexp.tasks.network.estimator import from_run

    return from_run(*arguments)


def _parts(values: Mapping[str, Any], kind: str) -> list[str]:
    return [part for part in PARTS if f"{kind}/{part}" in values]


class Progress:
    """Follows a fit: one line that is rewritten on a terminal, a log line now and then elsewhere."""

    def __init__(
        self, maxiter: int, maxfun: int, *, quiet: bool = False, what: str = "", stream: TextIO | None = None
    ) -> None:
        self.maxiter, self.maxfun, self.quiet, self.what = maxiter, maxfun, quiet, what
        self._line = progress_line(stream)
        self._start = time.monotonic()

    def update(self, row: dict[str, float]) -> None:
        """Show a row of the history, unless one was shown a moment ago."""
        if not self.quiet and self._line.is_due():
            share = self.share(row)
            self._line.show(self.parts(row, time.monotonic() - self._start), min(share, 1.0))

    def share(self, row: dict[str, float]) -> float:
        """The share of a budget that is used, of the two the larger."""
        return max(row["step"] / max(self.maxiter, 1), row["optimizer/n_fev"] / self.maxfun)

    def parts(self, row: dict[str, float], elapsed: float) -> list[str]:
        """The progress as text, what matters most first."""
        n_iter, n_fev = int(row["step"]), int(row["optimizer/n_fev"])
        part = "test" if "accuracy/test" in row else "train"
        accuracy = row.get(f"accuracy/{part}", float("nan"))
        parts = [*([self.what] if self.what else []), f"iteration {n_iter}", f"cost {row['cost/train']:.4f}"]
        if accuracy == accuracy:  # it is not measured in every iteration
            parts.append(f"{part} accuracy {percent(accuracy)}")
        share = self.share(row)
        if 0 < share < 1:
            parts.append(f"at most {clock(elapsed * (1 - share) / share)} left")
        return [*parts, f"{n_fev} evaluations"]

    def close(self) -> None:
        """Clear the line."""
        self._line.close()
