"""Results as a notebook shows them: a small table and pictures, in one piece of HTML without scripts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

from nnexp.runs.files import content_of

CELL = "text-align: left; padding: 0 1em 0 0; vertical-align: top"
PICTURE = "max-height: 18em; max-width: 100%; margin: 0.5em 1em 0 0; vertical-align: top"


def page_of(title: str, rows: Sequence[tuple[str, str]], pictures: Sequence[Path] = ()) -> str:
    """A title, a table of names and values, and pictures, which are in the text as a whole."""
    lines = [f"<tr><th style='{CELL}'>{escape(name)}</th><td style='{CELL}'>{escape(text)}</td></tr>"
             for name, text in rows]  # fmt: skip
    images = [
        f"<img alt='{escape(path.stem)}' style='{PICTURE}' "
        f"src='data:image/png;base64,{b64encode(content_of(path)).decode()}'>"
        for path in pictures
    ]
    return f"<div><b>{escape(title)}</b><table>{''.join(lines)}</table>{''.join(images)}</div>"
