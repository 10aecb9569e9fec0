"""What a page is made of: sections with sentences, tables and pictures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from matplotlib.figure import Figure

from nnexp.comparison.citing import Sentence
from nnexp.comparison.drawing import in_style
from nnexp.figures.sketch import Sketch

WORDS_OF_A_NAME = 3
LONGEST_SLUG, SHORTENED = 80, 20  # bytes, letters: a file's name has up to 255 bytes, and two of these may be in it


@dataclass(frozen=True)
class Table:
    """A table: cells as text; `texts` are the columns set flush left; `best` is the row to be marked.

    `name` is that of its file where it has one of its own; default: the first words of the caption.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: frozenset[int] = frozenset({0})
    best: int | None = None
    name: str = ""

    @property
    def file_name(self) -> str:
        """The name, or words of the caption."""
        return self.name or " ".join(self.caption.split()[:WORDS_OF_A_NAME])


@dataclass(frozen=True)
class Picture:
    """What is drawn, with the name of its file and its caption."""

    name: str
    drawing: Figure | Sketch
    caption: str

    @cached_property
    def figure(self) -> Figure:
        """The figure of matplotlib, made where it is wanted: of a sketch it takes ten times as long as to draw it."""
        return in_style(self.drawing) if isinstance(self.drawing, Sketch) else self.drawing


@dataclass
class Section:
    """A part of the page.

    `methods` is what the methods paragraph says of it, in whole sentences. `replicates` and `intervals` are what a
    caption has to say of n and of its intervals where it stands without the page. `summary` are those of
    its sentences that a sweep prints at its end too.
    """

    title: str
    sentences: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    methods: list[Sentence] = field(default_factory=list[Sentence])
    replicates: str = ""
    intervals: str = ""
    summary: list[str] = field(default_factory=list)


def slug(name: str) -> str:
    """A name as part of a file's name; of a long one the beginning, and what tells it from others."""
    made = re.sub(r"[^\w-]+", "_", name).strip("_")
    if len(made.encode()) <= LONGEST_SLUG:
        return made
    return f"{made[:SHORTENED]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
