"""A run as a store has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnexp.runs.tags import checked
from nnexp.tracking.system_metrics import PREFIX

LATEST = 2.0**33  # seconds since the epoch: the year 2242


@dataclass(frozen=True)
class StoredRun:
    """What the store knows of a run."""

    run_id: str
    name: str
    status: str
    start: float
    end: float | None
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    artifact_uri: str
    experiment_id: str
    deleted: bool = False


def stored_run(run: Any) -> StoredRun:
    """MLflow's run as ours, its tags checked: what is not what it should be is left out."""
    info, data = run.info, run.data
    return StoredRun(
        run_id=info.run_id,
        name=info.run_name or "",
        status=info.status,
        start=_seconds(info.start_time),
        end=_seconds(info.end_time) if info.end_time else None,
        tags=checked(data.tags),
        params=dict(data.params),
        metrics={key: value for key, value in data.metrics.items() if not key.startswith(PREFIX)},
        artifact_uri=info.artifact_uri or "",
        experiment_id=info.experiment_id,
        deleted=info.lifecycle_stage == "deleted",
    )


def _seconds(milliseconds: int | None) -> float:
    return min(max((milliseconds or 0) / 1000, 0.0), LATEST)
