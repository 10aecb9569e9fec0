"""Tags as they come from a store, where anybody may write any: each is checked once, where the run is read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping

DIRECTORY = "nnexp.directory"  # the tag that names the run directory
LONGEST_NAME = 200  # characters of a name that is a folder's too

Check = Callable[[str], bool]


def checked(tags: Mapping[str, str], checks: Mapping[str, Check]) -> dict[str, str]:
    """The tags without those that are not what they should be; the run is as if it had none of them."""
    return {key: value for key, value in tags.items() if key not in checks or checks[key](value)}


def is_file_name(text: str) -> bool:
    """Whether a text is the name of a file or a folder and not a path that leads elsewhere."""
    is_short = 0 < len(text.encode()) <= LONGEST_NAME
    return is_short and text.isprintable() and not text.startswith(".") and not set(text) & set("/\\")


def is_path(text: str) -> bool:
    """Whether the operating system could take a text for a path."""
    return bool(text) and "\0" not in text


def is_count(text: str) -> bool:
    """Whether a text is a whole number, not below 0."""
    return text.isascii() and text.isdigit() and len(text) < 16


def is_time(text: str) -> bool:
    """Whether a text is a number of seconds, not below 0."""
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False


def is_interval(text: str) -> bool:
    """Whether a text is a number of seconds above 0."""
    return is_time(text) and float(text) > 0


def is_owner(text: str) -> bool:
    """Whether a text is the record of a process, as :func:`nnexp.runs.lease.owner` makes them."""
    try:
        record = json.loads(text)
    except ValueError:
        return False
    return (
        isinstance(record, dict)
        and isinstance(record.get("machine"), str)
        and type(record.get("pid")) is int
        and isinstance(record.get("start"), str | None)
    )


def equals(key: str, value: str) -> str:
    """The MLflow filter of runs whose tag has a value.

    MLflow's filters have no escape for a quote; a value with both kinds is looked for with a wildcard, so that what is
    found is to be compared again.
    """
    quote = next((quote for quote in "'\"" if quote not in value), None)
    if quote is None:
        return f"tags.`{key}` LIKE '{value.replace(chr(39), '_')}'"
    return f"tags.`{key}` = {quote}{value}{quote}"
