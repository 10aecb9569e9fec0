"""The config files that come with nnexp: their folder, their groups, what there is to choose. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CONFIG_GROUPS = ("data", "experiment", "model", "optimizer", "search", "sweep", "task", "tracking")
ADDED_GROUPS = ("search", "sweep")  # what they say is added to the config: +sweep=l2


def config_directory() -> Path:
    """`conf/`: inside the package in a wheel, beside it in a checkout."""
    inside = PACKAGE / "conf"
    return inside if inside.is_dir() else PACKAGE.parent / "conf"


def choices(group: str) -> list[str]:
    """The choices of a config group, read from the names of its files."""
    return sorted(path.stem for path in (config_directory() / group).glob("*.yaml"))
