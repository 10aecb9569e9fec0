import inspect
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import yaml

from nnexp.optim import METHODS, check_options

from .problems import QUADRATIC, run


@pytest.mark.parametrize("method", METHODS)
def test_every_default_is_allowed_and_comes_back(method):
    table = METHODS[method].options
    defaults = {name: option.default for name, option in table.items()}
    assert check_options(method, {}) == check_options(method, None) == check_options(method, defaults) == defaults


@pytest.mark.parametrize("method", ["TNC", "L-BFGS-B", "CG", "BFGS", "Newton-CG", "trust-ncg", "trust-krylov"])
def test_defaults_are_scipys(method):
    name = {"TNC": "_tnc._minimize_tnc", "L-BFGS-B": "_lbfgsb_py._minimize_lbfgsb", "CG": "_optimize._minimize_cg"}
    name |= {"BFGS": "_optimize._minimize_bfgs", "Newton-CG": "_optimize._minimize_newtoncg"}
    module, function = name.get(method, "_trustregion._minimize_trust_region").split(".")
    parameters = inspect.signature(getattr(getattr(scipy.optimize, module), function)).parameters
    for option, default in check_options(method).items():
        assert parameters[option].default == default, option


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("TNC", {"maxitr": 3}, r"`optimizer.options` of TNC has no 'maxitr': budgets are set by `optimizer.maxiter`"),
        ("CG", {"maxiter": 3}, r"`optimizer.options` of CG has no 'maxiter': budgets are set by `optimizer.maxiter`"),
        ("GD", {"maxfun": 3}, r"has no 'maxfun': budgets are set by .* and `optimizer.maxfun`"),
        ("CG", {"disp": True}, r"`optimizer.options` of CG has no 'disp'; choose from gtol, norm, c1, c2"),
        ("GD", {"lr": 1}, r"`optimizer.options` of GD has no 'lr'; choose from learning_rate, "),
        ("GD", {3: 1}, r"`optimizer.options` of GD has no 3; choose from learning_rate, "),
        ("GD", [1], r"`optimizer.options` must be a mapping of names to values, got \[1\]"),
        ("SGD", {"momentum": 1.0}, r"`optimizer.options.momentum` of SGD must be a number in \[0, 1\), got 1.0"),
        ("SGD", {"momentum": "big"}, r"`optimizer.options.momentum` of SGD must be a number in \[0, 1\), got 'big'"),
        ("SGD", {"momentum": None}, r"must be a number in \[0, 1\), got None"),
        ("SGD", {"momentum": True}, r"must be a number in \[0, 1\), got True"),
        ("SGD", {"nesterov": 1}, r"`optimizer.options.nesterov` of SGD must be true or false, got 1"),
        ("Adam", {"batch_size": 0}, r"`optimizer.options.batch_size` .* an integer in \[1, inf\) or null, got 0"),
        ("Adam", {"batch_size": 2.5}, r"an integer in \[1, inf\) or null, got 2.5"),
        ("Adam", {"learning_rate": 0}, r"a number in \(0, inf\), got 0"),
        ("Adam", {"learning_rate": float("nan")}, r"a number in \(0, inf\), got nan"),
        ("GD", {"learning_rate": float("inf")}, r"a number in \(0, inf\), got inf"),
        ("CG", {"c1": 0.5}, r"`optimizer.options` of CG must have c1 < c2, got 0.5 and 0.4"),
        ("trust-ncg", {"initial_trust_radius": 2000}, r"must have initial_trust_radius < max_trust_radius, got 2000.0"),
        ("tnc", {}, r"`optimizer.method` must be one of TNC, L-BFGS-B, .*, got 'tnc'"),
    ],
)
def test_wrong_options_name_themselves_the_value_and_what_is_allowed(method, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        check_options(method, options)
    assert "\n" not in str(caught.value)


def test_values_become_what_the_method_takes():
    checked = check_options("SGD", {"learning_rate": 1, "batch_size": np.int64(7), "nesterov": True})
    assert type(checked["learning_rate"]) is float
    assert type(checked["batch_size"]) is int
    assert check_options("SGD", {"batch_size": None})["batch_size"] is None
    assert check_options("CG", {"norm": float("inf")})["norm"] == float("inf")


def test_options_reach_the_method():
    short, long = (run("L-BFGS-B", QUADRATIC, options={"gtol": gtol}).result.n_iter for gtol in (1.0, 1e-10))
    assert short < long
    assert run("trust-krylov", QUADRATIC, options={"initial_trust_radius": 1e-3}, maxiter=1).result.theta == (
        pytest.approx(QUADRATIC.theta0, abs=1.1e-3)
    )


def test_options_given_are_not_changed():
    options = {"learning_rate": 1}
    check_options("GD", options)
    assert options == {"learning_rate": 1}


def test_each_method_has_its_preset():
    presets = [
        yaml.safe_load(path.read_text())
        for path in (Path(__file__).parents[2] / "conf/optimizer").glob("*.yaml")
        if path.stem != "custom"  # whose method is the user's
    ]
    assert {preset["method"] for preset in presets} == set(METHODS)
    for preset in presets:
        assert set(preset) == {"method", "maxiter", "maxfun", "options"}
        assert (preset["maxiter"], preset["maxfun"]) == (400, 400)
        check_options(preset["method"], preset["options"])
