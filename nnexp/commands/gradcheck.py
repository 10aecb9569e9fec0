"""`nnexp gradcheck`: the full numerical gradient check of the configured network, at its initial weights."""

from __future__ import annotations

import argparse
import json
from typing import Any

from nnexp.terminal import StatusLine, clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("overrides", nargs="*", help="config overrides, such as model.hidden_size=[40,20]")


def run(arguments: argparse.Namespace) -> int:
    """Check every parameter by central differences and by complex step, and print the table."""
    from nnexp.hydra_app import compose, read_config

    checked = check_gradient(read_config(compose(arguments.overrides)))
    if arguments.json:
        result = {"n_params": checked.n_params, "central_difference": checked.central_difference}
        print(json.dumps(result | {"complex_step": checked.complex_step, "seconds": checked.seconds}))
    else:
        print_table(checked)
    return 0


def check_gradient(config: Any) -> Any:
    """The check of a config's network on its training part, at the weights that a run would start from."""
    import numpy as np

    from nnexp.nn import Objective, full_check, initialize
    from nnexp.train import layer_sizes_of, load, split_of
    from nnexp.training import blas_threads

    dataset = load(config)
    train = split_of(config, dataset).train
    layer_sizes = layer_sizes_of(config, dataset)
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
