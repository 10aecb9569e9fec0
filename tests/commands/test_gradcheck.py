import json

import pytest

from nnexp.cli import main
from nnexp.nn import Objective

KEYS = {"n_params", "central_difference", "complex_step", "seconds", "verdict"}


@pytest.fixture
def gradcheck(tmp_path, cache, monkeypatch, capsys):
    """The command on a small network, in this process: status, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        status = main(["gradcheck", "data=digits", f"data.cache={cache}", "model.hidden_size=3", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_right_gradient_has_a_verdict_and_status_0(gradcheck, dtype):
    status, out, _ = gradcheck("--json", f"training.dtype={dtype}")
    result = json.loads(out)
    assert (status, result["verdict"], set(result)) == (0, "right", KEYS)


def test_kinks_of_relu_are_told(gradcheck):
    status, out, _ = gradcheck("model.activation=relu")
    assert status == 0
    assert "kink of relu" in out
    assert "the gradient is right: within 1e-09 by complex step" in out


def test_a_wrong_gradient_ends_with_status_3(gradcheck, monkeypatch):
    right = Objective.__call__

    def wrong(self, theta):
        cost, gradient = right(self, theta)
        gradient[5] += 1e-5
        return cost, gradient

    monkeypatch.setattr(Objective, "__call__", wrong)
    status, out, _ = gradcheck()
    assert status == 3
    assert "the gradient is wrong: not within 1e-09" in out
    status, out, _ = gradcheck("--json")
    assert (status, json.loads(out)["verdict"]) == (3, "wrong")


@pytest.mark.parametrize("width", [3000, 20_000])
def test_a_check_that_takes_many_hours_is_refused_at_once_with_figures(gradcheck, width):
    status, out, err = gradcheck(f"model.hidden_size=[{width},{width}]")
    assert (status, out) == (2, "")
    assert "`model.hidden_size` makes" in err
    assert " hours and " in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.l2=1e300", "`model.l2` must be in [0, 1e12], got 1e+300"),
        ("model.init_scale=1e150", "`model.init_scale` must be a number > 0 and up to 1e6, or glorot, got 1e+150"),
    ],
)
def test_numbers_beyond_all_use_are_refused(gradcheck, override, message):
    status, _, err = gradcheck(override)
    assert (status, err.strip()) == (2, message)


def test_a_network_too_large_for_the_memory_is_refused_before_training(tmp_path, cache, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["data=digits", f"data.cache={cache}", "model.hidden_size=[200000,200000]", "tracking=none"]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "`model.hidden_size` makes a network of 40,015,200,010 parameters, which takes about " in err
    assert not list(tmp_path.glob("outputs/runs/*/run.json"))
