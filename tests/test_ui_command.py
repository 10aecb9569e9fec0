"""`nnexp ui` before it serves anything. What it serves is looked at in tests/browser."""

import socket

import pytest

from nnexp.commands import ui
from nnexp.config import ConfigError


@pytest.fixture
def taken():
    """A port on which somebody listens."""
    with socket.socket() as listener:
        listener.bind((ui.LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_where_the_usual_port_is_taken_another_one_is_found(taken, monkeypatch):
    monkeypatch.setattr(ui, "PORT", taken)
    found = ui.free_port(None)
    assert found not in (0, taken)
    assert ui.free_port(found) == found


def test_a_wished_port_that_is_taken_is_refused(taken):
    with pytest.raises(ConfigError, match=f"`--port` must be a free port, got {taken}"):
        ui.free_port(taken)


@pytest.mark.parametrize("port", [-1, 70000])
def test_a_number_that_is_no_port_is_refused(port):
    with pytest.raises(ConfigError, match=f"got {port}"):
        ui.free_port(port)


def test_without_a_store_there_is_a_sentence(nnexp):
    done = nnexp("ui")
    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines()[-1].startswith("there is no store at ")
    assert "Traceback" not in done.err
