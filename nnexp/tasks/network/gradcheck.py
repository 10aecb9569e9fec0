"""The full numerical check of the network's gradient, at its initial weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnexp.blas import blas_threads
from nnexp.datasets import About
from nnexp.nn import (
    Objective,
    full_check,
    gradient_check_bytes,
    gradient_check_seconds,
    initialize,
    n_parameters,
    objective_bytes,
)
from nnexp.nn.gradcheck import GradientCheck
from nnexp.optim import available_bytes
from nnexp.readers import ConfigError
from nnexp.tasks.network.activation import activation_of
from nnexp.tasks.network.config import NetworkConfig
from nnexp.tasks.network.data import layer_sizes_of, load, split_of
from nnexp.terminal import StatusLine, clock

# Of a right gradient, measured: 1e-15 and 1e-6; the exercise asks for 1e-9.
TOLERANCES = {"float64": 1e-9, "float32": 1e-4}
LONGEST = 14_400.0  # seconds


@dataclass(frozen=True)
class CheckReport:
    """The relative differences of a check, and the verdict on them."""

    checked: GradientCheck
    tolerance: float
    activation: str

    @property
    def is_good(self) -> bool:
        """Whether the gradient is right, by the one of the two methods that has no error of its own."""
        return self.checked.complex_step <= self.tolerance

    @property
    def verdict(self) -> str:
        """The same in a word."""
        return "right" if self.is_good else "wrong"

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of the command."""
        checked = self.checked
        return {
            "n_params": checked.n_params,
            "central_difference": checked.central_difference,
            "complex_step": checked.complex_step,
            "seconds": checked.seconds,
            "verdict": self.verdict,
        }

    def text(self) -> str:
        """The table, a layer a line, and the verdict."""
        lines = [*_table(self.checked), f"in {clock(self.checked.seconds)}"]
        if self.activation == "relu" and self.checked.central_difference > self.tolerance:
            lines.append(
                "central differences across a kink of relu give the mean of two slopes; the complex step does not"
            )
        within = "within" if self.is_good else "not within"
        return "\n".join([*lines, f"the gradient is {self.verdict}: {within} {self.tolerance:g} by complex step"])


def gradcheck(config: NetworkConfig) -> CheckReport:
    """Check every parameter by central differences and by complex step."""
    return CheckReport(check_gradient(config), TOLERANCES[config.training.dtype], config.model.activation)


def check_gradient(config: NetworkConfig) -> GradientCheck:
    """The check of a config's network on its training part, at the weights that a run would start from."""
    dataset = load(config)
    train = split_of(config, dataset).train
    layer_sizes = layer_sizes_of(config, About.of(dataset))
    check_resources(layer_sizes, len(train))
    theta = initialize(layer_sizes, config.model.init_scale, np.random.default_rng(config.seed))
    settings: dict[str, Any] = {"activation": activation_of(config.model.activation), "l2": config.model.l2}
    line = StatusLine()

    def show(done: int, total: int) -> None:
        if line.is_live:
            line.show([f"{done} of {total} parameters"])

    with blas_threads(config.training.threads):
        objective = Objective(train.X, train.Y, layer_sizes, dtype=np.dtype(config.training.dtype), **settings)
        _, gradient = objective(theta)
        checked = full_check(train.X, train.Y, layer_sizes, theta, gradient, progress=show, **settings)
    line.close()
    return checked


def check_resources(layer_sizes: tuple[int, ...], n_samples: int) -> None:
    """Raise ConfigError, with the figures, where the check would take more memory than there is, or many hours."""
    needed = objective_bytes(layer_sizes, n_samples, np.dtype(float)) + gradient_check_bytes(layer_sizes, n_samples)
    available, seconds = available_bytes(), gradient_check_seconds(layer_sizes, n_samples)
    if seconds > LONGEST or (available is not None and needed > available):
        there = "" if available is None else f" ({available / 1e9:.1f} GB are available)"
        raise ConfigError(
            f"`model.hidden_size` makes {n_parameters(layer_sizes):,} parameters, whose check one by one takes about "
            f"{seconds / 3600:,.0f} hours and {needed / 1e9:.1f} GB{there}; check a smaller network"
        )


def _table(checked: GradientCheck) -> list[str]:
    """The relative differences a layer and over all."""
    head = ("layer", "parameters", "central difference", "largest", "complex step", "largest")
    rows = [
        _cells(
            str(layer.layer), layer.n_params,
            layer.central_relative, layer.central_max, layer.complex_relative, layer.complex_max,
        )
        for layer in checked.layers
    ]  # fmt: skip
    central, exact = (max(getattr(layer, name) for layer in checked.layers) for name in ("central_max", "complex_max"))
    rows.append(_cells("all", checked.n_params, checked.central_difference, central, checked.complex_step, exact))
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return [
        "relative difference |numerical - gradient| / |numerical + gradient|, and the largest absolute difference",
        *("  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]),
    ]


def _cells(name: str, n_params: int, *differences: float) -> tuple[str, ...]:
    return (name, str(n_params), *(f"{difference:.2e}" for difference in differences))
