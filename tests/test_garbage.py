"""Garbage is looked for seldom in processes of ours, and as Python does while a task trains."""

import gc

import pytest

from nnexp.garbage import THRESHOLDS, collect_seldom, collected_as_usual


@pytest.fixture(autouse=True)
def as_before():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_while_a_task_trains_garbage_is_collected_as_python_does(monkeypatch):
    monkeypatch.setattr("nnexp.garbage._usual", (700, 10, 10))  # that of this process is another
    collect_seldom()
    with collected_as_usual():
        assert gc.get_threshold() == (700, 10, 10)
    assert gc.get_threshold() == THRESHOLDS
