"""Reference runs: the lowest cost of a problem, as far as a long run of a strong method gets.

Within the budget that methods are compared by, nobody may have come close to the minimum, and the best of them would
still count as the one that solved the problem. A reference run begins at the same theta as they and goes on until it
converges. It is kept in a file of its own under its identity, the key that a run of its config would have, so that no
reference is trained twice, and a report that was interrupted goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nnexp import kernels
from nnexp.comparison.spec import Reader, References
from nnexp.datasets import Dataset
from nnexp.errors import one_line
from nnexp.optim import NonFiniteCostError
from nnexp.own import of_records
from nnexp.readers import ConfigError
from nnexp.runs import provenance
from nnexp.runs.directory import write_atomically
from nnexp.runs.files import RecordError, is_mapping, is_number, is_text, read_object, read_yaml, tell_once
from nnexp.runs.identity import Identity, array_digest, config_hash
from nnexp.runs.records import Record, stored
from nnexp.tasks.network import data
from nnexp.tasks.network.activation import activation_of
from nnexp.tasks.network.config import NetworkConfig, OptimizerConfig, code_of, read
from nnexp.tasks.network.presentation import Progress
from nnexp.tasks.network.report.keys import COST
from nnexp.tasks.network.report.problems import Problem
from nnexp.tasks.network.training import FitResult, fit
from nnexp.terminal import say

METHOD = "L-BFGS-B"
OPTIONS = {"maxcor": 30, "ftol": 0.0, "gtol": 1e-9}  # on until rounding ends the descent, with thrice the usual memory
RECORDED_CONFIG = "config/config.yaml"
SELDOM = 2**31 - 1  # iterations between evaluations of the held-out parts, which a reference does not need
# Relative difference of the costs at the start that may be rounding; beyond, it is another problem.
SAME_START = {"float64": 1e-9, "float32": 1e-4}


@dataclass(frozen=True)
class Reference(Record):
    """What the file of a reference run says.

    Attributes
    ----------
    key, config_hash, data_digest, code_digest : str
        Its identity.
    method, options, maxfun
        How it was trained.
    start, cost, gradient_norm : float
        The cost at the start, and cost and norm of the gradient at the best point.
    evaluations, iterations : int
        What it took.
    status, message : str
        How it ended.
    theta_digest : str
        Of its best point.
    arithmetic : dict of str to str
        BLAS kernel, NumPy and SciPy.
    seconds, made : float
        How long it took, and when it ended, in seconds since the epoch.
    params : dict
        The leaves of its config.
    """

    key: str = field(metadata=stored(is_text))
    config_hash: str = field(metadata=stored(is_text))
    data_digest: str = field(metadata=stored(is_text))
    code_digest: str = field(metadata=stored(is_text))
    method: str = field(metadata=stored(is_text))
    options: dict[str, Any] = field(metadata=stored(is_mapping))
    maxfun: int = field(metadata=stored(is_number))
    start: float = field(metadata=stored(is_number))
    cost: float = field(metadata=stored(is_number))
    gradient_norm: float = field(metadata=stored(is_number))
    evaluations: int = field(metadata=stored(is_number))
    iterations: int = field(metadata=stored(is_number))
    status: str = field(metadata=stored(is_text))
    message: str = field(metadata=stored(is_text))
    theta_digest: str = field(metadata=stored(is_text))
    arithmetic: dict[str, str] = field(metadata=stored(is_mapping))
    seconds: float = field(metadata=stored(is_number))
    made: float = field(metadata=stored(is_number))
    params: dict[str, Any] = field(metadata=stored(is_mapping))

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself: at a small gradient, or where rounding leaves no better point."""
        return self.status in ("converged", "failed")

    def is_of(self, problem: Problem) -> bool:
        """Whether it began at the cost at which the runs on a problem began."""
        allowed = SAME_START.get(str(self.params.get("training.dtype")), SAME_START["float32"])
        return abs(self.start - problem.start) <= allowed * abs(problem.start)


def of_problems(problems: Sequence[Problem], read_file: Reader, wanted: References) -> list[Reference | None]:
    """The reference of each problem: read where there is one, else trained; None where that cannot be.

    Raises
    ------
    KeyboardInterrupt
        At Ctrl-C. The references that were done by then are kept.
    """
    found: list[Reference | None] = []
    loaded: dict[str, Dataset] = {}
    for number, problem in enumerate(problems, 1):
        try:
            config = _config_of(problem, read_file, wanted.evaluations)
            identity = Identity(config_hash(config.deciding()), problem.data_digest, code_of(config).digest)
            path = wanted.folder / f"{identity.run_key}.json"
            reference = _read(path)
            if reference is None:
                what = f"reference {number} of {len(problems)}, {problem.data}, {problem.seed}"
                if problem.data_digest not in loaded:
                    loaded.clear()  # one data set at a time may be all that fits into the memory
                    loaded[problem.data_digest] = _load(config, problem)
                kernels.require(config.training.kernel)
                reference = _train(config, loaded[problem.data_digest], identity, what)
                write_atomically(path, json.dumps(reference.to_json(), indent=1))
            if not reference.is_of(problem):
                raise ConfigError(
                    f"it begins at a cost of {reference.start:.6g}, the runs at {problem.start:.6g}: they are of other "
                    "code or other data"
                )
        except (ValueError, NonFiniteCostError, OSError) as error:
            tell_once(f"no reference for a problem on {problem.data}: {one_line(error)}")
            reference = None
        found.append(reference)
    return found


def _config_of(problem: Problem, read_file: Reader, evaluations: int) -> NetworkConfig:
    """The config of a problem with the method of the references, from what one of its runs recorded."""
    trees = (read_file(attempt.run_id, RECORDED_CONFIG, _tree) for attempt in problem.attempts.values())
    tree = next((tree for tree in trees if tree is not None), None)
    if tree is None:
        raise ConfigError(f"no run on it has a {RECORDED_CONFIG}")
    optimizer = OptimizerConfig(METHOD, evaluations, evaluations, OPTIONS)
    with of_records(calls=True):
        config = read(tree | {"optimizer": asdict(optimizer)})  # a method of a user's own need not be found
    training = replace(config.training, threads=1, evaluate_every=1, images_every=0)  # which tell no problems apart
    return replace(config, training=training)


def _tree(content: bytes) -> dict[str, Any]:
    tree = read_yaml(content)
    if not isinstance(tree, dict):
        raise ValueError("it is no mapping")
    return tree  # pyright: ignore[reportUnknownVariableType] - checked key by key as it is read


def _read(path: Path) -> Reference | None:
    """A reference that was kept; None where there is none, or it is damaged, which is told."""
    try:
        return Reference.from_json(path, read_object(path))
    except FileNotFoundError:
        return None
    except RecordError as error:
        say(f"{one_line(error)}; trained anew")
        return None


def _load(config: NetworkConfig, problem: Problem) -> Dataset:
    dataset = data.load(config)
    if dataset.digest != problem.data_digest:
        raise ConfigError("the data have changed since its runs were made")
    return dataset


def _train(config: NetworkConfig, dataset: Dataset, identity: Identity, what: str) -> Reference:
    """A reference run, told on standard error."""
    progress, begun = Progress(config.optimizer.maxiter, config.optimizer.maxfun, what=what), time.perf_counter()
    try:
        result = fit(
            data.split_of(config, dataset),
            hidden_sizes=config.model.hidden_sizes,
            activation=activation_of(config.model.activation),
            l2=config.model.l2,
            init_scale=config.model.init_scale,
            method=config.optimizer.method,
            maxiter=config.optimizer.maxiter,
            maxfun=config.optimizer.maxfun,
            options=config.optimizer.options,
            dtype=config.training.dtype,
            evaluate_every=SELDOM,
            seed=config.seed,
            on_row=progress.update,
        )
    finally:
        progress.close()
    if result.status == "interrupted":
        raise KeyboardInterrupt
    seconds = time.perf_counter() - begun
    say(f"{what}: cost {result.cost:.6g} after {result.n_fev:,} evaluations ({result.status}, {seconds:.1f} s)")
    return _record(config, identity, result, seconds)


def _record(config: NetworkConfig, identity: Identity, result: FitResult, seconds: float) -> Reference:
    history = result.history
    kept = history["step"] == result.kept_iter  # the last row, unless the method has gone uphill since
    return Reference(
        key=identity.run_key,
        config_hash=identity.config_hash,
        data_digest=identity.data_digest,
        code_digest=identity.code_digest,
        method=config.optimizer.method,
        options=dict(config.optimizer.options),
        maxfun=config.optimizer.maxfun,
        start=float(history[COST][0]),
        cost=result.cost,
        gradient_norm=float(history["optimizer/gradient_norm"][kept][-1]),
        evaluations=result.n_fev,
        iterations=result.n_iter,
        status=result.status,
        message=result.message,
        theta_digest=array_digest(result.theta),
        arithmetic=provenance.arithmetic(),
        seconds=seconds,
        made=time.time(),
        params=config.deciding(),
    )
