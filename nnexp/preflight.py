"""What can be known before any work: whether the places where results are to be kept can be written, and are free."""

from __future__ import annotations

from pathlib import Path

from nnexp.config import ConfigError, TrackingConfig
from nnexp.paths import folder_problem, is_other_file, relative, sqlite_path
from nnexp.runs.directory import RECORD, RESULT


def check_places(tracking: TrackingConfig, key: str, folder: str | Path) -> None:
    """See that the output directory, the store's file and the folder of runs can be used. Leaves nothing behind.

    Parameters
    ----------
    key, folder
        Where Hydra keeps what it runs, and the config key that says so.

    Raises
    ------
    ConfigError
        If one of them cannot be written, or is a file of another kind.
    """
    for name, path in (("tracking.directory", tracking.directory), (key, folder)):
        if problem := folder_problem(path):
            raise ConfigError(f"`{name}` must be a folder that can be written, got {relative(path)}: {problem}")
    database = sqlite_path(tracking.uri) if tracking.backend == "mlflow" else None
    if database is None:
        return
    if problem := folder_problem(database.parent):
        raise ConfigError(f"`tracking.uri` must be in a folder that can be written, got {tracking.uri}: {problem}")
    if is_other_file(database):
        raise ConfigError(f"`tracking.uri` must name an MLflow store or a new file, got {database}: not a database")


def check_run_directory(tracking: TrackingConfig, folder: str | Path) -> None:
    """See that a single run has a directory of its own.

    Raises
    ------
    ConfigError
        If the directory holds a run or a result, or the output directory is inside it.
    """
    path = Path(folder).resolve()
    if (path / RECORD).exists() or (path / RESULT).exists():
        raise ConfigError(f"`hydra.run.dir` must be a directory without a run, got {relative(path)}, which holds one")
    if Path(tracking.directory).resolve().is_relative_to(path):
        raise ConfigError(f"`hydra.run.dir` must not contain `tracking.directory`, got {relative(path)}")
