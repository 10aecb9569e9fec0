"""The verdict on two sets of numbers, and the names of what has changed."""

import numpy as np
import pytest

from nnexp.rerun import compare as comparison
from nnexp.rerun.changes import Made, changes, other_code
from nnexp.rerun.compare import Numbers
from nnexp.tasks.interface import Task
from nnexp.tasks.network.task import Network
from nnexp.tasks.presentation import MetricSpec

EPS = {"float64": 2.0**-52, "float32": 2.0**-23}


def numbers(*, n_rows=6, factors=(), theta_factor=1.0, dtype="float64", predictions="p", n_fev=1, **cells):
    """A made-up run; row i is multiplied by `factors[i]`."""
    rows = []
    for i in range(n_rows):
        factor = factors[i] if i < len(factors) else 1.0
        row = {"step": float(i), "time": np.random.default_rng().uniform(), "seconds": 0.1 * i}
        row |= {"cost/train": (3.0 - 0.3 * i) * factor, "optimizer/n_fev": float(n_fev * i + 1)}
        rows.append(row)
    for name, (i, value) in cells.items():
        rows[i][name] = value
    theta0 = np.linspace(-0.1, 0.1, 9)
    arrays = {"theta0": theta0, "theta": theta0 * 7 * theta_factor}
    digests, params = {"predictions": predictions}, {"training.dtype": dtype}
    return Numbers(rows, arrays, digests=digests, params=params)


def compare(old, new):
    return comparison.compare(old, new, Network())


def test_equal_bits_are_identical_whatever_the_clocks_say():
    outcome = compare(numbers(), numbers())
    assert (outcome.verdict, outcome.difference) == ("identical", None)


@pytest.mark.parametrize(
    "other",
    [
        numbers(factors=[1, 1, 1, 1 + EPS["float64"]]),
        numbers(theta_factor=1 + EPS["float64"]),
        numbers(extra=(3, 1.0)),
        numbers(n_rows=5),
        numbers(n_fev=2),
        numbers(predictions="q"),
    ],
    ids=["history", "theta", "column", "rows", "evaluations", "predictions"],
)
def test_the_least_difference_is_not_identical(other):
    assert compare(numbers(), other).verdict != "identical"


def test_a_zero_of_the_other_sign_is_not_identical():
    old, new = numbers(extra=(2, 0.0)), numbers(extra=(2, -0.0))
    assert compare(old, new).verdict == "equal within rounding"


def test_a_weight_of_zero_of_the_other_sign_is_not_identical():
    old, new = numbers(), numbers()
    old.arrays["theta"][4], new.arrays["theta"][4] = 0.0, -0.0
    assert compare(old, new).verdict == "equal within rounding"


@pytest.mark.parametrize(("dtype", "grown"), [("float64", 5e-7), ("float32", 5e-4)])
def test_rounding_that_grows_but_stays_small_is_equal_within_rounding(dtype, grown):
    new = numbers(factors=[1 + 2 * EPS[dtype], 1, 1 + grown / 10, 1 + grown], theta_factor=1 + grown, dtype=dtype)
    outcome = compare(numbers(dtype=dtype), new)
    assert outcome.verdict == "equal within rounding"
    assert outcome.difference.first == 0
    assert outcome.difference.largest == pytest.approx(grown, rel=0.1)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_difference_at_the_start_is_none_of_rounding(dtype):
    """Later the same size would pass: at iteration 0 no optimizer has amplified anything."""
    size = 1e-9 if dtype == "float64" else 5e-4
    old = numbers(dtype=dtype)
    assert compare(old, numbers(factors=[1 + size], dtype=dtype)).verdict == "different"
    assert compare(old, numbers(factors=[1, 1 + size], dtype=dtype)).verdict == "equal within rounding"


def test_another_initial_theta_is_different():
    new = numbers()
    new.arrays["theta0"] = new.arrays["theta0"] * (1 + 1e-9)
    assert compare(numbers(), new).verdict == "different"


def test_rounding_that_grew_too_much_is_different_and_told_from_its_small_beginning():
    outcome = compare(numbers(), numbers(factors=[1, 1, 1 + 1e-15, 1 + 1e-9, 1 + 1e-2]))
    assert outcome.verdict == "different"
    assert (outcome.difference.first, outcome.difference.iteration) == (2, 4)
    assert outcome.difference.first_size < 1e-15
    assert "the first at iteration 2, of " in str(outcome)


@pytest.mark.parametrize("other", [numbers(n_fev=2), numbers(n_rows=7), numbers(extra=(3, 1.0))])
def test_other_counts_or_values_that_are_missing_are_different(other):
    assert compare(numbers(), other).verdict == "different"


def test_other_predictions_of_equal_weights_are_different():
    outcome = compare(numbers(), numbers(predictions="q"))
    assert (outcome.verdict, outcome.difference.quantity) == ("different", "predictions")


def test_an_interrupted_run_is_compared_as_far_as_it_goes():
    cut = Numbers(numbers(n_rows=3).rows, is_cut_off=True)
    outcome = compare(cut, numbers())
    assert (outcome.verdict, outcome.compared) == ("identical", "3 rows of the history")
    assert compare(cut, numbers(factors=[1, 1, 1.1])).verdict == "different"
    assert compare(cut, numbers(n_rows=2)).verdict == "different"


class Other(Task):
    """A task that counts, and measures a time."""

    metrics = {"n_calls": MetricSpec(is_count=True), "wall": MetricSpec(is_clock=True)}  # noqa: RUF012 - never changed


@pytest.mark.parametrize(
    ("new", "verdict"),
    [
        ({"n_calls": 2, "wall": 9.0}, "identical"),
        ({"n_calls": 3}, "different"),
        ({"loss": 0.5 + 1e-9}, "equal within rounding"),
        ({"loss": 0.6}, "different"),
        ({"of a newer version": 1.0}, "identical"),
    ],
)
def test_a_task_says_what_is_a_clock_and_what_a_count(new, verdict):
    old = {"loss": 0.5, "n_calls": 2, "wall": 1.0}
    made = [Numbers([{"step": 0.0, **metrics}], metrics=metrics) for metrics in (old, old | new)]
    made[1] = Numbers(made[0].rows, metrics=made[1].metrics)
    assert comparison.compare(*made, Other()).verdict == verdict


ENVIRONMENT = {
    "nnexp": "0.1",
    "modules": {"nn/objective.py": "a", "optim/bfgs.py": "b"},
    "packages": {"scipy": "1.15", "rich": "13"},
    "blas": [{"owner": "numpy", "library": "openblas", "version": "0.3", "kernel": "Haswell", "threads": 1}],
    "cpu": "A",
    "simd": ["AVX2"],
    "python": "3.11",
    "system": "Linux",
}
MADE = Made({"model.l2": 1.0, "optimizer.maxiter": 20}, "digits", "d1", ENVIRONMENT)


def made(params=None, digest="d1", **environment):
    return Made(params or MADE.params, "digits", digest, ENVIRONMENT | environment)


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (made(), []),
        (made({"model.l2": 3.0, "optimizer.maxiter": 20}), ["config: model.l2 1.0 -> 3.0"]),
        (made({"model.l2": 1.0}), ["config: optimizer.maxiter was 20, now not there"]),
        (made({**MADE.params, "model.dropout": 0}), ["config: model.dropout was not there, now 0"]),
        (made(digest="d2"), ["data: digits has another content, digest d1 -> d2"]),
        (
            made(modules={"nn/objective.py": "x", "nn/new.py": "c"}),
            ["code: nn/new.py (new), nn/objective.py, optim/bfgs.py (gone)"],
        ),
        (
            made(packages={"scipy": "1.16", "rich": "14"}),
            ["package: scipy 1.15 -> 1.16", "other packages: rich 13 -> 14"],
        ),
        (made(packages={"scipy": "1.15"}), ["other packages: rich 13 -> not installed"]),
        (
            made(blas=[ENVIRONMENT["blas"][0] | {"kernel": "SkylakeX"}]),
            ["BLAS of numpy: openblas 0.3 Haswell -> openblas 0.3 SkylakeX"],
        ),
        (made(blas=[ENVIRONMENT["blas"][0] | {"threads": 4}]), ["threads of numpy's BLAS: 1 -> 4"]),
        (made(cpu="B"), ["CPU: A -> B"]),
        (made(simd=[]), ["CPU instruction sets of NumPy: AVX2 -> "]),
        (made(python="3.12"), ["Python: 3.11 -> 3.12"]),
        (made(system="Darwin"), ["OS: Linux -> Darwin"]),
        (made(nnexp="0.2"), ["nnexp: 0.1 -> 0.2"]),
    ],
)
def test_each_change_is_named(new, expected):
    assert changes(MADE, new) == expected


def test_another_commit_is_the_last_suspect():
    clean, dirty = ({"git": {"commit": "c" * 40, "branch": "main", "dirty": is_dirty}} for is_dirty in (False, True))
    assert changes(made(**clean), made(**dirty)) == []
    assert other_code(clean, clean) == other_code({}, clean) == []
    [line] = other_code(clean, dirty)
    assert line.endswith("commit cccccccccccc -> cccccccccccc with changes")


def test_values_from_the_store_are_texts_and_equal_their_numbers():
    stored = Made({"model.l2": "1", "optimizer.maxiter": "20"}, "digits", "d1", ENVIRONMENT)
    assert changes(stored, MADE) == []
    lists = [Made({"model.hidden_size": value}, "digits", "d1", ENVIRONMENT) for value in ("[5, 4]", [5, 4])]
    assert changes(*lists) == []


def test_an_environment_that_was_not_recorded_is_told():
    [line] = changes(Made(MADE.params, "digits", "d1"), MADE)
    assert line.startswith("environment: not recorded")
