"""`nnexp gradcheck`: the full numerical gradient check of the configured network, at its initial weights."""

from __future__ import annotations

import argparse
import json
from typing import Any

from nnexp.errors import ExitStatus
from nnexp.terminal import StatusLine, clock

# Of a right gradient, measured: 1e-15 and 1e-6; the exercise asks for 1e-9.
TOLERANCES = {"float64": 1e-9, "float32": 1e-4}
LONGEST = 14_400.0  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("overrides", nargs="*", help="config overrides, such as model.hidden_size=[40,20]")


def run(arguments: argparse.Namespace) -> int:
    """Check every parameter by central differences and by complex step, and print the table."""
    from nnexp.compose import compose, read_config

    config = read_config(compose(arguments.overrides)).of_task
    checked = check_gradient(config)
    tolerance = TOLERANCES[config.training.dtype]
    is_right = checked.complex_step <= tolerance  # of the two the one without an error of its own
    verdict = "right" if is_right else "wrong"
    if arguments.json:
        result = {"n_params": checked.n_params, "central_difference": checked.central_difference}
        result |= {"complex_step": checked.complex_step, "seconds": checked.seconds, "verdict": verdict}
        print(json.dumps(result))
    else:
        print_table(checked)
        if config.model.activation == "relu" and checked.central_difference > tolerance:
            print("central differences across a kink of relu give the mean of two slopes; the complex step does not")
        print(f"the gradient is {verdict}: {'within' if is_right else 'not within'} {tolerance:g} by complex step")
    return ExitStatus.DONE if is_right else ExitStatus.DIFFERENT


def check_gradient(config: Any) -> Any:
    """The check of a config's network on its training part, at the weights that a run would start from."""
    import numpy as np

    from nnexp.blas import blas_threads
    from nnexp.nn import Objective, full_check, initialize
    from nnexp.tasks.network.data import layer_sizes_of, load, split_of

    dataset = load(config)
    train = split_of(config, dataset).train
    layer_sizes = layer_sizes_of(config, dataset)
    check_resources(layer_sizes, len(train))
    theta = initialize(layer_sizes, config.model.init_scale, np.random.default_rng(config.seed))
    settings = {"activation": config.model.activation, "l2": config.model.l2}
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
    import numpy as np

    from nnexp.nn import gradient_check_bytes, gradient_check_seconds, n_parameters, objective_bytes
    from nnexp.optim import available_bytes
    from nnexp.readers import ConfigError

    needed = objective_bytes(layer_sizes, n_samples, np.dtype(float)) + gradient_check_bytes(layer_sizes, n_samples)
    available, seconds = available_bytes(), gradient_check_seconds(layer_sizes, n_samples)
    if seconds > LONGEST or (available is not None and needed > available):
        there = "" if available is None else f" ({available / 1e9:.1f} GB are available)"
        raise ConfigError(
            f"`model.hidden_size` makes {n_parameters(layer_sizes):,} parameters, whose check one by one takes about "
            f"{seconds / 3600:,.0f} hours and {needed / 1e9:.1f} GB{there}; check a smaller network"
        )


def print_table(checked: Any) -> None:
    """The relative differences a layer and over all."""
    head = ("layer", "parameters", "central difference", "largest", "complex step", "largest")
    lines = [
        _cells(
            str(layer.layer), layer.n_params,
            layer.central_relative, layer.central_max, layer.complex_relative, layer.complex_max,
        )
        for layer in checked.layers
    ]  # fmt: skip
    largest = [max(getattr(layer, name) for layer in checked.layers) for name in ("central_max", "complex_max")]
    total = (checked.central_difference, largest[0], checked.complex_step, largest[1])
    lines.append(_cells("all", checked.n_params, *total))
    widths = [max(len(row[i]) for row in [head, *lines]) for i in range(len(head))]
    print("relative difference |numerical - gradient| / |numerical + gradient|, and the largest absolute difference")
    for row in [head, *lines]:
        print("  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)))
    print(f"in {clock(checked.seconds)}")


def _cells(name: str, n_params: int, *differences: float) -> tuple[str, ...]:
    return (name, str(n_params), *(f"{difference:.2e}" for difference in differences))
