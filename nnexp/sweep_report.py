"""What a sweep has made of its runs. Reports are made of sweeps, so these are told how; nothing is imported before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from nnexp.timeline import span


@span("report")
def make(store: Any, sweep: str, folder: Path, margin: float | None) -> tuple[Path, tuple[str, ...]]:
    """The report at the end of a sweep: its page, and what it says of the best setting."""
    from nnexp.report import Selection, make_report

    made = make_report(store, Selection("sweep", sweep), folder, margin=margin)
    return made.path, made.choice


@lru_cache(1)  # it is called for as long as the last jobs are trained
@span("imports")
def prepare(store: Any) -> None:
    """Import and read what a report will need."""
    from nnexp.report import prepare

    prepare(store)


def foresee(task: Any, planned: Any, store: Any) -> Sequence[str]:
    """What a plan can show."""
    from nnexp.report.foresight import foresee as sentences

    return sentences(task, planned, store)
