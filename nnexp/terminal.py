"""What a person sees of a run: a progress line, log lines where there is no terminal, a table at the end."""

from __future__ import annotations

import html
import importlib
import os
import shutil
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

LINE_EVERY = 0.1  # seconds between two updates of the progress line
NOTEBOOK_EVERY = 0.5  # seconds, likewise in a notebook, to which each is a message
LOG_EVERY = 10.0  # seconds between two log lines where there is no terminal
CLEAR = "\r\x1b[2K"
# What a terminal takes as a command or does not show: controls, and what turns or hides the text around it.
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # categories of Unicode
JOINERS = "\u200c\u200d"  # of letters and emoji, which are text

_heard = threading.local()


@contextmanager
def overheard() -> Iterator[list[tuple[str, str]]]:
    """What this thread says meanwhile, collected for the process that talks to the person.

    Each line with what it is about, where that is to be told once.
    """
    _heard.lines = lines = list[tuple[str, str]]()
    try:
        yield lines
    finally:
        del _heard.lines


def visible(text: str, kept: str = "\n\t") -> str:
    """A text as a person may read it: what a terminal would obey stands there as the escape that Python writes.

    Names, messages and tags come from stores and files that anybody may have written.
    """
    if text.isprintable():
        return text
    shown = {ord(letter): letter.encode("unicode_escape").decode() for letter in set(text) if _is_hidden(letter, kept)}
    return text.translate(shown) if shown else text


def _is_hidden(letter: str, kept: str) -> bool:
    return letter not in kept and letter not in JOINERS and unicodedata.category(letter) in HIDDEN


def tell(text: str) -> None:
    """What a command answers, on standard output."""
    print(visible(text), flush=True)


def hand_on(text: str, about: str = "") -> bool:
    """Whether another process says it, because this thread is overheard."""
    lines = getattr(_heard, "lines", None)
    if lines is not None:
        lines.append((text, about))
    return lines is not None


def say(text: str) -> None:
    """One line to the person, on standard error.

    On a terminal the line that it stands on is cleared first: a progress line may be there, of this process or of the
    one that started it.
    """
    if hand_on(text):
        return
    print((CLEAR if is_terminal(sys.stderr) else "") + visible(text), file=sys.stderr, flush=True)


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal on which a line can be rewritten."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def columns_of(stream: TextIO) -> int:
    """Columns of the terminal that a stream writes to; 80 where it does not say."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return columns or shutil.get_terminal_size().columns


def fit_width(parts: Sequence[str], columns: int, *, separator: str = ", ") -> str:
    """The first of some parts on one line of at most so many columns.

    A part that does not fit is left out with all that follow it; the first one is cut.
    """
    text = _cut(parts[0], columns) if parts else ""
    for part in parts[1:]:
        if _width(text + separator + part) > columns:
            break
        text += separator + part
    return text


def _cut(text: str, columns: int) -> str:
    if _width(text) <= columns:
        return text
    while text and _width(text) > columns - 1:
        text = text[:-1]
    return text + "…"


def _width(text: str) -> int:
    """Columns that a text takes; East Asian letters are two wide."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


class StatusLine:
    """One line of text that is rewritten on a terminal; elsewhere a line now and then.

    The line is cut to the terminal's width, without its last column: a longer one would wrap, and what has wrapped
    cannot be cleared.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.is_live = is_terminal(self.stream)
        self._last = time.monotonic()
        self._lock = threading.Lock()
        self._is_written = False

    def is_due(self, every: float = LINE_EVERY) -> bool:
        """Whether enough time has passed since the last text."""
        return time.monotonic() - self._last >= (every if self.is_live else LOG_EVERY)

    def show(self, parts: Sequence[str], share: float | None = None) -> None:
        """Show a text of several parts, the most important first; `share`: of the work that is done, for a bar."""
        parts = [visible(part, kept="") for part in parts]
        with self._lock:
            self._last = time.monotonic()
            if self.is_live:
                self.stream.write(CLEAR + fit_width(parts, columns_of(self.stream) - 1))
            else:
                self.stream.write(", ".join(parts) + "\n")
            self.stream.flush()
            self._is_written = self.is_live

    def close(self) -> None:
        """Clear the line."""
        with self._lock:
            if self._is_written:
                self.stream.write(CLEAR)
                self.stream.flush()
                self._is_written = False


class NotebookLine:
    """The same in a notebook: a bar and the text under the cell, which change in place and go at the end."""

    def __init__(self) -> None:
        self._display: Any = None
        self._last = time.monotonic()
        self._lock = threading.Lock()

    def is_due(self, every: float = NOTEBOOK_EVERY) -> bool:
        """Whether enough time has passed since the last text."""
        return time.monotonic() - self._last >= every

    def show(self, parts: Sequence[str], share: float | None = None) -> None:
        """Show a text of several parts and a bar, where the share of the work that is done is known."""
        text = ", ".join(parts)
        bar = f'<progress max="1" value="{share:.3f}" style="width: 20em"></progress> ' if share is not None else ""
        self._update({"text/plain": text, "text/html": f"<div>{bar}<small>{html.escape(text)}</small></div>"})

    def close(self) -> None:
        """Clear it."""
        if self._display is not None:
            self._update({"text/plain": "", "text/html": ""})
            self._display = None

    def _update(self, shown: dict[str, str]) -> None:
        with self._lock:
            self._last = time.monotonic()
            if self._display is None:
                self._display = importlib.import_module("IPython.display").display(shown, raw=True, display_id=True)
            else:
                self._display.update(shown, raw=True)


def progress_line(stream: TextIO | None = None) -> StatusLine | NotebookLine:
    """The line on which progress is shown, whatever it is shown on."""
    return NotebookLine() if stream is None and is_notebook() else StatusLine(stream)


def is_notebook() -> bool:
    """Whether this is the kernel of a notebook; IPython in a terminal is a terminal."""
    ipython: Any = sys.modules.get("IPython")
    return getattr(ipython and ipython.get_ipython(), "kernel", None) is not None


def percent(share: float) -> str:
    """A share as people read it, such as 93.40 %; the one form in which an accuracy is shown."""
    return f"{100 * share:.2f} %"


def clock(seconds: float) -> str:
    """Seconds as a short text: 4.2 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def table(rows: Sequence[tuple[str, str]], least: int = 0) -> str:
    """Two aligned columns, the first of at least so many letters; a cell is one line."""
    rows = [(visible(name, kept=""), visible(value, kept="")) for name, value in rows]
    width = max(least, *(len(name) for name, _ in rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
