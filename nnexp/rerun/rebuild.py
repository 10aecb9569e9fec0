"""The config of a recorded run, as today's code understands it, with overrides on top.

What decides the result, and which figures are made, is taken from the record; where the new run is kept, from the
config of today. An override does what it does on the command line: a value is set, and a choice of a group
(`optimizer=cg`) or a preset (`experiment=...`) brings what it changes there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from nnexp.config import BOOKKEEPING, Config, ConfigError, check
from nnexp.hydra_app import compose, config_directory, plain
from nnexp.rerun.errors import RerunError

TODAY = ("tracking", "resume", "dry_run", "fail_fast", "data.cache")  # how a run is kept is not taken from the record
OPTIONS = "optimizer.options"  # one value: options of one method mean nothing to another
Leaves = dict[str, Any]


@dataclass(frozen=True)
class Rebuilt:
    """A config to run.

    Attributes
    ----------
    before
        What the record alone gives.
    config, composed
        With the overrides, checked; and as the text that the new run keeps.
    defaulted
        Deciding keys that the record lacks, with the default that they have now.
    other_data
        Whether the overrides ask for another data set.
    """

    before: Config | None
    config: Config
    composed: str
    defaulted: Leaves
    other_data: bool


def rebuild(
    tree: Mapping[str, Any], overrides: Sequence[str], *, name: str = "", data_path: str | None = None
) -> Rebuilt:
    """Build the config of a rerun.

    Parameters
    ----------
    tree
        The recorded config.
    overrides
        What is to be different, in Hydra's words; ``~KEY`` drops a recorded key that there no longer is.
    name
        The name of the recorded run, for the new one where nothing is overridden.
    data_path
        Where the data file was, for a path that was relative to another folder.

    Raises
    ------
    RerunError
        Where the record has a deciding key that there no longer is.
    ConfigError
        Where Hydra or a check refuses the outcome.
    """
    recorded = dict(_leaves(tree))
    groups = _groups(recorded)
    dropped = {o[1:].partition("=")[0] for o in overrides if o.startswith("~")}
    today = dict(_leaves(plain(compose(groups))))
    unknown = [key for key in recorded if key not in today]
    lost = [key for key in unknown if not _within(key, BOOKKEEPING) and not _within(key, tuple(dropped))]
    if lost:
        raise RerunError(
            f"it was made with `{lost[0]}` = {recorded[lost[0]]!r}, which is no longer a config key; "
            f"add ~{lost[0]} to run it without"
        )
    given = [o for o in overrides if not (o.startswith("~") and o[1:].partition("=")[0] in unknown)]
    wanted = dict(_leaves(plain(compose([*groups, *given])))) if given else today
    base = {key: value for key, value in recorded.items() if key in today and not _within(key, TODAY)}
    defaulted = {key: value for key, value in today.items() if key not in base and not _within(key, BOOKKEEPING)}
    base = {**today, **base}
    base["data.path"] = _find_again(base.get("data.path"), data_path)
    if "data.path" not in today:
        del base["data.path"]
    base["tracking.run_name"], base["tracking.sweep"] = name or None, None
    leaves = _override(base, today, wanted, given)
    leaves["tracking.sweep"] = None
    if "tracking.run_name" not in _names(given) and _decisive(given):
        leaves["tracking.run_name"] = None
    nested = _nested(leaves)
    return Rebuilt(
        before=_checked_or_none(_nested(base)) if given else None,
        config=check(nested),
        composed=OmegaConf.to_yaml(OmegaConf.create(nested)),
        defaulted=defaulted,
        other_data=any(_is_data_source(key) for key in _names(given)),
    )


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and key != OPTIONS:
            yield from _leaves(value, key + ".")
        else:
            yield key, value


def _nested(leaves: Leaves) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in leaves.items():
        *parents, last = key.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return tree


def _within(key: str, names: Sequence[str]) -> bool:
    return any(key == name or key.startswith(name + ".") for name in names)


def _names(overrides: Sequence[str]) -> list[str]:
    """The keys and groups that overrides speak of."""
    return [o.lstrip("+~").partition("=")[0].partition("@")[0] for o in overrides]


def _decisive(overrides: Sequence[str]) -> bool:
    return any(not _within(key, BOOKKEEPING) for key in _names(overrides))


def _is_data_source(key: str) -> bool:
    return _within(key, ("data",)) and key not in ("data.test_size", "data.validation_size", "data.cache")


def _groups(recorded: Leaves) -> list[str]:
    """Overrides that choose the groups of a recorded config, so that what it lacks is filled from the right ones."""
    chosen = []
    for group, key in (("data", "data.name"), ("optimizer", "optimizer.method")):
        for path in sorted((config_directory() / group).glob("*.yaml")):
            if OmegaConf.select(OmegaConf.load(path), key.partition(".")[2]) == recorded.get(key):
                chosen.append(f"{group}={path.stem}")
                break
    return chosen


def _override(base: Leaves, today: Leaves, wanted: Leaves, overrides: Sequence[str]) -> Leaves:
    """`base` with all that the overrides name, and all else that they change in today's config."""
    names, leaves = _names(overrides), dict(base)
    for key in dict.fromkeys([*today, *wanted]):
        if key == OPTIONS:
            leaves[key] = _options(base.get(key) or {}, today.get(key) or {}, wanted.get(key) or {}, names)
        elif key not in wanted:
            leaves.pop(key, None)
        elif key in names or key not in today or today[key] != wanted[key]:
            leaves[key] = wanted[key]
    return leaves


def _options(base: Leaves, today: Leaves, wanted: Leaves, names: Sequence[str]) -> Leaves:
    """The options of the method: another method brings its own, else single ones are set or dropped."""
    if "optimizer" in names or OPTIONS in names:
        return wanted
    named = {key.removeprefix(OPTIONS + ".") for key in names}
    changed = {key: value for key, value in wanted.items() if key in named or today.get(key) != value}
    return {key: value for key, value in base.items() if key not in named} | changed


def _find_again(path: Any, then: str | None) -> Any:
    """The data file: where the config says, or else where it was found then."""
    if isinstance(path, str) and then and not Path(path).expanduser().is_file() and Path(then).is_file():
        return then
    return path


def _checked_or_none(tree: dict[str, Any]) -> Config | None:
    """The config of the record alone, which may need the overrides to be one of today."""
    try:
        return check(tree)
    except ConfigError:
        return None
