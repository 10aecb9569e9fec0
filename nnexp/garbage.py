"""How often a process of ours looks for garbage: seldom, for what imports and composing make stays."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = 50_000, 20, 100  # of objects, and of collections; a tenth of the time to start goes into Python's 700
_usual = gc.get_threshold()


def collect_seldom() -> None:
    """Set it, in a process that is not somebody else's."""
    gc.set_threshold(*THRESHOLDS)


@contextmanager
def collected_as_usual() -> Iterator[None]:
    """Look for it as often as Python does, while what is not ours is at work: its garbage may be large."""
    before = gc.get_threshold()
    gc.set_threshold(*_usual)
    try:
        yield
    finally:
        gc.set_threshold(*before)
