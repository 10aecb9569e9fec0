"""The progress line of a fit."""

from __future__ import annotations

import time
from typing import TextIO

from nnexp.terminal import StatusLine, clock, percent


class Progress:
    """Follows a fit: one line that is rewritten on a terminal, a log line now and then elsewhere."""

    def __init__(self, maxiter: int, maxfun: int, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.maxiter, self.maxfun, self.quiet = maxiter, maxfun, quiet
        self._line = StatusLine(stream)
        self._start = time.monotonic()

    def update(self, row: dict[str, float]) -> None:
        """Show a row of the history, unless one was shown a moment ago."""
        if not self.quiet and self._line.is_due():
            self._line.show(self.parts(row, time.monotonic() - self._start))

    def parts(self, row: dict[str, float], elapsed: float) -> list[str]:
        """The progress as text, what matters most first."""
        n_iter, n_fev = int(row["step"]), int(row["optimizer/n_fev"])
        part = "test" if "accuracy/test" in row else "train"
        accuracy = row.get(f"accuracy/{part}", float("nan"))
        parts = [f"iteration {n_iter}", f"cost {row['cost/train']:.4f}"]
        if accuracy == accuracy:  # it is not measured in every iteration
            parts.append(f"{part} accuracy {percent(accuracy)}")
        share = max(n_iter / max(self.maxiter, 1), n_fev / self.maxfun)
        if 0 < share < 1:
            parts.append(f"at most {clock(elapsed * (1 - share) / share)} left")
        return [*parts, f"{n_fev} evaluations"]

    def close(self) -> None:
        """Clear the line."""
        self._line.close()
