"""Names of runs: settings, shortly."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nnexp.own.modules import resolve


def short_names(jobs: Sequence[Sequence[str]]) -> list[str]:
    """A name of each job, made of what is swept.

    Without the groups of the keys and the modules of functions; of mappings the entries in which the jobs differ.

    Parameters
    ----------
    jobs
        For each job its swept overrides.
    """
    parts = [[list(_parts(item)) for item in job] for job in jobs]
    entries = [{part for item in job if len(item) > 1 or item[0][1] for part in item} for job in parts]
    common = set[tuple[str, bool]].intersection(*entries) if len(jobs) > 1 else set[tuple[str, bool]]()
    named = [
        [text for item in job for text, of_mapping in item if not (of_mapping and (text, True) in common)]
        for job in parts
    ]
    return [" ".join(texts) or "one config" for texts in named]


def short(override: str) -> str:
    """An override in short: of a mapping its entries."""
    return " ".join(text for text, _ in _parts(override))


def last_name(path: str) -> str:
    """What a dotted path names, without its modules; a built-in name as it is."""
    return path.rpartition(".")[2]


def _short_value(value: str) -> str:
    """The last name of a dotted path that can be imported; anything else, such as a number or a file, as it is."""
    words = value.split(".")
    if len(words) < 2 or not all(word.isidentifier() for word in words) or resolve(words[0]) is None:
        return value
    return last_name(value)


def _parts(item: str) -> Iterator[tuple[str, bool]]:
    """An override as short texts, each with whether it is an entry of a mapping."""
    key, _, value = item.lstrip("+").partition("=")
    value = value.replace("'", "")
    if mapping := re.fullmatch(r"\{([^{}]+)\}", value):
        for entry in _split(mapping[1]):
            name, _, inner = entry.partition(":")
            yield f"{name.strip()}={inner.strip()}", True
    else:
        yield f"{key.split('.')[-1]}={_short_value(value)}", False


def _split(entries: str) -> list[str]:
    """The entries of a mapping, by the commas that are in no list."""
    return re.split(r",(?![^\[]*\])", entries)
