"""Composing the jobs of a sweep, when they are planned and when they are run: by Hydra, but each choice of files once.

Hydra composes a config from its files anew for every job, which takes tens of milliseconds. Jobs that choose the same
files differ in plain values; these are set on a copy of what Hydra has composed. Whatever that cannot do is left to
Hydra, and told in its words.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from nnexp.compose import plain
from nnexp.readers import ConfigError
from nnexp.timeline import span

Parse = Callable[[list[str]], list[Override]]
Compose = Callable[[list[str]], DictConfig]


class Composer:
    """Composed configs of jobs.

    Parameters
    ----------
    parse
        Reads overrides.
    compose
        Hydra's composition of overrides.
    is_group
        Whether a key is a config group, of which a file is chosen.
    replaced
        Keys whose mappings replace what they held, and are not merged with it as Hydra does: those that are swept.
    """

    def __init__(
        self, parse: Parse, compose: Compose, is_group: Callable[[str], bool], replaced: Collection[str] = ()
    ) -> None:
        self.parse, self._compose, self._is_group, self._replaced = parse, compose, is_group, replaced
        self._bases: dict[tuple[str, ...], DictConfig] = {}
        self._trees: dict[tuple[str, ...], Tree | None] = {}

    def __call__(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The config of a job as nested dictionaries."""
        with suppress(HydraException, OmegaConfBaseException):
            parsed = self.parse(list(overrides))
            base = self._base_of(parsed)
            if base not in self._trees:
                self._trees[base] = Tree.of(self._base(base))
            tree, changes = self._trees[base], [each for each in parsed if self._is_plain(each)]
            if tree is not None and all(tree.takes(each) for each in changes):
                return tree.changed(changes)
        return plain(self.config(overrides))

    def config(self, overrides: Sequence[str], parsed: Sequence[Override] | None = None) -> DictConfig:
        """The config of a job; errors are those of `compose`. `parsed` are the overrides as `parse` reads them."""
        try:
            return self._from_base(self.parse(list(overrides)) if parsed is None else parsed)
        except (HydraException, OmegaConfBaseException):
            return self._compose(list(overrides))

    def _from_base(self, overrides: Sequence[Override]) -> DictConfig:
        cfg = copy.deepcopy(self._base(self._base_of(overrides)))
        for override in overrides:
            if self._is_plain(override):
                if override.key_or_group in self._replaced:
                    _clear(cfg, override.key_or_group)
                adds = override.type == OverrideType.FORCE_ADD
                OmegaConf.update(cfg, override.key_or_group, override.value(), merge=True, force_add=adds)
        return cfg

    def _base_of(self, overrides: Sequence[Override]) -> tuple[str, ...]:
        """Those overrides that say which files are composed."""
        return tuple(override.input_line or "" for override in overrides if not self._is_plain(override))

    def _base(self, base: tuple[str, ...]) -> DictConfig:
        if base not in self._bases:
            self._bases[base] = self._compose(list(base))
        return self._bases[base]

    def _is_plain(self, override: Override) -> bool:
        """Whether an override changes a value, and not which files are composed."""
        return (
            override.type in (OverrideType.CHANGE, OverrideType.FORCE_ADD)
            and override.package is None
            and not override.is_sweep_override()
            and not override.is_hydra_override()
            and not self._is_group(override.key_or_group)
        )


class Tree:
    """A composed config as nested dictionaries, of which values can be changed: a tenth of the work of a config.

    Parameters
    ----------
    values
        All of them, interpolations resolved.
    texts
        The interpolations, which name the keys of which others are made.
    """

    def __init__(self, values: dict[str, Any], texts: Sequence[str]) -> None:
        self._values, self._texts = values, texts

    @classmethod
    def of(cls, cfg: DictConfig) -> Tree | None:
        """The tree of a config; None where values are missing or cannot be made."""
        try:
            raw: Any = OmegaConf.to_container(OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"]))
            return cls(plain(cfg), [text for text in _texts(raw) if "${" in text])
        except ConfigError:
            return None

    def takes(self, override: Override) -> bool:
        """Whether an override gives one value in place of another, of which no third is made."""
        value, key = override.value(), override.key_or_group
        if override.type != OverrideType.CHANGE or not isinstance(value, bool | int | float | str):
            return False
        if isinstance(value, str) and ("${" in value or value == "???"):
            return False
        name = key.partition(".")[0]
        is_used = any(name in text or "${." in text for text in self._texts)
        holder = self._holder(self._values, key)
        last = key.rpartition(".")[2]
        return not is_used and holder is not None and last in holder and not isinstance(holder[last], dict | list)

    def changed(self, overrides: Sequence[Override]) -> dict[str, Any]:
        """A tree of its own with the values of overrides that it takes."""
        values = copy.deepcopy(self._values)
        for override in overrides:
            holder = self._holder(values, override.key_or_group)
            if holder is not None:
                holder[override.key_or_group.rpartition(".")[2]] = override.value()
        return values

    @staticmethod
    def _holder(values: Any, key: str) -> dict[str, Any] | None:
        """The mapping that holds a key."""
        for name in key.split(".")[:-1]:
            values = values.get(name) if isinstance(values, dict) else None
        return values if isinstance(values, dict) else None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(each)


def _clear(cfg: DictConfig, key: str) -> None:
    """Empty a mapping, which stays as open to new names as it is."""
    node = OmegaConf.select(cfg, key, throw_on_missing=False)
    if isinstance(node, DictConfig):
        with open_dict(node):
            node.clear()


_composers: dict[str, Composer] = {}  # of the last sweep that this process has had a job of


class SweepLoader:
    """Hydra's config loader, but for jobs; what it composes is what Hydra's own does.

    It is sent to workers, anew with every job; what is composed there is kept for the next job of the sweep.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader = loader
        self._groups = frozenset(loader.list_groups(""))
        self._name = secrets.token_hex(8)
        self.replaced: Collection[str] = ()
        self.resolved: Mapping[str, Any] = {}  # what the environment says of keys here, for jobs on other machines

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # also while a worker unpickles it
            raise AttributeError(name)
        return getattr(self._loader, name)

    @span("composing")
    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """The config of a job, with what Hydra says in it of the job's overrides."""
        composer = _composers.get(self._name)
        if composer is None:

            def compose(overrides: list[str]) -> DictConfig:
                return self._loader.load_sweep_config(master_config, overrides)

            parse = OverridesParser.create().parse_overrides
            composer = Composer(parse, compose, self._groups.__contains__, self.replaced)
            _composers.clear()
            _composers[self._name] = composer
        parsed = composer.parse(list(sweep_overrides))
        cfg = composer.config(sweep_overrides, parsed)
        for key, value in self.resolved.items():
            OmegaConf.update(cfg, key, value)
        given = [each for each in parsed if not each.is_hydra_override()]
        cfg.hydra.overrides.task = [each.input_line for each in given]
        if OmegaConf.is_interpolation(cfg.hydra.job, "override_dirname"):  # since Hydra 1.4
            return cfg
        settings = cfg.hydra.job.config.override_dirname
        lines = [each.input_line or "" for each in given if each.key_or_group not in settings.exclude_keys]
        cfg.hydra.job.override_dirname = settings.item_sep.join(sorted(lines)).replace("=", settings.kv_sep)
        return cfg
