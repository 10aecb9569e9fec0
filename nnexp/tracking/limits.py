"""What a store takes: texts of a length, and so many items in a call."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

LONGEST_NAME, LONGEST_TAG = 250, 8000  # characters; MLflow cuts a longer tag without a word


def digest_of(text: str) -> str:
    """What stands for a text that is longer than a store takes."""
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
    return f"sha256:{digest} of {len(text):,} characters"


def tag_of(value: object) -> str:
    """A tag as a store takes it; of one that is longer its beginning, and that it is cut."""
    text = str(value)
    if len(text) <= LONGEST_TAG:
        return text
    cut = f" ... (cut: {digest_of(text)})"
    return text[: LONGEST_TAG - len(cut)] + cut


def batches(items: Sequence[Any], size: int):
    """Slices of at most `size` items."""
    return (items[i : i + size] for i in range(0, len(items), size))
