import numpy as np
import pytest

from nnexp.nn import ACTIVATIONS, Objective, directional_check, full_check

from .reference import Problem

PROBLEMS = [
    Problem(sizes, activation, l2, seed=2)  # no sample within a step of a kink
    for sizes in [(4, 3), (4, 5, 3), (4, 5, 3, 2), (3, 2, 4, 3, 2)]
    for activation in ACTIVATIONS
    for l2 in (0, 0.7)
]
EACH = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: f"{p.activation} {p.sizes} {p.l2}")


def check(problem, gradient, **keywords):
    return full_check(*problem.arguments, problem.theta, gradient, **problem.keywords, **keywords)


@EACH
def test_a_right_gradient_passes(problem):
    result = check(problem, problem.gradient(problem.theta))
    assert result.n_params == sum(layer.n_params for layer in result.layers) == problem.theta.size
    assert len(result.layers) == len(problem.sizes) - 1
    assert result.complex_step < 1e-14
    assert result.central_difference < 1e-8


@pytest.mark.parametrize("index", [0, 1, 24, 25, 42])
def test_one_wrong_entry_is_found_in_its_layer(index):
    problem = Problem((4, 5, 3))
    wrong = problem.gradient(problem.theta)
    wrong[index] += 1e-5
    result = check(problem, wrong)
    right, other = result.layers if index < 25 else result.layers[::-1]
    for layer_max in (right.complex_max, right.central_max):
        assert layer_max == pytest.approx(1e-5, rel=1e-3)
    assert other.complex_max < 1e-14
    assert result.complex_step > 1e-6
    assert result.central_difference > 1e-6


@pytest.mark.parametrize("fault", ["lambda ignored", "biases penalized", "1/m forgotten"])
def test_known_faults_are_found(fault):
    problem = Problem((4, 5, 3))
    gradient = problem.gradient(problem.theta)
    if fault == "lambda ignored":
        gradient = Problem((4, 5, 3), l2=0).gradient(problem.theta)
    elif fault == "biases penalized":
        gradient[0] += problem.l2 / problem.n_samples * problem.theta[0]
    else:
        gradient *= problem.n_samples
    assert check(problem, gradient).complex_step > 1e-4


def test_huge_weights_do_not_overflow():
    problem = Problem((4, 5, 3))
    problem.theta *= 1e4
    fun = Objective(*problem.arguments, **problem.keywords)
    with np.errstate(over="raise", invalid="raise"):
        assert check(problem, fun(problem.theta)[1]).complex_step < 1e-12


def test_at_a_kink_of_relu_the_complex_step_takes_the_slope_zero():
    problem = Problem((4, 5, 3), "relu")
    problem.theta[:5] = 0  # the first unit, in all samples
    result = check(problem, Objective(*problem.arguments, **problem.keywords)(problem.theta)[1])
    assert result.complex_step < 1e-14
    assert result.central_difference > 1e-4


def test_progress_counts_to_the_end():
    problem, seen = Problem((10, 11, 3)), []
    check(problem, problem.gradient(problem.theta), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(100, 157), (157, 157)]


def test_all_zero_gradients_agree():
    problem = Problem((2, 1), l2=0, n_samples=2)
    problem.X[:], problem.theta[:], problem.Y[:] = 0, 0, [[0], [1]]
    result = check(problem, np.zeros(3))
    assert result.complex_step == result.central_difference == 0


def test_what_does_not_fit_is_named():
    problem = Problem((4, 5, 3))
    with pytest.raises(ValueError, match=r"gradient of shape \(43,\)"):
        check(problem, np.zeros(42))
    problem.activation = "gelu"
    with pytest.raises(ValueError, match=r"`activation`.*'gelu'"):
        check(problem, np.zeros(43))


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-7), (np.float32, 1e-2)])
@pytest.mark.parametrize("scale", [0.1, 0.9, 3.0])
def test_the_directional_check_passes_a_right_gradient(dtype, bound, scale):
    problem = Problem((20, 8, 5), n_samples=200, scale=scale)
    fun = Objective(*problem.arguments, **problem.keywords, dtype=dtype)
    for seed in range(5):
        assert directional_check(fun, problem.theta, np.random.default_rng(seed)) < bound


def test_the_directional_check_finds_a_wrong_gradient():
    problem = Problem((20, 8, 5), n_samples=200)
    fun = Objective(*problem.arguments, **problem.keywords)

    def wrong(theta):
        cost, gradient = fun(theta)
        return cost, gradient * np.where(np.arange(gradient.size) % 21 == 0, 0, 1)

    assert directional_check(wrong, problem.theta, np.random.default_rng(0)) > 1e-3


def test_the_directional_check_costs_two_costs_a_direction_and_one_gradient():
    problem, calls = Problem((4, 5, 3)), []

    def fun(theta):
        calls.append(theta)
        return problem.cost(theta), problem.gradient(theta)

    directional_check(fun, problem.theta, np.random.default_rng(0), n_directions=4)
    assert len(calls) == 9


def test_the_directional_check_asks_an_objective_for_one_gradient(monkeypatch):
    problem, gradients = Problem((20, 8, 5), n_samples=200), []
    fun = Objective(*problem.arguments, **problem.keywords)
    by_calls = directional_check(lambda theta: fun(theta), problem.theta, np.random.default_rng(0))
    evaluate = Objective.__call__
    monkeypatch.setattr(Objective, "__call__", lambda self, theta: gradients.append(theta) or evaluate(self, theta))
    assert directional_check(fun, problem.theta, np.random.default_rng(0)) == by_calls
    assert len(gradients) == 1
