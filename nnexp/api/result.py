"""A run as an object: what was asked for, what came of it, what it left."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnexp.config import deciding_leaves
from nnexp.lookup import FoundRun
from nnexp.own import of_records
from nnexp.paths import relative
from nnexp.rerun.source import DirectorySource, RunSource, StoreSource, source_of
from nnexp.runs.directory import RunDirectory
from nnexp.runs.files import read_arrays
from nnexp.runs.history import NOT_METRICS
from nnexp.runs.records import RunStatus
from nnexp.runs.tags import CHANGED, CHECK, SWEEP
from nnexp.tasks.presentation import Presentation
from nnexp.terminal import visible
from nnexp.tracking.store import Store

if TYPE_CHECKING:
    import pandas as pd

SERIES = "images"  # the folder of pictures over the iterations, which are no figures of a run as a whole
SHOWN = 3  # pictures beside the table


def _param(text: str, leaf: Any) -> Any:
    """A param of the store as the config has it, or as it was read, such as the share that folds hold out."""
    return number if isinstance(leaf, float) and (number := float(text)) != leaf else leaf


class Result:
    """A run that was made, on this machine or read from the store. Its files are read at the first use.

    Attributes
    ----------
    run_id, name, message : str
        The id that the store gave it, or else its own; what it is called; how it ended, in a sentence.
    status : RunStatus
        ``FINISHED``, ``FAILED``, ``KILLED``, or ``RUNNING`` when it was read.
    """

    def __init__(self, source: RunSource) -> None:
        self._source = source
        self.run_id, self.name, self.message = source.run_id, source.name, source.message
        self.status = RunStatus(source.status)

    @classmethod
    def in_directory(cls, path: str | Path, run_id: str | None = None) -> Result:
        """The run of a directory."""
        return cls(DirectorySource(RunDirectory(path), run_id))

    @classmethod
    def of(cls, found: FoundRun, store: Store | None) -> Result:
        """The run that a word means."""
        if found.directory is not None:
            return cls(source_of(found, store, Path()))
        fetched = tempfile.mkdtemp(prefix="nnexp-run-")
        result = cls(source_of(found, store, Path(fetched)))
        weakref.finalize(result, shutil.rmtree, fetched, ignore_errors=True)
        return result

    @property
    def path(self) -> Path:
        """The run directory; of a run of another machine, the folder to which its files were fetched."""
        return self._source.files.path

    @property
    def sweep(self) -> str | None:
        """The id of the sweep that it belongs to."""
        return self._source.tags.get(SWEEP)

    @property
    def verdict(self) -> str | None:
        """What a checked rerun found when it was compared with its original; None for other runs."""
        return self._tags.get(CHECK)

    @property
    def changed(self) -> str | None:
        """What was not as it was for the original of a rerun, such as its code or its packages."""
        return self._tags.get(CHANGED)

    @property
    def _tags(self) -> dict[str, str]:
        result = self._source.result
        return {**self._source.tags, **(result.tags if result else {})}

    @cached_property
    def config(self) -> dict[str, Any]:
        """The composed config, as nested dictionaries."""
        return self._source.config

    @cached_property
    def params(self) -> dict[str, Any]:
        """What decides the numbers: every such leaf of the config under its dotted key, as its type."""
        params = dict(self._source.params)
        if isinstance(self._source, StoreSource):  # which has them as texts
            leaves = deciding_leaves(self.config)
            params = {key: _param(value, leaves.get(key, value)) for key, value in params.items()}
        return params

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The last value of each metric that was logged."""
        last = {key: value for row in self._source.history for key, value in row.items() if value == value}
        result = self._source.result
        found = {key: value for key, value in last.items() if key not in NOT_METRICS}
        return found | dict(result.final_metrics if result else {})

    @cached_property
    def history(self) -> pd.DataFrame:
        """What was logged, as a DataFrame: `step`, `time` (seconds since the epoch), and a column for each metric."""
        import pandas as pd

        return pd.DataFrame(self._source.history)

    @cached_property
    def arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """The arrays that were saved, by the name of their file."""
        result = self._source.result
        names = result.values.get("saved", {}) if result else {}
        return {name: read_arrays(self.path / name) for name in names if (self.path / name).exists()}

    @property
    def theta(self) -> np.ndarray:
        """The trained parameters, of shape (n_parameters,).

        Raises
        ------
        AttributeError
            If the task saves none under this name; `arrays` has what it saved.
        """
        for arrays in self.arrays.values():
            if "theta" in arrays:
                return arrays["theta"]
        saved = ", ".join(self.arrays) or "nothing"
        raise AttributeError(f"{self!r} has saved no theta; `arrays` has {saved}")

    def predict(self, X: Any) -> np.ndarray:
        """Predict by the trained model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Raw samples: what scaling the run has learnt is applied.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels as the data set has them: integers where its classes are, else texts.

        Raises
        ------
        ValueError
            If the run's task or the run has no model, or `X` is of another shape.
        """
        return self._model(X)

    @cached_property
    def _model(self) -> Callable[[Any], np.ndarray]:
        with of_records():
            return self._source.task.predictor(self._source.files)

    @cached_property
    def figures(self) -> dict[str, Path]:
        """The pictures of the run by their names, such as ``cost_curves``; each is a PNG file."""
        files = self._source.with_pictures()
        found = {
            path.relative_to(files.path).with_suffix(""): path
            for path in files.path.rglob("*.png")
            if not path.is_symlink()
        }
        shown = {name.as_posix(): path for name, path in found.items() if name.parts[0] != SERIES}
        return dict(sorted(shown.items(), key=lambda item: ("/" in item[0], item[0])))

    @property
    def _presentation(self) -> Presentation:
        return self._source.task.presentation

    def _rows(self) -> list[tuple[str, str]]:
        """What is told of the run, as names and values."""
        result = self._source.result
        rows = [("status", f"{self.status}: {self.message}" if self.message else str(self.status))]
        rows += self._presentation.facts(result) if result is not None else []
        return [*rows, ("run", self.run_id), ("directory", relative(str(self.path)))]

    def __repr__(self) -> str:
        result = self._source.result
        brief = self._presentation.brief(result) if result is not None and result.is_finished else self.message
        return visible(f"<Result {self.run_id}: {self.name}, {self.status}{f', {brief}' if brief else ''}>", kept="")

    def _repr_html_(self) -> str:
        from nnexp.api.html import page_of

        wanted = self._presentation.pictures or [name for name in self.figures if "/" not in name]
        shown = [self.figures[name] for name in wanted if name in self.figures][:SHOWN]
        return page_of(self.name, self._rows(), shown)
