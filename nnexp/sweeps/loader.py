"""Hydra's config loader for the jobs of a launcher, which composes them as they were planned."""

from __future__ import annotations

from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from nnexp.sweeps.composer import Composer


class SweepLoader:
    """Hydra's config loader, but for jobs; what it composes is what Hydra's own does. It is sent to workers."""

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader = loader
        self._groups = frozenset(loader.list_groups(""))
        self._composer: Composer | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # also while a worker unpickles it
            raise AttributeError(name)
        return getattr(self._loader, name)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_composer": None}

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """The config of a job, with what Hydra says in it of the job's overrides."""
        if self._composer is None:

            def compose(overrides: list[str]) -> DictConfig:
                return self._loader.load_sweep_config(master_config, overrides)

            self._composer = Composer(OverridesParser.create().parse_overrides, compose, self._groups.__contains__)
        cfg = self._composer.config(sweep_overrides)
        given = [each for each in self._composer.parse(list(sweep_overrides)) if not each.is_hydra_override()]
        cfg.hydra.overrides.task = [each.input_line for each in given]
        settings = cfg.hydra.job.config.override_dirname
        lines = [each.input_line or "" for each in given if each.key_or_group not in settings.exclude_keys]
        cfg.hydra.job.override_dirname = settings.item_sep.join(sorted(lines)).replace("=", settings.kv_sep)
        return cfg
