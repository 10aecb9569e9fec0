import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nnexp.nn import ACTIVATIONS, Objective, objective
from tests.tools.waiting import HANGING

from .reference import Problem, assert_close

SHALLOW_TO_DEEP = [(6, 3), (6, 5, 3), (6, 7, 4, 3), (5, 3, 8, 4, 2)]
DEPTH = pytest.mark.parametrize("sizes", SHALLOW_TO_DEEP, ids=str)
ACTIVATION = pytest.mark.parametrize("activation", ACTIVATIONS)
ODD = [
    Problem((6, 5, 3), n_samples=1),
    Problem((6, 1, 3), n_samples=5),
    Problem((6, 5, 1), n_samples=64),
    Problem((1, 1, 1), n_samples=2),
    Problem((30, 70, 20, 130), "tanh", n_samples=333, scale=0.1),
    Problem((40, 25, 10), n_samples=2501, scale=0.2),
    Problem((40, 25, 33, 10), "relu", n_samples=5051, scale=0.1),
    Problem((500, 64, 3), n_samples=130, scale=0.1),
]


def evaluate(problem, theta=None, **keywords):
    return Objective(*problem.arguments, **problem.keywords | keywords)(problem.theta if theta is None else theta)


@ACTIVATION
@DEPTH
def test_the_gradient_agrees_with_central_differences_of_the_cost(sizes, activation):
    problem, h = Problem(sizes, activation), 1e-5
    fun = Objective(*problem.arguments, **problem.keywords)
    steps = h * np.eye(problem.theta.size)
    numerical = [(fun(problem.theta + step)[0] - fun(problem.theta - step)[0]) / (2 * h) for step in steps]
    assert_close(fun(problem.theta)[1], numerical, rtol=1e-8)


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("problem", ODD, ids=lambda p: f"{p.n_samples} x {p.sizes}")
def test_it_equals_the_plain_form_for_any_size(problem):
    theta = problem.theta.astype(np.longdouble)
    cost, gradient = evaluate(problem)
    np.testing.assert_allclose(cost, float(problem.cost(theta)), rtol=1e-13)
    assert_close(gradient, problem.gradient(theta).astype(float), rtol=1e-13)


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("problem", ODD, ids=lambda p: f"{p.n_samples} x {p.sizes}")
def test_float32_equals_the_plain_form_to_its_precision(problem):
    cost, gradient = evaluate(problem, dtype=np.float32)
    np.testing.assert_allclose(cost, problem.cost(problem.theta), rtol=1e-5)
    assert_close(gradient, problem.gradient(problem.theta), rtol=2e-5)
    assert isinstance(cost, float)
    assert gradient.dtype == np.float64


@pytest.mark.parametrize("sizes", [(6, 5, 3), (6, 7, 4, 3)], ids=str)
def test_cost_and_gradient_are_those_of_scikit_learn(sizes):
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    problem = Problem(sizes, l2=0.3, n_samples=50)
    X, Y = problem.X, problem.Y.astype(int)
    peer = MLPClassifier(sizes[1:-1], activation="logistic", solver="lbfgs", alpha=problem.l2, max_iter=4)
    with pytest.warns(ConvergenceWarning):
        peer.fit(X, Y)
    assert peer.loss == "binary_log_loss" or peer.out_activation_ == "logistic"
    theta = np.concatenate(
        [np.column_stack([b, w.T]).ravel() for w, b in zip(peer.coefs_, peer.intercepts_, strict=True)]
    )

    n_layers = len(sizes) - 1
    blank = [np.empty((len(X), size)) for size in sizes[1:]]
    grads = [np.empty_like(w) for w in peer.coefs_], [np.empty_like(b) for b in peer.intercepts_]
    loss, coefs, intercepts = peer._backprop(X, Y, None, [X, *blank], [None] * n_layers, *grads)
    expected = np.concatenate([np.column_stack([b, w.T]).ravel() for w, b in zip(coefs, intercepts, strict=True)])

    cost, gradient = evaluate(problem, theta)
    np.testing.assert_allclose(cost, loss, rtol=1e-13)
    np.testing.assert_allclose(cost, peer.loss_, rtol=1e-13)
    assert_close(gradient, expected, rtol=1e-13)


@pytest.mark.usefixtures("products")
@ACTIVATION
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [0.0, 1.0, 1e3, 1e6])
def test_no_theta_overflows(activation, dtype, size):
    problem = Problem((400, 25, 12, 10), activation, n_samples=60)
    problem.X = np.abs(problem.X)
    fun = Objective(*problem.arguments, **problem.keywords, dtype=dtype)
    for theta in (size * np.sign(problem.theta), np.full_like(problem.theta, size), np.full_like(problem.theta, -size)):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            cost, gradient = fun(theta)
            product = fun.hessp(theta, problem.v)
        assert np.isfinite(cost)
        assert cost >= fun.penalty(theta)
        assert np.all(np.isfinite(gradient))
        assert np.all(np.isfinite(product))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_outputs_sure_of_the_truth_cost_nothing_and_sure_of_the_opposite_their_logit(dtype):
    Y = np.array([[1.0, 0.0]])
    fun = Objective(np.ones((1, 1)), Y, (1, 2), dtype=dtype)
    right, wrong = np.array([0.0, 100, 0, -100]), np.array([0.0, -100, 0, 100])
    assert fun(right)[0] == 0
    assert fun(wrong)[0] == 200


def test_many_outputs_do_not_overflow_the_product_of_their_factors():
    Y = np.zeros((1, 2000))
    fun = Objective(np.ones((1, 1)), Y, (1, 2000), dtype=np.float32)
    np.testing.assert_allclose(fun(np.zeros(4000))[0], 2000 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(fun(np.full(4000, 100.0))[0], 2000 * 200, rtol=1e-6)


def test_biases_are_not_penalized():
    problem = Problem((6, 5, 3), l2=0)
    loss, gradient = evaluate(problem)
    penalized, penalized_gradient = evaluate(problem, l2=11.0)
    bias = np.zeros(problem.theta.size, bool)
    bias[[*range(0, 35, 7), *range(35, 53, 6)]] = True
    np.testing.assert_allclose(penalized - loss, 11 / (2 * 37) * np.sum(problem.theta[~bias] ** 2), rtol=1e-13)
    difference = penalized_gradient - gradient
    np.testing.assert_array_equal(difference[bias], 0)
    np.testing.assert_allclose(difference[~bias], 11 / 37 * problem.theta[~bias], rtol=1e-12)


def test_the_penalty_is_what_lambda_adds():
    problem = Problem((6, 7, 4, 3))
    fun = Objective(*problem.arguments, **problem.keywords)
    loss, _ = evaluate(problem, l2=0)
    np.testing.assert_allclose(fun.penalty(problem.theta), fun(problem.theta)[0] - loss, rtol=1e-12)


def test_the_order_of_the_samples_changes_nothing():
    problem = Problem((6, 5, 3), n_samples=100)
    cost, gradient = evaluate(problem)
    order = np.random.default_rng(1).permutation(100)
    problem.X, problem.Y = problem.X[order], problem.Y[order]
    shuffled_cost, shuffled_gradient = evaluate(problem)
    np.testing.assert_allclose(shuffled_cost, cost, rtol=1e-14)
    assert_close(shuffled_gradient, gradient, rtol=1e-14)


def test_arguments_are_not_changed_and_results_are_new_arrays():
    problem = Problem((6, 7, 4, 3))
    arrays = [problem.X, problem.Y, problem.theta, problem.v, np.arange(10)]
    before = [array.copy() for array in arrays]
    fun = Objective(*problem.arguments, **problem.keywords)
    calls = [
        lambda: fun(problem.theta)[1],
        lambda: fun.batch(problem.theta, arrays[-1])[1],
        lambda: fun.hessp(problem.theta, problem.v),
        lambda: fun.logits(problem.theta),
    ]
    for call in calls:
        first = call()
        kept = first.copy()
        for other in calls:
            other()
        fun(2 * problem.theta)
        np.testing.assert_array_equal(first, kept)
        assert not any(np.shares_memory(first, array) for array in arrays)
        first += 1
        np.testing.assert_array_equal(call(), kept)
    for array, original in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, original)


def test_samples_changed_afterwards_do_not_change_the_objective():
    problem = Problem((6, 5, 3))
    fun = Objective(*problem.arguments, **problem.keywords)
    cost, _ = fun(problem.theta)
    problem.X += 1
    problem.Y[:] = 1 - problem.Y
    assert fun(problem.theta)[0] == cost
    assert fun.batch(problem.theta, np.arange(37))[0] == pytest.approx(cost, rel=1e-14)


def test_read_only_aligned_samples_are_not_copied():
    memory = np.zeros(64 + 8 * 6 * 10, np.uint8)
    start = -memory.ctypes.data % 64
    X = memory[start : start + 480].view(float).reshape(10, 6)
    Y = np.ones((10, 3))
    assert not np.shares_memory(Objective(X, Y, (6, 3))._X, memory)
    X.flags.writeable = False
    assert np.shares_memory(Objective(X, Y, (6, 3))._X, memory)


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_samples", [900, 12_345])
def test_equal_calls_give_equal_bits_whatever_the_number_of_threads(dtype, n_samples):
    problem = Problem((40, 25, 10), n_samples=n_samples, scale=0.2)
    first = Objective(*problem.arguments, **problem.keywords, dtype=dtype)
    cost, gradient = first(problem.theta)
    product = first.hessp(problem.theta, problem.v)
    for threads in (1, 2, 3):
        fun = Objective(*problem.arguments, **problem.keywords, dtype=dtype, threads=threads)
        for _ in range(3):
            again, again_gradient = fun(problem.theta)
            assert again == cost
            np.testing.assert_array_equal(again_gradient, gradient)
            np.testing.assert_array_equal(fun.hessp(problem.theta, problem.v), product)
            np.testing.assert_array_equal(fun.logits(problem.theta), first.logits(problem.theta))
            fun(2 * problem.theta)


def test_threads_take_the_error_state_along():
    problem = Problem((6, 5, 3), "relu", n_samples=5000)
    fun = Objective(*problem.arguments, **problem.keywords, threads=2)
    with np.errstate(all="ignore"):  # else a warning, which is an error here
        assert not np.isfinite(fun(np.full_like(problem.theta, 1e308))[0])


def test_an_interrupted_evaluation_leaves_no_thread_behind_and_no_half_result(monkeypatch):
    problem, done = Problem((40, 25, 10), n_samples=6000, scale=0.2), []
    fun = Objective(*problem.arguments, **problem.keywords, threads=2)
    cost, _ = fun(problem.theta)
    forward, first = objective.Passes.forward, fun._passes[0]

    def interrupted(self, folded):
        if self is first:
            raise KeyboardInterrupt
        time.sleep(0.05)
        forward(self, folded)
        done.append(self)

    with monkeypatch.context() as patch:
        patch.setattr(objective.Passes, "forward", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fun(2 * problem.theta)
        assert len(done) == 2
    assert_close(fun.logits(problem.theta), problem.logits(problem.theta), rtol=1e-13)
    assert fun(problem.theta)[0] == cost


PRINT_DIGEST = """
import hashlib
from nnexp.nn import Objective
from tests.nn.reference import Problem
p = Problem((40, 25, 10), n_samples=3000, scale=0.2)
cost, gradient = Objective(*p.arguments, **p.keywords)(p.theta)
print(hashlib.sha256(gradient.tobytes()).hexdigest(), cost.hex())
"""


def test_two_processes_give_equal_bits():
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", PRINT_DIGEST]
    environment = os.environ | {"PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1"}
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) for _ in range(2)]
    first, second = (process.communicate(timeout=HANGING)[0] for process in processes)
    assert first == second
    assert len(first.split()) == 2


@pytest.mark.usefixtures("products")
def test_the_batch_of_all_rows_is_the_full_objective():
    problem = Problem((6, 7, 4, 3), n_samples=50)
    fun = Objective(*problem.arguments, **problem.keywords)
    cost, gradient = fun(problem.theta)
    batch_cost, batch_gradient = fun.batch(problem.theta, np.random.default_rng(0).permutation(50))
    np.testing.assert_allclose(batch_cost, cost, rtol=1e-14)
    assert_close(batch_gradient, gradient, rtol=1e-13)


def test_batches_of_an_epoch_average_to_the_full_objective():
    problem = Problem((6, 5, 3), n_samples=60)
    fun = Objective(*problem.arguments, **problem.keywords)
    batches = [fun.batch(problem.theta, rows) for rows in np.random.default_rng(0).permutation(60).reshape(4, 15)]
    cost, gradient = fun(problem.theta)
    np.testing.assert_allclose(np.mean([c for c, _ in batches]), cost, rtol=1e-13)
    assert_close(np.mean([g for _, g in batches], axis=0), gradient, rtol=1e-13)


def test_a_batch_is_the_objective_of_its_rows_with_the_full_penalty():
    problem = Problem((6, 5, 3), n_samples=60)
    rows = np.array([3, 59, 3, 17])
    cost, gradient = Objective(*problem.arguments, **problem.keywords).batch(problem.theta, rows)
    part = Objective(problem.X[rows], problem.Y[rows], problem.sizes, l2=problem.l2 * 4 / 60)
    expected_cost, expected_gradient = part(problem.theta)
    np.testing.assert_allclose(cost, expected_cost, rtol=1e-14)
    assert_close(gradient, expected_gradient, rtol=1e-13)


@pytest.mark.parametrize("n_samples", [333, 5051])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_cost_alone_is_to_the_last_bit_that_of_a_call_and_leaves_hessian_and_logits_right(dtype, n_samples):
    problem = Problem((40, 25, 10), "tanh", n_samples=n_samples, scale=0.2)
    fun, other = (Objective(*problem.arguments, **problem.keywords, dtype=dtype, threads=n) for n in (1, 2))
    theta, v = problem.theta, problem.theta[::-1].copy()
    cost, product, logits = fun(theta)[0], fun.hessp(theta, v), fun.logits(theta)
    for each in (fun, other):
        assert each.cost(theta + 1) != cost
        assert each.cost(theta) == cost
        np.testing.assert_array_equal(each.hessp(theta, v), product)
        assert each.cost(theta) == cost
        np.testing.assert_array_equal(each.logits(theta), logits)


@pytest.mark.parametrize("n_samples", [37, 6000])
def test_logits_belong_to_the_theta_asked_for(n_samples):
    problem = Problem((6, 5, 3), n_samples=n_samples)
    fun = Objective(*problem.arguments, **problem.keywords)
    fun(problem.theta)
    for theta in (problem.theta, 2 * problem.theta, problem.theta):
        expected = problem.logits(theta)
        fun.batch(problem.v, np.arange(5))
        assert_close(fun.logits(theta), expected, rtol=1e-13)
        assert fun.logits(theta).shape == (n_samples, 3)


def test_logits_notice_a_theta_changed_in_place():
    problem = Problem((6, 5, 3))
    fun = Objective(*problem.arguments, **problem.keywords)
    fun(problem.theta)
    problem.theta *= 2
    assert_close(fun.logits(problem.theta), problem.logits(problem.theta), rtol=1e-13)


def test_logits_of_the_theta_evaluated_last_cost_no_pass(monkeypatch):
    problem = Problem((6, 5, 3))
    fun = Objective(*problem.arguments, **problem.keywords)
    fun(problem.theta)
    monkeypatch.setattr(objective.Passes, "forward", None)
    fun.logits(problem.theta.copy())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"X": np.zeros((4, 5))}, r"X of shape \(n, 6\).*got \(4, 5\)"),
        ({"X": np.zeros((0, 6)), "Y": np.zeros((0, 3))}, "n >= 1"),
        ({"Y": np.zeros((5, 3))}, r"got \(4, 6\) and \(5, 3\)"),
        ({"Y": np.full((4, 3), 0.5)}, "`Y`"),
        ({"Y": np.full((4, 3), np.nan)}, "`Y`"),
        ({"layer_sizes": (6, 0, 3)}, "`layer_sizes`"),
        ({"layer_sizes": (6, 2.5, 3)}, "`layer_sizes`"),
        ({"activation": "gelu"}, "`activation`.*sigmoid, tanh, relu.*'gelu'"),
        ({"l2": -1}, "`l2`.*-1"),
        ({"l2": np.inf}, "`l2`.*inf"),
        ({"dtype": np.float16}, "`dtype`.*float16"),
        ({"threads": 0}, "`threads`.*0"),
    ],
)
def test_arguments_that_do_not_fit_are_named(change, words):
    arguments = {"X": np.zeros((4, 6)), "Y": np.zeros((4, 3)), "layer_sizes": (6, 3)} | change
    with pytest.raises(ValueError, match=words):
        Objective(**arguments)
