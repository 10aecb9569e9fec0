"""Sentences that cite works, which a page, a terminal and LaTeX each write in their own way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Cite:
    """A place at which works are cited, by their keys in :mod:`nnexp.report.references`."""

    keys: tuple[str, ...]


Sentence: TypeAlias = tuple[str | Cite, ...]


def cite(*keys: str) -> Cite:
    """Cite works, as part of a sentence: ``("by Holm's correction ", cite("holm1979"), ".")``."""
    return Cite(keys)


def cited(sentences: Iterable[Sentence]) -> list[str]:
    """The keys of all works that sentences cite, each once, in the order of their first place."""
    places = (piece for sentence in sentences for piece in sentence if isinstance(piece, Cite))
    return list(dict.fromkeys(key for place in places for key in place.keys))


def written(sentence: Sentence, text: Callable[[str], str], place: Callable[[Cite], str]) -> str:
    """A sentence with its texts and its citations written by two functions."""
    return "".join(place(piece) if isinstance(piece, Cite) else text(piece) for piece in sentence)
