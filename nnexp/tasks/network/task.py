"""The built-in task: the exercise's network, trained by any method of :mod:`nnexp.optim`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnexp import own
from nnexp.copies import original_of
from nnexp.datasets import GROUPED, About, Dataset, Split
from nnexp.readers import ConfigError
from nnexp.signals import undisturbed
from nnexp.tasks.interface import Code, Described, Ending, EvaluatedRun, Report, Run, Task
from nnexp.tasks.network import data, rounding
from nnexp.tasks.network.activation import activation_of
from nnexp.tasks.network.config import ADDED, BOOKKEEPING, HOLDING_OUT, OPTIONS, NetworkConfig, code_of, read
from nnexp.tasks.network.presentation import NetworkPresentation, Progress
from nnexp.tasks.network.results import arrays_of, ending_of
from nnexp.tasks.network.training import Row, fit
from nnexp.tasks.presentation import MetricSpec, Presentation

if TYPE_CHECKING:
    from nnexp.comparison.spec import ComparisonSpec

WEIGHTS = "weights.npz"
SHARED_UNLESS = ("seed", "data")  # swept, each job has training samples of its own
ROW = ("step", "time", "seconds")  # of a row of the history, what is no metric
NAMED_GROUPS = ("data", "model", "optimizer", "training")  # whose keys decide what a run is
IN_NAME = ("data.name", "data.cache", "optimizer.method", "model.l2", "model.hidden_size")
REPLICATE_KEYS = ("seed", "data.split_seed", "data.fold")
# Keys of what is done with a data set.
PARTITION = (
    "data.test_size", "data.validation_size", "data.scale", "data.split", "data.split_seed", "data.folds", "data.fold",
    "data.groups",
)  # fmt: skip
LONGEST_NAME = 120  # letters


def _share(name: str) -> MetricSpec:
    return MetricSpec(name, "%", higher_is_better=True, is_share=True)


def _calibration(part: str, name: str) -> dict[str, MetricSpec]:
    return {
        f"brier/{part}": MetricSpec(f"{name} Brier score", higher_is_better=False),
        f"ece/{part}": MetricSpec(f"{name} calibration error", "%", higher_is_better=False, is_share=True),
    }


def _nats(name: str) -> MetricSpec:
    return MetricSpec(name, "nats per sample", higher_is_better=False)


METRICS = {
    "accuracy/validation": _share("validation accuracy"),
    "accuracy/test": _share("test accuracy"),
    "accuracy/train": _share("training accuracy"),
    "loss/validation": _nats("validation loss"),
    "loss/test": _nats("test loss"),
    "loss/train": _nats("training loss"),
    "cost/train": _nats("training cost"),
    "f1/test": _share("test f1"),
    "n_iter": MetricSpec("iterations", is_count=True),
    "fit_seconds": MetricSpec("fit", "s", is_clock=True),
    "f1/validation": _share("validation f1"),
    "f1/train": _share("training f1"),
    "optimizer/n_fev": MetricSpec("evaluations", is_count=True),
    "optimizer/gradient_norm": MetricSpec("gradient norm"),
    **_calibration("test", "test"),
    **_calibration("validation", "validation"),
    **_calibration("train", "training"),
}


class Network(Task[NetworkConfig]):
    """Back-propagation on a classification data set."""

    name = "network"
    groups = NAMED_GROUPS
    bookkeeping = BOOKKEEPING
    named_by_content = ("data.path",)
    places = ("data.cache",)
    chosen_by = {"data": "data.name", "optimizer": "optimizer.method"}  # noqa: RUF012 - never changed
    tells_progress = True
    options = OPTIONS
    data_group = "data"
    data_handling = (*PARTITION, "data.cache")
    replicate_keys = REPLICATE_KEYS
    added = ADDED
    weights = WEIGHTS
    compared = {WEIGHTS: ("theta0", "theta")}  # noqa: RUF012
    objective, search_objective = "accuracy/test", "loss/validation"
    metrics = METRICS

    def __init__(self) -> None:
        self._prepared: tuple[NetworkConfig, Dataset, Split] | None = None  # of the run that is being made

    @property
    def presentation(self) -> Presentation:
        """How its runs are shown."""
        return NetworkPresentation(self.metrics)

    @property
    def comparison(self) -> ComparisonSpec:
        """How its runs are compared."""
        from nnexp.tasks.network.report import NetworkComparison

        return NetworkComparison(self.metrics, self.ranking)

    def read(self, tree: Mapping[str, Any], folder: str | Path | None = None) -> NetworkConfig:
        """The config, checked."""
        return read(tree, folder)

    def deciding(self, config: NetworkConfig) -> Mapping[str, Any]:
        """The params."""
        return config.deciding()

    def code(self, config: NetworkConfig) -> Code:
        """The mathematics, the methods, the data sets and the training loop."""
        return code_of(config)

    def data_name(self, config: NetworkConfig, *, as_file: bool = False) -> str:
        """The data set's name or file."""
        path = config.data.source.get("path") if as_file else None
        return original_of(path) if path else config.data.name

    def threads(self, config: NetworkConfig) -> int:
        """Threads among which the objective divides the samples."""
        return config.training.threads

    def data_digest(self, config: NetworkConfig, cache: dict[Any, Any] | None = None) -> str:
        """The digest of the data set, which is seen to split, and to fit the network and the memory."""
        if cache is None:
            dataset, split = self._prepare(config)
            about, n_train = About.of(dataset), len(split.train)
        else:
            source = ("source", config.data.name, str(sorted(config.data.loading.items())))
            about = cache.setdefault(source, None) or data.about(config)
            cache[source] = about
            n_train = _n_train(config, about, source, cache)
        data.check_memory_of(config, about, n_train)
        return about.digest

    def _prepare(self, config: NetworkConfig) -> tuple[Dataset, Split]:
        """The data of a run, loaded once for all that is done with its config."""
        if self._prepared is None or self._prepared[0] is not config:
            dataset = data.load(config)
            self._prepared = (config, dataset, data.split_of(config, dataset))
        return self._prepared[1:]

    def title(self, config: NetworkConfig, overrides: Sequence[str]) -> str:
        """A run's name: data, method, lambda, hidden units and seed, and whatever else was asked for."""
        what = f"{own.last_name(config.data.name)} {own.last_name(config.optimizer.method)}"
        name = f"{what} λ={config.model.l2:g} H={config.model.hidden_size}"
        is_whole = not config.data.test_size and not config.data.validation_size
        name += f" seed={config.seed}" + " whole data" * is_whole
        for override in overrides:
            key = override.lstrip("+~").partition("=")[0]
            group = key.partition(".")[0]
            is_said = key in IN_NAME or (is_whole and key == "data.test_size")
            if "." in key and group in NAMED_GROUPS and not is_said:
                name += f" {own.short(override.lstrip('+~'))}"
        return name[:LONGEST_NAME]

    def details(self, config: NetworkConfig) -> Mapping[str, Any]:
        """The data and the network, as far as they are needed to draw what was trained."""
        dataset, split = self._prepare(config)
        source = config.data.loading
        is_file = isinstance(path := source.get("path"), str)
        as_given = {**source, "path": original_of(path)} if is_file else source
        return {
            "data": {"name": config.data.name, **source},
            "split": config.parts,
            "layer_sizes": list(data.layer_sizes_of(config, About.of(dataset))),
            "activation": config.model.activation,
            "dtype": config.training.dtype,
            "dataset": data.dataset_input(dataset, split, as_given),
        }

    def train(self, run: Run, config: NetworkConfig) -> Ending:
        """Fit, and keep the history row by row and the weights at the end."""
        _, split = self._prepare(config)
        self._prepared = None
        if not run.is_quiet and config.data.scale == "none":
            data.hint_at_scaling(split)
        split = _shared(run, split, config)
        progress = Progress(config.optimizer.maxiter, config.optimizer.maxfun, quiet=run.is_quiet)

        def keep(row: Row) -> None:
            run.log({key: value for key, value in row.items() if key not in ROW}, int(row["step"]), time=row["time"])
            progress.update(row)

        try:
            result = fit(
                split,
                hidden_sizes=config.model.hidden_sizes,
                activation=activation_of(config.model.activation),
                l2=config.model.l2,
                init_scale=config.model.init_scale,
                method=config.optimizer.method,
                maxiter=config.optimizer.maxiter,
                maxfun=config.optimizer.maxfun,
                options=config.optimizer.options,
                dtype=config.training.dtype,
                threads=config.training.threads,
                evaluate_every=config.training.evaluate_every,
                images_every=config.training.images_every,
                seed=config.seed,
                on_row=keep,
            )
        finally:
            progress.close()
        with undisturbed():
            run.save(WEIGHTS, **arrays_of(result, split))
            return ending_of(config, result, split)

    def counters(self, row: Mapping[str, float]) -> Mapping[str, int]:
        """Iterations and evaluations."""
        return {"n_iter": int(row.get("step", 0)), "n_fev": int(row.get("optimizer/n_fev", 0))}

    def ranking(self, metrics: Sequence[Mapping[str, float]], params: Sequence[Mapping[str, Any]]) -> Sequence[str]:
        """By accuracy: of the validation part where all have one, else of the test part; the loss breaks ties.

        Where nothing is held out, by the training cost at one lambda. It is lowest without a penalty, whatever the
        data, and so no merit where lambda differs. What is held out in different ways says nothing of the settings.
        """
        if any(len({str(each.get(key, ADDED[key])) for each in params}) > 1 for key in HOLDING_OUT):
            return []
        tested = [each for each in metrics if "accuracy/test" in each]
        if metrics and all("accuracy/validation" in each for each in tested or metrics):
            return ["accuracy/validation", "loss/validation"]
        if tested:
            return ["accuracy/test", "loss/test"]
        return ["cost/train", "loss/train"] if metrics and len({str(p.get("model.l2")) for p in params}) == 1 else []

    def about_selection(self, metric: str, n_settings: int) -> str:
        """That the test part flatters what was chosen on it."""
        from nnexp.tasks.network.report.sentences import SELECTED_ON_TEST

        return (
            SELECTED_ON_TEST.format(why="There is no validation part", n=n_settings)
            if metric == "accuracy/test"
            else ""
        )

    def data_label(self, params: Mapping[str, Any]) -> str:
        """The data set and where it comes from."""
        keys = sorted(key for key in params if key.startswith("data.") and key not in PARTITION)
        return " ".join(f"{key}={params[key]}" for key in keys)

    def refuse_objective(self, metric: str, config: NetworkConfig) -> None:
        """A metric of the validation part needs one."""
        if metric.endswith("/validation") and not config.data.validation_size:
            raise ConfigError("`data.validation_size` must be > 0 for a search by its validation part, got 0")

    def tolerance(self, key: str, step: int | None, params: Mapping[str, Any]) -> float:
        """What may be rounding."""
        return rounding.tolerance(key, step, params)

    def prepare_to_describe(self, directory: Any) -> None:
        """Load data and fonts."""
        from nnexp.tasks.network.description import prepare

        prepare(directory)

    def describe(self, directory: Any) -> Described:
        """Reports, tables and figures of an ended run."""
        from nnexp.tasks.network.description import describe

        return describe(directory)

    def evaluate(self, path: Path, config: NetworkConfig, run: EvaluatedRun[NetworkConfig] | None = None) -> Report:
        """Cost and report of weights on the held-out part, or on all data where nothing is held out."""
        from nnexp.tasks.network.evaluate import evaluate, evaluate_run

        return evaluate(path, config) if run is None else evaluate_run(path, config, run)

    def predictor(self, directory: Any) -> Callable[[Any], Any]:
        """The trained network, from samples to labels."""
        from nnexp.tasks.network.prediction import Predictor

        return Predictor.of(directory)

    def gradcheck(self, config: NetworkConfig) -> Report:
        """Every parameter by central differences and by complex step."""
        from nnexp.tasks.network.gradcheck import gradcheck

        return gradcheck(config)


def _n_train(config: NetworkConfig, about: About, source: Any, cache: dict[Any, Any]) -> int:
    """How many samples are trained on; the data set is seen to split."""
    parts = {**config.parts}
    if config.data.split != GROUPED:
        del parts["seed"]  # on which neither the sizes of the parts depend, nor whether they can be made
    elif (key := (source, GROUPED)) not in cache:
        dataset = data.load(config)
        cache[key] = replace(dataset, X=np.zeros((len(dataset), 1)), image_shape=None)
    if (key := (source, *parts.values())) not in cache:
        stand_in = cache[source, GROUPED] if config.data.split == GROUPED else about.stand_in()
        cache[key] = len(data.split_of(config, stand_in).train)
    return cache[key]


def _shared(run: Run, split: Split, config: NetworkConfig) -> Split:
    """The split with the training samples in one copy for the workers of a machine.

    Two copies of the exercise's 13 MB overflow a third-level cache; with one, two workers are as fast as one alone.
    """
    unless = SHARED_UNLESS if config.data.split_seed is None else [key for key in SHARED_UNLESS if key != "seed"]
    X = run.shared("X", split.train.X, depends_on=unless)
    return split if X is split.train.X else replace(split, train=replace(split.train, X=X))
