"""What a person sees of a run: a progress line, log lines where there is no terminal, a table at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

LINE_EVERY = 0.1  # seconds between two updates of the progress line
LOG_EVERY = 10.0  # seconds between two log lines where there is no terminal


def say(text: str) -> None:
    """One line to the person, on standard error."""
    print(text, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """Seconds as a short text: 4.2 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Two aligned columns."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


class Progress:
    """Follows a fit: one line that is written over on a terminal, a log line now and then elsewhere."""

    def __init__(self, maxiter: int, maxfun: int, *, quiet: bool = False, stream=None) -> None:
        self.maxiter, self.maxfun, self.quiet = maxiter, maxfun, quiet
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self._start = self._last = time.monotonic()
        self._written = False

    def update(self, row: dict[str, float]) -> None:
        """Show a row of the history, unless one was shown a moment ago."""
        now = time.monotonic()
        if self.quiet or now - self._last < (LINE_EVERY if self.live else LOG_EVERY):
            return
        self._last = now
        text = self.line(row, now - self._start)
        self.stream.write(f"\r\x1b[2K{text}" if self.live else text + "\n")
        self.stream.flush()
        self._written = self.live

    def line(self, row: dict[str, float], elapsed: float) -> str:
        """The progress as text."""
        n_iter, n_fev = int(row["step"]), int(row["optimizer/n_fev"])
        part = "test" if "accuracy/test" in row else "train"
        accuracy = row.get(f"accuracy/{part}", row.get("accuracy/train", float("nan")))
        share = max(n_iter / max(self.maxiter, 1), n_fev / self.maxfun)
        left = f"  at most {clock(elapsed * (1 - share) / share)} left" if 0 < share < 1 else ""
        numbers = f"cost {row['cost/train']:.4f}  {part} accuracy {accuracy:.2%}"
        return f"iteration {n_iter}  {numbers}  evaluations {n_fev}{left}"

    def close(self) -> None:
        """Clear the line."""
        if self._written:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()
            self._written = False
