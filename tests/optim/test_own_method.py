"""A minimizer in SciPy's convention: the numbers of the plain call, within our budgets, whatever it catches."""

import os
import pickle
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import iminuit
import numpy as np
import pytest
import scipy.optimize
from scipy.optimize import OptimizeResult, rosen, rosen_der

from nnexp.optim import NonFiniteCostError, check_options, minimize
from nnexp.readers import ConfigError

X0 = np.array([-1.2, 1.0, 0.7])


def fun(theta):
    return rosen(theta), rosen_der(theta)


@pytest.fixture
def method(monkeypatch):
    """Make a function importable, and give its dotted path."""
    module = types.ModuleType("mylib")
    monkeypatch.setitem(sys.modules, "mylib", module)

    def named(function):
        module.own = function
        return "mylib.own"

    return named


def run(method, maxiter=1000, maxfun=1000, **settings):
    return minimize(fun, X0, method=method, maxiter=maxiter, maxfun=maxfun, **settings)


def descend(fun, x0, args=(), jac=None, callback=None, lr: float = 1e-3, n=50, **given):
    x = x0.copy()
    for _ in range(n):
        x = x - lr * jac(x, *args)
        if callback is not None:
            callback(x)
    return OptimizeResult(x=x, fun=fun(x), success=True, message="descended.")


def test_it_is_called_as_scipy_calls_it_and_gives_the_same_numbers(method):
    plain = scipy.optimize.minimize(fun, X0, method=descend, jac=True, options={"n": 20})
    ours = run(method(descend), options={"n": 20})
    np.testing.assert_array_equal(ours.theta, plain.x)
    assert (ours.status, ours.n_iter, ours.n_fev) == ("converged", 20, 21)
    assert ours.message == "mylib.own converged: descended, after 20 iterations and 21 evaluations."
    given = {}

    def looks(fun, x0, **named):
        given.update(named)
        np.testing.assert_array_equal(named["hessp"](X0, X0), X0)
        return OptimizeResult(x=x0)

    run(method(looks), hessp=lambda theta, v: v)
    assert set(given) == {"args", "jac", "hess", "hessp", "bounds", "constraints", "callback"}


def test_a_minimizer_of_another_package_gives_the_numbers_of_the_plain_call():
    options = {"maxfun": 60}
    plain = iminuit.minimize(rosen, X0, jac=rosen_der, options=options)
    rows = []
    ours = run("iminuit.minimize", options={"options": options}, callback=rows.append)
    np.testing.assert_array_equal(ours.theta, plain.x)
    assert ours.cost == plain.fun
    assert rows[-1].cost <= rows[0].cost
    for budget in ({"maxfun": 7}, {"maxiter": 3}):
        bound = run("iminuit.minimize", **budget)
        [(name, most)] = budget.items()
        assert bound.status == name
        assert {"maxfun": bound.n_fev, "maxiter": bound.n_iter}[name] == most


@pytest.mark.parametrize("caught", [Exception, BaseException])
def test_budgets_bind_whatever_the_function_catches(method, caught):
    n_refused = 0

    def stubborn(fun, x0, jac=None, callback=None, **given):
        nonlocal n_refused
        x = x0.copy()
        for _ in range(100):
            try:
                x = x - 1e-3 * jac(x)
                callback(x)
            except caught:
                n_refused += 1
        return OptimizeResult(x=x + 1, success=True)

    spent = run(method(stubborn), maxfun=10)
    assert (spent.status, spent.n_fev) == ("maxfun", 10)
    assert run(method(stubborn), maxiter=5).n_iter == 5
    assert (n_refused > 0) == (caught is BaseException)


def test_a_function_that_never_reports_an_iteration_is_told(method):
    def silent(fun, x0, jac=None, **given):
        return OptimizeResult(x=x0 - 1e-3 * jac(x0), success=True, message="done.")

    result = run(method(silent), maxiter=3)
    assert "it never called `callback`, so there were no iterations for optimizer.maxiter to bind" in result.message
    assert result.n_iter == 1  # the point that it returned closes the only one


def test_callbacks_of_both_signatures_and_functions_that_fail(method):
    def new(fun, x0, callback=None, **given):
        callback(intermediate_result=OptimizeResult(x=x0 / 2, fun=fun(x0 / 2)))
        return OptimizeResult(x=x0 / 2, success=False, message="no luck")

    result = run(method(new))
    assert (result.status, result.n_iter) == ("failed", 1)
    assert "failed: no luck" in result.message

    def diverges(fun, x0, **given):
        return fun(np.full_like(x0, np.nan))

    with pytest.raises(NonFiniteCostError):
        run(method(diverges))
    for returned in (None, OptimizeResult(x=np.zeros(7))):
        with pytest.raises((TypeError, ValueError), match=r"mylib.own must return"):
            run(method(lambda fun, x0, returned=returned, **given: returned))


def test_the_objective_stays_in_its_process_and_counts_its_threads(method):
    def sends(fun, x0, **given):
        with pytest.raises(TypeError, match="cannot be sent to another process"):
            pickle.dumps(fun)
        with ThreadPoolExecutor(4) as threads:
            costs = list(threads.map(lambda i: fun(x0 + i), range(20)))
        assert costs == [rosen(x0 + i) for i in range(20)]
        return OptimizeResult(x=x0)

    assert run(method(sends)).n_fev == 20


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"lrr": 1}, "`optimizer.options.lrr` is not an option of mylib.own; its options are lr; did you mean lr?"),
        ({"lr": "x"}, "`optimizer.options.lr` must be a number, got 'x'"),
        ({"callback": 1}, "`optimizer.options.callback` is not an option of mylib.own"),
        ([1], "`optimizer.options` must be a mapping of option names to values"),
    ],
)
def test_wrong_options_are_refused(method, options, told):
    def strict(fun, x0, args=(), jac=None, hess=None, hessp=None, bounds=None, constraints=(), callback=None, lr=0.1):
        raise AssertionError

    with pytest.raises(ConfigError) as refused:
        check_options(method(strict), options)
    assert told in str(refused.value)
    assert check_options(method(strict), {"lr": 1}) == {"lr": 1.0}


def test_neither_a_forked_process_nor_a_thread_that_is_left_behind_evaluates(method):
    told, go = [], threading.Event()

    def forks(fun, x0, jac=None, **given):
        receiving, sending = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                jac(x0)
            except Exception as error:
                os.write(sending, str(error).encode())
            os._exit(0)
        os.waitpid(child, 0)
        told.append(os.read(receiving, 1000).decode())
        return descend(fun, x0, jac=jac)

    assert run(method(forks)).n_fev == 51
    assert "cannot be sent to another process" in told[0]

    def leaves(fun, x0, jac=None, **given):
        def later():
            go.wait()
            try:
                fun(x0 + 1)
            except RuntimeError as error:
                told.append(str(error))

        left.append(threading.Thread(target=later))
        left[0].start()
        return descend(fun, x0, jac=jac)

    left = []
    ours = run(method(leaves))
    go.set()
    left[0].join()
    assert ours.n_fev == 51
    assert "the method has returned" in told[1]


def test_complex_numbers_are_refused(method):
    with pytest.raises(TypeError, match="takes real numbers"):
        run(method(lambda fun, x0, **given: OptimizeResult(x=x0, fun=fun(x0 + 1e-20j))))


def test_a_function_of_another_convention_is_refused_before_any_work(method):
    def bare(fun, x0, jac=None, lr=0.1): ...

    with pytest.raises(ConfigError, match=r"mylib.own must take what SciPy hands .* not take args, hess, hessp"):
        check_options(method(bare), {"lr": 0.2})
