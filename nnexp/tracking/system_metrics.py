"""What MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING asks for: the load of the machine while a run trains, by MLflow's names.

The companion process measures, so no training is held up. The values go to `system.csv` in the run directory and from
there into the store, as the history does. They are clocks of a kind: no digest, rerun or report takes them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnexp.runs.directory import RunDirectory
from nnexp.runs.history import SYSTEM, HistoryWriter, last_row

ENABLED, PREFIX = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "system/"
SECONDS = 10.0  # between two samples, where MLflow's variable does not say otherwise
LOOK_SECONDS = 0.5  # between two looks at which runs there are


def are_wanted() -> bool:
    """Whether the user asked for them, in the words that MLflow takes."""
    return os.environ.get(ENABLED, "").strip().lower() in ("true", "1")


class SystemMetrics:
    """Measures for the runs of one trainer; MLflow must have been imported."""

    def __init__(self) -> None:
        import psutil
        from mlflow import environment_variables as variables

        psutil.cpu_percent()  # each call is about the time since the last one, so the first says nothing
        self.interval = variables.MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or SECONDS
        self.n_samples = variables.MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING.get() or 1
        node = variables.MLFLOW_SYSTEM_METRICS_NODE_ID.get()
        self.prefix = f"{PREFIX}{node}/" if node else PREFIX
        self._of: dict[Path, _Measured] = {}

    def serve(self, runs: Callable[[], Sequence[RunDirectory]], wait: Callable[[float], bool]) -> None:
        """Measure until `wait`, which waits for so many seconds, says that it is over."""
        is_over = False
        while not is_over:
            self.look(runs())
            is_over = wait(min(LOOK_SECONDS, self.interval))

    def look(self, runs: Sequence[RunDirectory]) -> None:
        """Measure for each run that trains, if it is time to."""
        training = {run.path: run for run in runs if not run.has_ended}
        self._of = {path: self._of.get(path) or _Measured(run) for path, run in training.items()}
        for measured in self._of.values():
            with suppress(OSError):  # the directory is gone, or the disk full
                measured.sample(self.interval, self.n_samples, self.prefix)


class _Measured:
    """The samples of one run."""

    def __init__(self, directory: RunDirectory) -> None:
        self._path, self._next, self._n_taken = directory.path, 0.0, 0
        self._monitors = _monitors()  # what was sent and written is counted from here on
        self._step = int(last_row(directory.path, SYSTEM).get("step", -1)) + 1  # of a companion that died

    def sample(self, interval: float, n_samples: int, prefix: str) -> None:
        if time.monotonic() < self._next:
            return
        self._next, self._n_taken = time.monotonic() + interval, self._n_taken + 1
        for monitor in self._monitors:
            monitor.collect_metrics()
        if self._n_taken % n_samples:
            return
        values = {prefix + key: value for each in self._monitors for key, value in each.aggregate_metrics().items()}
        writer = HistoryWriter(self._path, SYSTEM)
        writer.log(values, self._step)
        writer.close()
        self._step += 1
        for monitor in self._monitors:
            monitor.clear_metrics()


def _monitors() -> list[Any]:
    """Those that MLflow's own monitor has, which needs a store that answers."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
    from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

    found: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    for kind in (GPUMonitor, ROCMMonitor):
        try:
            return [*found, kind()]
        except Exception:  # there is no such device, or no library for it
            continue
    return found
