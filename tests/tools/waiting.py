"""Waiting for an event, however long it takes on a busy or slow machine."""

import time

HANGING = 600.0  # seconds: ends a test that would never end; no machine is so slow that a verdict may hang on it


def wait_for(condition, *processes):
    """What the condition gives, once it gives something true; it is not waited for when one of the processes ended."""
    deadline = time.monotonic() + HANGING
    while True:
        ended = [process.args for process in processes if process.poll() is not None]
        if value := condition():
            return value
        assert not ended, f"it did not come about before the end of {ended[0]}"
        assert time.monotonic() < deadline, f"it did not come about within {HANGING:g} s"
        time.sleep(0.05)
