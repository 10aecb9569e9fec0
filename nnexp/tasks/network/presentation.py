"""How runs of the network are shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnexp.runs.records import RunRecord, RunResult
from nnexp.tasks.presentation import Presentation, ServedModel
from nnexp.terminal import clock, percent

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
    }
    lists = ("model.hidden_size", "data.image_shape")

    def what(self, record: RunRecord) -> str:
        """Data, method, lambda, hidden units and seed."""
        params, sizes = record.params, record.details.get("layer_sizes")
        if "data.name" not in params or sizes is None:
            return record.name
        return (
            f"{params['data.name']}, {params['optimizer.method']}, λ = {params['model.l2']:g}, "
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

    def model(self, record: RunRecord) -> ServedModel | None:
        """The network, as a function of raw samples."""
        sizes = record.details.get("layer_sizes")
        return ServedModel(SERVED_CODE, "weights.npz", sizes[0]) if sizes else None


def _parts(values: Mapping[str, Any], kind: str) -> list[str]:
    return [part for part in PARTS if f"{kind}/{part}" in values]
