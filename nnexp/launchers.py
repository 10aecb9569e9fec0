"""Defaults of ours for launchers of other packages, under the names that these packages give them."""

from __future__ import annotations

import sys
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from nnexp.hydra_versions import REPLACE

SUBMITIT = "hydra_plugins.hydra_submitit_launcher.config"
FOLDER = "${nnexp.path:${tracking.directory}}/submitit/%j"  # logs and results of jobs
WEEK = 10_080  # minutes
# A file of these names in `conf/` would be checked against the package's own settings, which Hydra warns of.
LOCAL = {"submitit_folder": FOLDER, "timeout_min": WEEK}
SLURM: dict[str, Any] = {
    "submitit_folder": FOLDER,
    "timeout_min": 240,  # a job that takes longer is ended, and done anew by the same command
    "cpus_per_task": 2,  # one trains, the other draws and publishes
    "mem_gb": 4,
    "array_parallelism": 16,
}


def set_defaults() -> None:
    """Give submitit's launchers our defaults, where the package is installed."""
    Plugins.instance()  # finds the launchers, which put theirs into the store
    found: Any = sys.modules.get(SUBMITIT)
    if found is None:
        return
    for name, node in (
        ("submitit_local", found.LocalQueueConf(**LOCAL)),
        ("submitit_slurm", found.SlurmQueueConf(**SLURM)),
    ):
        ConfigStore.instance().store(
            group="hydra/launcher", name=name, node=node, provider="submitit_launcher", **REPLACE
        )
