"""Composing the jobs of a sweep: those that differ in plain values only share one composition.

Hydra composes each job's config from its files anew, which takes most of the time that a worker spends beside training.
"""

from __future__ import annotations

import copy
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf


class SweepLoader:
    """Hydra's config loader, but for jobs; what it composes is what Hydra's own does."""

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader = loader
        self._groups = frozenset(loader.list_groups(""))
        self._bases: dict[tuple[str, ...], DictConfig] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # also while a worker unpickles it
            raise AttributeError(name)
        return getattr(self._loader, name)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_bases": {}}

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """The config of a job. Errors come from Hydra, in its words."""
        try:
            return self._from_base(master_config, list(sweep_overrides))
        except Exception:
            return self._loader.load_sweep_config(master_config, sweep_overrides)

    def _from_base(self, master_config: DictConfig, overrides: list[str]) -> DictConfig:
        parsed = OverridesParser.create().parse_overrides(overrides)
        base = tuple(override.input_line or "" for override in parsed if not self._is_plain(override))
        if base not in self._bases:
            self._bases[base] = self._loader.load_sweep_config(master_config, list(base))
        cfg = copy.deepcopy(self._bases[base])
        for override in parsed:
            if self._is_plain(override):
                OmegaConf.update(cfg, override.key_or_group, override.value(), merge=True)
        of_the_task = [override for override in parsed if not override.is_hydra_override()]
        cfg.hydra.overrides.task = [override.input_line for override in of_the_task]
        settings = cfg.hydra.job.config.override_dirname
        cfg.hydra.job.override_dirname = get_overrides_dirname(
            of_the_task, kv_sep=settings.kv_sep, item_sep=settings.item_sep, exclude_keys=settings.exclude_keys
        )
        return cfg

    def _is_plain(self, override: Override) -> bool:
        """Whether an override changes a value, and not which files are composed."""
        return (
            override.type == OverrideType.CHANGE
            and override.package is None
            and not override.is_sweep_override()
            and not override.is_hydra_override()
            and override.key_or_group not in self._groups
        )
