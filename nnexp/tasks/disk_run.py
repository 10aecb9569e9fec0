"""A run as its task sees it: all that it is given goes to the disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nnexp.runs.directory import RunDirectory
from nnexp.runs.history import HistoryWriter
from nnexp.runs.identity import array_digest, digest_of
from nnexp.terminal import progress_line

FILE = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*")  # a path that stays in the run directory
Share = Callable[[str, np.ndarray, Sequence[str]], np.ndarray]


class DiskRun:
    """A :class:`nnexp.tasks.interface.Run` in a run directory.

    Parameters
    ----------
    share
        Gives the same array in memory that other processes use too; None: it stays where it is.
    tells
        Whether what is logged is shown while it trains, for a task that does not show it itself.
    check
        Called now and then while it trains; raises where the run is to be given up.
    """

    def __init__(
        self,
        directory: RunDirectory,
        share: Share | None = None,
        *,
        tells: bool = False,
        check: Callable[[], None] | None = None,
    ) -> None:
        record = directory.record
        self.path, self.seed, self.params = directory.path, record.seed, record.params
        self.is_quiet = record.sweep is not None
        self.saved: dict[str, str] = {}
        self.figures: list[str] = []
        self._directory, self._formats, self._share = directory, record.figures, share
        self._check = check
        self._history: HistoryWriter | None = None
        self._line = progress_line() if tells and not self.is_quiet else None

    def log(self, metrics: Mapping[str, float], step: int, *, time: float | None = None) -> None:
        """Keep values of metrics."""
        self.raise_if_stopped()
        if self._history is None:
            self._history = HistoryWriter(self._directory.path)
        self._history.log(metrics, step, time)
        if self._line is not None and self._line.is_due():
            self._line.show([f"step {step}", *(f"{key} {value:.4g}" for key, value in metrics.items())])

    def save(self, name: str, **arrays: Any) -> None:
        """Keep arrays.

        Raises
        ------
        ValueError
            If the name is none of an `.npz` file in the run directory.
        """
        if not FILE.fullmatch(name) or not name.endswith(".npz"):
            raise ValueError(f"arrays are saved as NAME.npz, or FOLDER/NAME.npz, in the run directory, got {name!r}")
        self._directory.write_arrays(name, arrays)
        self.saved[name] = digest_of({key: array_digest(np.asarray(array)) for key, array in arrays.items()})

    def figure(self, name: str, figure: Any) -> None:
        """Keep a figure; a ValueError if its name would lead out of the run directory."""
        if not FILE.fullmatch(name):
            raise ValueError(f"a figure's name must be NAME or FOLDER/NAME, got {name!r}")
        from nnexp import figures

        for suffix in dict.fromkeys(["png", *self._formats]):
            figures.save(figure, self._directory.file(f"{name}.{suffix}"))
        if name not in self.figures:
            self.figures.append(name)

    def shared(self, name: str, array: np.ndarray, *, depends_on: Sequence[str] = ()) -> np.ndarray:
        """The same array, shared with the workers beside this one where there are some."""
        return array if self._share is None else self._share(name, array, depends_on)

    def raise_if_stopped(self) -> None:
        """Signals raise KeyboardInterrupt by themselves; a run whose job another has is given up."""
        if self._check is not None:
            self._check()

    def close(self) -> None:
        """Close the history, and clear the line on the terminal."""
        if self._line is not None:
            self._line.close()
        if self._history is not None:
            self._history.close()
