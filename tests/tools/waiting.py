"""Waiting for an event, however long it takes on a busy or slow machine."""

import time

HANGING = 600.0  # seconds: ends a test that would never end; no machine is so slow that a verdict may hang on it


def wait_for(condition):
    """What the condition gives, once it gives something true."""
    deadline = time.monotonic() + HANGING
    while not (value := condition()):
        assert time.monotonic() < deadline, f"it did not come about within {HANGING:g} s"
        time.sleep(0.05)
    return value
