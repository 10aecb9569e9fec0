"""How the networks of a report were trained and on what, from the params of its runs, for the methods paragraph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnexp.comparison.citing import Sentence
from nnexp.comparison.settings import SEED, Frame, Group, is_number, plain
from nnexp.comparison.values import distinct, of_param
from nnexp.comparison.wording import listed
from nnexp.tasks.network.report import replicates
from nnexp.tasks.network.report.keys import METHOD, OPTIONS
from nnexp.tasks.network.report.replicates import FOLDS, NONE, SPLIT_SEED, TEST_SIZE, VALIDATION_SIZE

UNIFORM = "uniformly from (−{0}, {0})"


def about_training(group: Group) -> list[Sentence]:
    """The network, its cost, the method and its budget; the data and how they were split."""
    runs = group.runs
    return [(text,) for text in (_network(runs), _method(runs), *_data(group, runs)) if text]


def _network(runs: Frame) -> str:
    width, activation = of_param(runs, "model.hidden_size"), of_param(runs, "model.activation") or "sigmoid"
    hidden = f"{width} hidden units ({activation})" if width else "hidden units"
    penalty = of_param(runs, "model.l2")
    return (
        f"Feed-forward networks with {hidden} and one sigmoid output for each class were trained by minimizing the "
        "cross-entropy, summed over the outputs and averaged over the m training samples, plus λ / (2 m) times the sum "
        f"of the squared weights without the biases{f', with λ = {penalty}' if penalty else ''}."
    )


def _method(runs: Frame) -> str:
    scale = of_param(runs, "model.init_scale")
    start = {"": "", "glorot": " from a random start by Glorot's rule"}.get(scale)
    start = f" from a start drawn {UNIFORM.format(scale)}" if start is None else start
    if len(distinct(runs, "model.init_scale")) > 1:
        start = f" from a start drawn {UNIFORM.format('s')}, with s of {scale}"
    if "glorot" in scale and scale != "glorot":
        start = f" from a random start (scale {scale})"
    budgets = [
        f"{of_param(runs, key)} {unit}"
        for key, unit in (("optimizer.maxiter", "iterations"), ("optimizer.maxfun", "evaluations of cost and gradient"))
        if of_param(runs, key)
    ]
    most = f", for at most {' and '.join(budgets)}" if budgets else ""
    options = [f"{key.removeprefix(OPTIONS)} {of_param(runs, key)}" for key in sorted(runs) if key.startswith(OPTIONS)]
    chosen = [text for text in options if not text.endswith(" ")]
    dtype = of_param(runs, "training.dtype")
    methods = distinct(runs, METHOD)  # each by its name, however many: what was done is told in whole
    is_one = len(methods) < 2
    return (
        f"The method{' was' if is_one else 's were'} {listed(methods) if methods else 'not recorded'}{start}{most}"
        + (f"; {'its' if is_one else 'their'} options: {', '.join(chosen)}" if chosen else "")
        + (f"; the arithmetic was {dtype}." if dtype else ".")
    )


def _data(group: Group, runs: Frame) -> Sequence[str]:
    name, kind = of_param(runs, "data.name"), _kind(runs)
    folds = of_param(runs, FOLDS)
    learned = f"The networks learned the data set {name}." if name else "Which data set was learned is not recorded."
    said: list[str] = []
    test, validation = _percent(runs, TEST_SIZE), _percent(runs, VALIDATION_SIZE)
    if folds and folds not in NONE:
        said.append(_cross_validation(runs, kind))
    elif test:
        said.append(f"{test} of the samples{kind} were held out for testing")
    elif group.choice.part not in ("test", "validation"):
        said.append("Nothing was held out: the figures are of the training samples")
    if validation:
        said.append(f"{validation} of the {'rest' if said else 'samples'} were held out for the choice of the setting")
    scale = of_param(runs, "data.scale")
    scaled = f"The features were scaled ({scale}) by the training part." if scale not in ("", "none") else ""
    split = of_param(runs, SPLIT_SEED)
    seeds = f"the seed ({of_param(runs, SEED)})"
    if split and split not in NONE:
        drawn = f"The start is drawn by {seeds}, the split by a seed of its own ({split})"
    else:
        drawn = f"{'The split and the start are' if test or folds else 'The start is'} drawn by {seeds}"
    return [learned, f"{'; '.join(said)}." if said else "", scaled, f"{drawn}."]


def _cross_validation(runs: Frame, kind: str) -> str:
    """Which folds were held out, and whether that is each sample once."""
    folds = distinct(runs, FOLDS)
    tested: dict[Any, set[Any]] = {}
    for run in runs.to_dict("records"):
        replicate = dict(replicates.of_run(run))
        tested.setdefault(replicate.get("split", replicate.get(SEED)), set()).add(replicate.get("fold"))
    name, every = f"{listed(folds)}-fold cross-validation{kind}", set[Any].union(*tested.values())
    if len(folds) > 1:
        return f"Each run of {name} held out one fold for testing"
    if any(len(found) < int(folds[0]) for found in tested.values()):
        held_out = f"fold{'s' * (len(every) > 1)} {listed([str(fold) for fold in sorted(every)])}"
        return f"Of {name} only {held_out} {'were' if len(every) > 1 else 'was'} held out for testing, one in each run"
    times = f", repeated {len(tested)} times with a split of its own each" if len(tested) > 1 else ""
    return f"{name} held out each sample once for testing{times}"


def _kind(runs: Frame) -> str:
    """How the held-out part is drawn, as far as the runs have recorded it."""
    kind = of_param(runs, "data.split") or "stratified"
    return {
        "stratified": ", stratified by class,",
        "ordered": ", contiguous in the order of the file,",
        "grouped": ", by whole groups,",
    }.get(kind, f" (split {kind})")


def _percent(runs: Frame, key: str) -> str:
    """A share of the samples; "" for none."""
    values = {float(value) for value in (map(plain, runs[key]) if key in runs else ()) if is_number(value)}
    return " or ".join(f"{100 * value:g} %" for value in sorted(values)) if any(values) else ""
