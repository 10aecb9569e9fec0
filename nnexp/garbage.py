"""How often a process of ours looks for garbage: seldom, for what imports and composing make stays."""

import gc

THRESHOLDS = 50_000, 20, 100  # of objects, and of collections; a tenth of the time to start goes into Python's 700


def collect_seldom() -> None:
    """Set it, in a process that is not somebody else's."""
    gc.set_threshold(*THRESHOLDS)
